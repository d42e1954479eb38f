package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
	"github.com/stratahq/strata/internal/proxy/gateway/feed"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// versions collects what is applied.
type versions struct {
	mu  sync.Mutex
	all []string
}

func (v *versions) apply(_ context.Context, g config.Gateway) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, g.Version)
	return nil
}

func (v *versions) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.all, " ")
}

// control serves a feed as the control plane does, at an address.
func control(t *testing.T, c *proxy.Credentials, address string, h http.Handler) (string, *http.Server) {
	t.Helper()
	conf, err := c.ServerTLS([]string{proxy.ALPNHTTP2}, config.ID(proxytest.Domain, "apps", "public"))
	check(t, err)
	l, err := proxy.Listen(context.Background(), address, proxy.ListenOptions{})
	check(t, err)
	s := proxy.NewServer(h, conf, slog.New(slog.DiscardHandler))
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	return l.Addr().String(), s
}

func TestFollow(t *testing.T) {
	ca := must(proxytest.NewAuthority())
	controlID := config.ID(proxytest.Domain, config.ControlNamespace, config.ControlAccount)
	mine := credentials(t, ca, proxytest.ID("public"))
	theirs := credentials(t, ca, controlID)
	f := feed.New(proxytest.Domain, slog.New(slog.DiscardHandler))
	set := func(version string) {
		t.Helper()
		check(t, f.Set("apps/shop", "public", config.Gateway{Version: version}))
	}
	set("1")
	// It is listened on again and again: nobody else may get the port in between.
	address, server := control(t, theirs, fmt.Sprintf("127.0.0.1:%d", freePort(t)), f)
	tlsConf, err := mine.ClientTLS([]string{proxy.ALPNHTTP2}, controlID)
	check(t, err)
	var got versions
	var log lines
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		gateway.Follow(ctx, gateway.Control{Address: address, Gateway: "apps/shop", TLS: tlsConf, Log: slog.New(slog.NewTextHandler(&log, nil))}, got.apply)
	}()
	eventually(t, "the first", func() bool { return got.String() == "1" })
	set("2")
	eventually(t, "the second", func() bool { return got.String() == "1 2" })
	// The control plane goes, and comes back with another configuration.
	check(t, server.Close())
	eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "the control plane cannot be heard") })
	set("3")
	_, server = control(t, theirs, address, f)
	eventually(t, "the third", func() bool { return got.String() == "1 2 3" })
	// It comes back as somebody else: nothing is taken from that.
	check(t, server.Close())
	set("4")
	_, server = control(t, credentials(t, ca, proxytest.ID("other")), address, f)
	eventually(t, "a refusal", func() bool { return strings.Contains(log.String(), "unexpected ID") })
	if got.String() != "1 2 3" {
		t.Errorf("taken from somebody else: %s", got.String())
	}
	check(t, server.Close())
	// Lines that cannot be used are passed over.
	control(t, theirs, address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, line := range []string{"", "nonsense", `{"unknown":1}`, `{"version":"5"}`, `{"version":"6","ports":[{"listen":0}]}`, `{"version":"7"}`} {
			w.Write([]byte(line + "\n"))
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	eventually(t, "the seventh", func() bool { return strings.HasSuffix(got.String(), "5 7") })
	cancel()
	<-ended
}

func TestWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gateway.json")
	var log lines
	f := newGateway(t, nil)
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		gateway.Watch(ctx, file, slog.New(slog.NewTextHandler(&log, nil)), f.Apply)
	}()
	write := func(c config.Gateway) {
		check(t, os.WriteFile(file+".new", must(json.Marshal(c)), 0o600))
		check(t, os.Rename(file+".new", file))
	}
	if f.Ready() == nil {
		t.Error("ready without a configuration")
	}
	eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "no such file") })
	c := simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)})
	c.Version = "1"
	write(c)
	eventually(t, "version 1", func() bool { return f.Version() == "1" && f.Ready() == nil })
	if got := get(t, port, "", "/"); got.code != 200 {
		t.Errorf("got %d", got.code)
	}
	bad := c
	bad.Version, bad.Backends = "2", nil
	write(bad)
	eventually(t, "a refusal", func() bool { return strings.Contains(log.String(), "no backend") })
	c.Version = "3"
	write(c)
	eventually(t, "version 3", func() bool { return f.Version() == "3" })
	cancel()
	<-ended
}

// TestBadRoute makes sure that a route that cannot be served harms no other.
func TestBadRoute(t *testing.T) {
	f := newGateway(t, nil)
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	bad := []config.Filter{{Rewrite: &config.Rewrite{Path: &config.PathChange{Full: ptr("/%2f")}}}}
	f.apply(simple(port, []config.Backend{b},
		config.Route{Name: "apps/never", Match: prefix("/a/../../b")},
		config.Route{Match: prefix("/bad"), Filters: bad, Targets: to(b)},
		config.Route{Match: prefix("/worse"), Targets: []config.Target{{Backend: b.Name, Weight: 1, Filters: bad}}},
		config.Route{Match: prefix("/"), Targets: to(b)}))
	for path, want := range map[string]int{"/b": 200, "/bad": 500, "/worse": 500} {
		if got := get(t, port, "", path); got.code != want {
			t.Errorf("%s: got %d, want %d", path, got.code, want)
		}
	}
	if n := strings.Count(f.log.String(), "a route cannot be served as it is"); n != 3 {
		t.Errorf("%d lines in the log, want 3", n)
	}
}

func TestApplyRefuses(t *testing.T) {
	f := newGateway(t, nil)
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	c := simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)})
	f.apply(c)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	other := freePort(t)
	dead := b
	dead.Endpoints = nil
	for name, bad := range map[string]config.Gateway{
		"no version": c,
		"not valid":  {Version: "x", Ports: []config.Port{{}}},
		"port taken": {Version: "x", Backends: []config.Backend{dead}, Ports: []config.Port{{Listen: other, Public: 80}, {Listen: taken.Addr().(*net.TCPAddr).Port, Public: 81}}},
	} {
		if err := f.Apply(context.Background(), bad); err == nil || !strings.Contains(err.Error(), "is refused") {
			t.Errorf("%s: %v", name, err)
		}
		if got := get(t, port, "", "/"); got.code != 200 {
			t.Fatalf("%s: the last configuration is no longer served: %d", name, got.code)
		}
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", other))
	if err != nil {
		t.Errorf("a port of a refused configuration stays open: %v", err)
	} else {
		l.Close()
	}
	if n := strings.Count(metrics(t, f), "strata_gateway_configurations_refused_total 3"); n != 1 {
		t.Error("refusals are not counted")
	}
}
