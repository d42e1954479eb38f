package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// subject is one or two proxies between the load and the application.
type subject struct {
	name    string
	address string // where requests go
	pair    bool   // two, with mutual TLS between them
	running []*exec.Cmd
	stderr  bytes.Buffer
}

// places are the files and ports of the subjects.
type places struct {
	ctx   context.Context // ends the subjects
	dir   string
	proxy string // the binary of ours
	app   string // the application's address
	web   *proxytest.Volume
	api   *proxytest.Volume
}

// serverName is for proxies that know certificates by DNS names alone.
const serverName = "server.test"

func newPlaces(ctx context.Context, dir, proxy, app string) (*places, error) {
	p := &places{ctx: ctx, dir: dir, proxy: proxy, app: app}
	ca, err := proxytest.NewAuthority()
	if err != nil {
		return nil, err
	}
	for name, v := range map[string]**proxytest.Volume{"web": &p.web, "api": &p.api} {
		if *v, err = proxytest.NewVolume(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		key, err := ca.Issue(proxytest.ID(name), func(c *x509.Certificate) { c.DNSNames = []string{serverName} })
		if err != nil {
			return nil, err
		}
		if err := (*v).Write(key, ca.Root()); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// port returns a port of loopback that is free.
func port() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (p *places) write(name, content string) (string, error) {
	file := filepath.Join(p.dir, name)
	return file, os.WriteFile(file, []byte(content), 0o600)
}

// start runs a program of the subject until stop, or until ctx ends.
func (s *subject) start(p *places, program string, args ...string) error {
	cmd := exec.CommandContext(p.ctx, program, args...)
	cmd.Stderr = &s.stderr
	// Caddy writes into its home.
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "XDG_DATA_HOME="+p.dir)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running = append(s.running, cmd)
	return nil
}

// ready waits until requests are answered.
func (s *subject) ready() error {
	var err error
	for range 200 {
		var all []*keptAlive
		if all, err = many(s.address, 1); err == nil {
			closeAll(all)
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer: %w\n%s", s.name, err, s.stderr.String())
}

func (s *subject) stop() {
	for _, cmd := range s.running {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	}
}

// memory returns the memory of all processes, as proportional set size in bytes.
func (s *subject) memory() (sum int64, err error) {
	for _, cmd := range s.running {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(b), "\nPss:")
		if !ok {
			return 0, errors.New("no Pss in smaps_rollup")
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kib << 10
	}
	return sum, nil
}

// cpu returns the time that all processes have had of the processors.
func (s *subject) cpu() (sum time.Duration, err error) {
	for _, cmd := range s.running {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum, nil
}

// haproxy returns the text of a configuration.
func haproxy(bind, server string) string {
	return "global\n  maxconn 8192\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 120s\n  timeout server 120s\n  timeout http-keep-alive 120s\n" +
		"frontend f\n  bind " + bind + "\n  default_backend b\nbackend b\n  server s " + server + "\n"
}

func (p *places) haproxy(pair bool) (*subject, error) {
	s := &subject{name: "HAProxy", pair: pair}
	first, err := port()
	if err != nil {
		return nil, err
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", first)
	server := p.app
	if pair {
		second, err := port()
		if err != nil {
			return nil, err
		}
		server = fmt.Sprintf("127.0.0.1:%d ssl crt %s ca-file %s verify required sni str(%s)", second, p.web.Key(), p.web.Trust(), serverName)
		file, err := p.write("haproxy-2.cfg", haproxy(fmt.Sprintf("127.0.0.1:%d ssl crt %s ca-file %s verify required", second, p.api.Key(), p.api.Trust()), p.app))
		if err != nil {
			return nil, err
		}
		if err := s.start(p, "haproxy", "-db", "-f", file); err != nil {
			return nil, err
		}
	}
	file, err := p.write("haproxy-1.cfg", haproxy(s.address, server))
	if err != nil {
		return s, err
	}
	return s, s.start(p, "haproxy", "-db", "-f", file)
}

const caddyGlobal = "{\n\tadmin off\n\tauto_https off\n\tlog {\n\t\toutput discard\n\t}\n}\n"

func (p *places) caddy(pair bool) (*subject, error) {
	s := &subject{name: "Caddy", pair: pair}
	first, err := port()
	if err != nil {
		return nil, err
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", first)
	upstream := p.app
	if pair {
		second, err := port()
		if err != nil {
			return nil, err
		}
		upstream = fmt.Sprintf("https://127.0.0.1:%d {\n\t\theader_up Host %s\n\t\ttransport http {\n\t\t\ttls\n\t\t\ttls_client_auth %s %s\n\t\t\ttls_trusted_ca_certs %s\n\t\t\ttls_server_name %s\n\t\t}\n\t}",
			second, serverName, p.web.Key(), p.web.Key(), p.web.Trust(), serverName)
		file, err := p.write("Caddyfile-2", fmt.Sprintf("%shttps://%s:%d {\n\tbind 127.0.0.1\n\ttls %s %s {\n\t\tclient_auth {\n\t\t\tmode require_and_verify\n\t\t\ttrusted_ca_cert_file %s\n\t\t}\n\t}\n\treverse_proxy %s\n}\n",
			caddyGlobal, serverName, second, p.api.Key(), p.api.Key(), p.api.Trust(), p.app))
		if err != nil {
			return nil, err
		}
		if err := s.start(p, "caddy", "run", "--adapter", "caddyfile", "--config", file); err != nil {
			return nil, err
		}
	}
	file, err := p.write("Caddyfile-1", fmt.Sprintf("%shttp://:%d {\n\tbind 127.0.0.1\n\treverse_proxy %s\n}\n", caddyGlobal, first, upstream))
	if err != nil {
		return s, err
	}
	return s, s.start(p, "caddy", "run", "--adapter", "caddyfile", "--config", file)
}

// Addresses for our own, of which each wants ports that have fixed numbers.
const (
	webAddress     = "127.0.0.81"
	apiAddress     = "127.0.0.82"
	gatewayAddress = "127.0.0.83"
)

func (p *places) sidecars() (*subject, error) {
	s := &subject{name: "Strata's sidecars", pair: true}
	_, text, err := net.SplitHostPort(p.app)
	if err != nil {
		return nil, err
	}
	target, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	listen, err := port()
	if err != nil {
		return nil, err
	}
	s.address = fmt.Sprintf("127.0.0.1:%d", listen)
	for _, c := range []struct {
		address string
		volume  *proxytest.Volume
		conf    config.Sidecar
	}{
		{apiAddress, p.api, config.Sidecar{Workload: "api", Inbound: []config.Inbound{{Name: "http", Listen: config.InboundBase, Target: target, Callers: []string{proxytest.ID("web")}}}}},
		{webAddress, p.web, config.Sidecar{Workload: "web", Outbound: []config.Outbound{{
			Name: "api", Listen: listen, Host: apiAddress, Port: config.InboundBase, Identity: proxytest.ID("api"), Protocol: config.ProtocolHTTP, Timeout: config.Duration(30 * time.Second),
		}}}},
	} {
		c.conf.TrustDomain, c.conf.Namespace = proxytest.Domain, "apps"
		b, err := json.Marshal(c.conf)
		if err != nil {
			return s, err
		}
		file, err := p.write(c.conf.Workload+".json", string(b))
		if err != nil {
			return s, err
		}
		if err := s.start(p, p.proxy, "sidecar", "--config", file, "--credentials", c.volume.Key(), "--trust", c.volume.Trust(), "--address", c.address); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (p *places) gateway() (*subject, error) {
	s := &subject{name: "Strata's gateway"}
	listen, err := port()
	if err != nil {
		return nil, err
	}
	host, text, err := net.SplitHostPort(p.app)
	if err != nil {
		return nil, err
	}
	target, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	s.address = fmt.Sprintf("%s:%d", gatewayAddress, listen)
	b, err := json.Marshal(config.Gateway{
		Version: "1", TrustDomain: proxytest.Domain,
		Ports: []config.Port{{Listen: listen, Public: listen, Listeners: []config.Listener{{
			Name:  "http",
			Hosts: []config.Host{{Routes: []config.Route{{Name: "apps/all", Targets: []config.Target{{Backend: "apps/app:80", Weight: 1}}}}}},
		}}}},
		Backends: []config.Backend{{Name: "apps/app:80", Endpoints: []config.Endpoint{{Address: host, Port: target}}}},
	})
	if err != nil {
		return nil, err
	}
	file, err := p.write("gateway.json", string(b))
	if err != nil {
		return nil, err
	}
	return s, s.start(p, p.proxy, "gateway", "--config", file, "--credentials", p.web.Key(), "--trust", p.web.Trust(), "--address", gatewayAddress, "--access-log=false")
}
