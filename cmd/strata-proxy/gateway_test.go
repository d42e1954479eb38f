package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/feed"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// output is a file that can be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// ports returns n ports of loopback that nobody listens on.
func ports(t *testing.T, n int) []int {
	t.Helper()
	var out []int
	for range n {
		out = append(out, freeport.Get(t))
	}
	return out
}

// page returns the status and body of a page on loopback; 0 if there is none.
func page(port int, path string) (int, string) {
	c := http.Client{Timeout: 10 * time.Second}
	defer c.CloseIdleConnections()
	res, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// hello is a configuration that leads a port to a server that says hello; to one who asks
// "?slow" after the channel has been read from.
func hello(t *testing.T, port int) (config.Gateway, <-chan struct{}) {
	t.Helper()
	entered := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("slow") {
			entered <- struct{}{}
			time.Sleep(300 * time.Millisecond)
		}
		fmt.Fprint(w, "hello")
	}))
	t.Cleanup(s.Close)
	a := s.Listener.Addr().(*net.TCPAddr)
	return config.Gateway{
		Version: "1", TrustDomain: proxytest.Domain,
		Backends: []config.Backend{{Name: "apps/web:80", Endpoints: []config.Endpoint{{Address: "127.0.0.1", Port: a.Port}}}},
		Ports: []config.Port{{Listen: port, Public: 80, Listeners: []config.Listener{{Name: "http", Hosts: []config.Host{{Routes: []config.Route{
			{Name: "apps/web", Targets: []config.Target{{Backend: "apps/web:80", Weight: 1}}},
		}}}}}}},
	}, entered
}

// TestGatewayOfFile runs the command with a file until it is told to stop.
func TestGatewayOfFile(t *testing.T) {
	p := ports(t, 2)
	file := filepath.Join(t.TempDir(), "gateway.json")
	var stdout, stderr output
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		args := fmt.Sprintf("gateway --config %s --credentials /does/not/exist --address 127.0.0.1 --health-port %d", file, p[1])
		ended <- run(ctx, strings.Fields(args), &stdout, &stderr)
	}()
	until(t, "alive", func() bool { code, _ := page(p[1], config.LivePath); return code == 200 })
	if code, text := page(p[1], config.ReadyPath); code != 503 || !strings.Contains(text, "no configuration yet") {
		t.Errorf("ready without a configuration: %d %q", code, text)
	}
	c, entered := hello(t, p[0])
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "ready", func() bool { code, _ := page(p[1], config.ReadyPath); return code == 200 })
	if code, text := page(p[0], "/a?secret=1"); code != 200 || text != "hello" {
		t.Errorf("got %d %q", code, text)
	}
	// A request that is under way ends, although the command is told to.
	slow := make(chan string, 1)
	go func() { _, text := page(p[0], "/slow?slow"); slow <- text }()
	<-entered
	cancel()
	if text := <-slow; text != "hello" {
		t.Errorf("the last request got %q", text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(stdout.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["route"] != "apps/web" || strings.Contains(line, "secret") {
			t.Errorf("a line of the log: %s", line)
		}
	}
	if n := strings.Count(stdout.String(), "\n"); n != 2 {
		t.Errorf("%d lines for 2 requests", n)
	}
}

// TestGatewayOfControl runs the command with a control plane.
func TestGatewayOfControl(t *testing.T) {
	ca, err := proxytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	volume := func(id string) *proxytest.Volume {
		v, err := proxytest.NewVolume(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		key, err := ca.Issue(id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Write(key, ca.Root()); err != nil {
			t.Fatal(err)
		}
		return v
	}
	quiet := slog.New(slog.DiscardHandler)
	cv := volume(config.ID(proxytest.Domain, config.ControlNamespace, config.ControlAccount))
	cc, err := proxy.OpenCredentials(t.Context(), proxy.CredentialFiles{Key: cv.Key(), Trust: cv.Trust(), TrustDomain: proxytest.Domain}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	own := proxytest.ID("public")
	conf, err := cc.ServerTLS([]string{proxy.ALPNHTTP2}, own)
	if err != nil {
		t.Fatal(err)
	}
	f := feed.New(proxytest.Domain, quiet)
	p := ports(t, 4)
	c, _ := hello(t, p[0])
	if err := f.Set("apps/shop", "public", c); err != nil {
		t.Fatal(err)
	}
	control := fmt.Sprintf("127.0.0.1:%d", p[3])
	l, err := proxy.Listen(t.Context(), control, proxy.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := proxy.NewServer(f, conf, quiet)
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })

	v := volume(own)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		args := fmt.Sprintf("gateway -namespace apps -name shop --control %s --credentials %s --trust %s --address 127.0.0.1 --health-port %d --metrics-port %d --access-log=false", control, v.Key(), v.Trust(), p[1], p[2])
		ended <- run(ctx, strings.Fields(args), io.Discard, io.Discard)
	}()
	until(t, "ready", func() bool { code, _ := page(p[1], config.ReadyPath); return code == 200 })
	if code, text := page(p[0], "/"); code != 200 || text != "hello" {
		t.Errorf("got %d %q", code, text)
	}
	// Metrics are for the control plane.
	mc, err := cc.ClientTLS([]string{proxy.ALPNHTTP2}, own)
	if err != nil {
		t.Fatal(err)
	}
	hc := http.Client{Transport: &http.Transport{TLSClientConfig: mc, ForceAttemptHTTP2: true}}
	defer hc.CloseIdleConnections()
	res, err := hc.Get(fmt.Sprintf("https://127.0.0.1:%d/metrics", p[2]))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(res.Body)
	res.Body.Close()
	for _, want := range []string{`strata_gateway_requests_total{code="2xx",route="apps/web"} 1`, `strata_requests_total{code="2xx",direction="inbound"`, "strata_certificate_expires_timestamp_seconds"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if code, _ := page(p[0], "/"); code != 0 {
		t.Errorf("the port is still served: %d", code)
	}
}
