package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
)

// TestReloadUnderLoad exchanges the configuration over and over while clients of all
// kinds ask: backends, routes, certificates and other ports change, and endpoints go away
// when nobody is led to them any longer. No request may fail.
func TestReloadUnderLoad(t *testing.T) {
	const changes, workers = 60, 3
	plain, secret, other := freePort(t), freePort(t), freePort(t)
	certs := []config.Certificate{signed(t, "a.example"), signed(t, "a.example")}
	f := newGateway(t, nil)
	// serve starts a server of generation n, which ends without breaking requests off.
	type served struct {
		b    config.Backend
		stop func()
	}
	serve := func(n int) served {
		l := must(net.Listen("tcp", "127.0.0.1:0"))
		s := &http.Server{Handler: echo(fmt.Sprint("generation ", n))}
		go s.Serve(l)
		return served{
			config.Backend{Name: "apps/web:80", Endpoints: []config.Endpoint{endpoint(l.Addr())}},
			func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := s.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			},
		}
	}
	apply := func(n int, b config.Backend) {
		routes := []config.Route{{Name: "apps/web", Match: prefix("/"), Targets: to(b), Filters: []config.Filter{
			{ResponseHeaders: &config.HeaderChange{Set: []config.Header{{Name: "X-Generation", Value: fmt.Sprint("generation ", n)}}}},
		}}}
		if n%2 == 0 {
			routes = append([]config.Route{{Name: "apps/extra", Match: prefix("/extra"), Targets: to(b)}}, routes...)
		}
		c := simple(plain, []config.Backend{b}, routes...)
		c.Ports = append(c.Ports, secured(secret, b, config.Listener{Certificates: certs[n%2 : n%2+1], Hosts: []config.Host{{Routes: routes}}}).Ports...)
		if n%3 == 0 {
			c.Ports = append(c.Ports, config.Port{Listen: other, Public: 81, Listeners: c.Ports[0].Listeners})
		}
		f.apply(c)
	}
	now := serve(0)
	apply(0, now.b)

	kept := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}, Timeout: patience}
	t.Cleanup(kept.CloseIdleConnections)
	trust := &tls.Config{RootCAs: pool(certs...), ServerName: "a.example"}
	stop := make(chan struct{})
	ended := func() bool {
		select {
		case <-stop:
			return true
		default:
			return t.Failed()
		}
	}
	var asked atomic.Int64
	var wg, stopping sync.WaitGroup
	var done []*atomic.Int64 // requests of each worker
	tlsClient := over(t, secret, trust)
	for name, c := range map[string]*http.Client{
		"new connections": client, "kept connections": kept, "HTTP/2": h2c(t), "TLS": tlsClient,
	} {
		base := url(plain, "/")
		if name == "TLS" {
			base = "https://a.example/"
		}
		for range workers {
			mine := new(atomic.Int64)
			done = append(done, mine)
			wg.Go(func() {
				for i := 0; !ended(); i++ {
					method, body := http.MethodGet, ""
					if name != "kept connections" && i%2 == 1 {
						method, body = http.MethodPost, strings.Repeat("x", 1000)
					}
					a, err := try(c, method, base+"?delay=2ms", body, nil)
					if err != nil || a.code != 200 || a.seen.Body != body {
						t.Errorf("%s: %d %q, %v", name, a.code, a.body, err)
						return
					}
					asked.Add(1)
					mine.Add(1)
				}
			})
		}
	}
	for n := 1; n <= changes; n++ {
		before := asked.Load()
		if n%5 == 0 { // others leave the endpoints alone
			next := serve(n)
			apply(n, next.b)
			old := now
			now = next
			var marks []int64
			for _, d := range done {
				marks = append(marks, d.Load())
			}
			stopping.Go(func() {
				// As pods do, it goes on for a moment: a request of any worker may be on its
				// way to it, however long ago it was led there.
				for i, mark := range marks {
					for done[i].Load() < mark+2 && !t.Failed() {
						time.Sleep(time.Millisecond)
					}
				}
				old.stop()
			})
		} else {
			apply(n, now.b)
		}
		// Seen at once.
		if got := get(t, plain, "", "/"); got.headers.Get("X-Generation") != fmt.Sprint("generation ", n) {
			t.Errorf("change %d is not served: %v", n, got.headers)
		}
		eventually(t, "requests go on", func() bool { return asked.Load() > before || t.Failed() })
		if t.Failed() {
			break
		}
	}
	stopping.Wait() // for which the workers have to go on
	close(stop)
	wg.Wait()
	t.Logf("%d requests during %d changes", asked.Load(), changes)
	now.stop()
}

// TestPortsStay makes sure that a port that is in both configurations keeps its
// connections, and one that is not is closed.
func TestPortsStay(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	stays, goes, turns := freePort(t), freePort(t), freePort(t)
	cert := signed(t, "a.example")
	f := newGateway(t, nil)
	route := config.Route{Match: prefix("/"), Targets: to(b)}
	c := simple(stays, []config.Backend{b}, route)
	c.Ports = append(c.Ports, simple(goes, nil, route).Ports[0], simple(turns, nil, route).Ports[0])
	f.apply(c)
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	conns := map[int]net.Conn{}
	for _, port := range []int{stays, goes, turns} {
		conns[port] = must(dialLine(port, request))
		defer conns[port].Close()
		check(t, readResponse(conns[port]))
	}
	c.Ports = c.Ports[:1]
	c.Ports = append(c.Ports, secured(turns, b, config.Listener{Certificates: []config.Certificate{cert}}).Ports...)
	f.apply(c)
	io.WriteString(conns[stays], request)
	if err := readResponse(conns[stays]); err != nil {
		t.Errorf("a connection to a port that stays: %v", err)
	}
	for _, port := range []int{goes, turns} {
		io.WriteString(conns[port], request)
		eventually(t, "the connection is closed", func() bool { return readResponse(conns[port]) != nil })
	}
	if _, err := dialLine(goes, request); err == nil {
		t.Error("a port that is gone is open")
	}
	if name, err := served(turns, "a.example"); err != nil || name != "a.example" {
		t.Errorf("a port that turns to TLS: %q, %v", name, err)
	}
	// And back.
	c.Ports = append(c.Ports[:1], simple(turns, nil, route).Ports...)
	f.apply(c)
	if got := get(t, turns, "", "/"); got.code != 200 {
		t.Errorf("a port that turns back: %d", got.code)
	}
}

// readResponse reads a response of echo.
func readResponse(c net.Conn) error {
	head := make([]byte, 0, 4096)
	for one := make([]byte, 1); !strings.Contains(string(head), "\r\n\r\n"); {
		if _, err := io.ReadFull(c, one); err != nil {
			return err
		}
		head = append(head, one[0])
	}
	var length int
	for line := range strings.Lines(string(head)) {
		if _, err := fmt.Sscanf(line, "Content-Length: %d", &length); err == nil {
			break
		}
	}
	_, err := io.CopyN(io.Discard, c, int64(length))
	return err
}

// TestRequestsFinish closes a gateway with a request under way.
func TestRequestsFinish(t *testing.T) {
	entered := make(chan struct{})
	b := backend(t, "apps/web:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		time.Sleep(200 * time.Millisecond)
		fmt.Fprint(w, "done")
	}))
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	got := make(chan answer, 1)
	go func() {
		a, _ := try(client, http.MethodGet, url(port, "/"), "", nil)
		got <- a
	}()
	<-entered
	f.Close()
	if a := <-got; a.body != "done" {
		t.Errorf("got %d %q", a.code, a.body)
	}
	if _, err := dialLine(port, ""); err == nil {
		t.Error("a closed gateway takes connections")
	}
	if err := f.Apply(t.Context(), config.Gateway{Version: "9"}); err == nil {
		t.Error("a closed gateway takes a configuration")
	}
}

// TestCertificatesChange gets new certificates without losing a connection.
func TestCertificatesChange(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	one, two := signed(t, "a.example", "first"), signed(t, "a.example", "second")
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(secured(port, b, config.Listener{Certificates: []config.Certificate{one}}))
	c := over(t, port, &tls.Config{RootCAs: pool(one), ServerName: "a.example"})
	if got := do(t, c, http.MethodGet, "https://a.example/", "", nil); got.code != 200 {
		t.Fatal(got.code)
	}
	f.apply(secured(port, b, config.Listener{Certificates: []config.Certificate{two}}))
	// The old connection goes on: a new one would not be trusted.
	if got := do(t, c, http.MethodGet, "https://a.example/", "", nil); got.code != 200 {
		t.Error(got.code)
	}
	if _, err := try(over(t, port, &tls.Config{RootCAs: pool(one), ServerName: "a.example"}), http.MethodGet, "https://a.example/", "", nil); err == nil {
		t.Error("the old certificate is still shown")
	}
	if got := do(t, over(t, port, &tls.Config{RootCAs: pool(two), ServerName: "a.example"}), http.MethodGet, "https://a.example/", "", nil); got.code != 200 {
		t.Error(got.code)
	}
}
