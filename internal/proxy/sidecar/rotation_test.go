package sidecar_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// load sends requests with n clients until it is stopped, and fails the test for each that
// has no answer of 200.
type load struct {
	sent, failed atomic.Int64
	stopping     atomic.Bool
	wait         sync.WaitGroup
}

func startLoad(t *testing.T, n int, c *http.Client, url string, body func() io.Reader) *load {
	l := &load{}
	for range n {
		l.wait.Go(func() {
			for !l.stopping.Load() {
				r, err := http.NewRequest("POST", url, nil)
				if body == nil {
					r.Method = "GET"
				} else {
					r, err = http.NewRequest("POST", url, body())
				}
				check(t, err)
				l.sent.Add(1)
				if got, err := try(c, r); err != nil || got.code != http.StatusOK {
					if l.failed.Add(1) < 5 {
						t.Errorf("%s: %d %s %v", url, got.code, got.body, err)
					}
				}
			}
		})
	}
	return l
}

// more waits until some more requests have been answered.
func (l *load) more(t *testing.T) {
	from := l.sent.Load()
	eventually(t, "more requests", func() bool { return l.sent.Load() > from+30 })
}

func (l *load) stop() {
	l.stopping.Store(true)
	l.wait.Wait()
}

// TestRotation changes all certificates, then the authority itself, while requests and
// connections are on their way. None may fail.
func TestRotation(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
	}))})
	echo := m.start(spec{name: "echo", callers: []string{"web"}, target: tcpApp(t, func(c *net.TCPConn) { io.Copy(c, c) })})
	m.point("api.apps.svc", api)
	m.point("echo.apps.svc", echo)
	// By TCP each connection has a handshake of its own.
	stream := call("api", config.ProtocolTCP)
	stream.Name = "stream"
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP), stream, call("echo", config.ProtocolTCP)}})
	old := must(net.Dial("tcp", web.calls["echo"]))
	defer old.Close()
	ping := func() {
		t.Helper()
		must(io.WriteString(old, "ping"))
		b := make([]byte, 4)
		if _, err := io.ReadFull(old, b); err != nil || string(b) != "ping" {
			t.Fatalf("the connection from before: %q, %v", b, err)
		}
	}
	ping()
	fresh := client(t, false)
	fresh.Transport.(*http.Transport).DisableKeepAlives = true
	loads := []*load{startLoad(t, 3, client(t, false), web.url("api"), nil), startLoad(t, 3, fresh, web.url("stream"), nil)}
	more := func() {
		for _, l := range loads {
			l.more(t)
		}
	}
	pods := []*pod{api, echo, web}
	loaded := func(p *pod, what string) int { return strings.Count(p.log.String(), what) }
	change := func(p *pod, ca *proxytest.Authority, roots ...[]byte) {
		certificates, trusts := loaded(p, "the pod's certificate is loaded"), loaded(p, "the trust domain's roots are loaded")
		check(t, p.volume.Write(must(ca.Issue(proxytest.ID(p.name), nil)), roots...))
		eventually(t, "new files are loaded", func() bool {
			return loaded(p, "the pod's certificate is loaded") > certificates && (len(roots) == 0 || loaded(p, "the trust domain's roots are loaded") >= trusts)
		})
	}
	more()
	for range 3 {
		for _, p := range pods {
			change(p, m.ca, m.ca.Root())
			more()
		}
	}
	next := must(proxytest.NewAuthority())
	for _, p := range pods {
		change(p, m.ca, m.ca.Root(), next.Root())
		eventually(t, "two roots", func() bool { return strings.Contains(p.log.String(), "count=2") })
		more()
	}
	for _, p := range pods {
		change(p, next, m.ca.Root(), next.Root())
		more()
	}
	for _, p := range pods {
		roots := loaded(p, "roots are loaded\" count=1")
		change(p, next, next.Root())
		eventually(t, "one root", func() bool { return loaded(p, "roots are loaded\" count=1") > roots })
		more()
	}
	ping()
	for _, l := range loads {
		l.stop()
		if l.failed.Load() > 0 {
			t.Errorf("%d of %d requests have failed", l.failed.Load(), l.sent.Load())
		}
	}
	// The old authority is worth nothing now.
	conn := must(net.Dial("tcp", web.calls["stream"]))
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("after all: %q, %v", b, err)
	}
	stale := m.start(spec{name: "api", target: app(t, http.NotFoundHandler()), callers: []string{"web"}})
	m.point("api.apps.svc", stale)
	eventually(t, "a server with the old authority is refused", func() bool {
		got, err := try(client(t, false), request(t, "GET", web.url("api"), nil))
		return err == nil && got.code == http.StatusServiceUnavailable && strings.Contains(got.body, "unknown authority") || stopOld(api)
	})
}

// stopOld ends a pod that is still reached by the connections from before.
func stopOld(p *pod) bool {
	p.stop()
	<-p.done
	return false
}
