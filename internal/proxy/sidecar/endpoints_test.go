package sidecar_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/proxy/balance"
	"github.com/stratahq/strata/internal/proxy/config"
)

func TestEndpointsComeAndGo(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	var mu sync.Mutex
	seen := map[string]int{}
	count := func(name string) int {
		mu.Lock()
		defer mu.Unlock()
		return seen[name]
	}
	served := func(name string) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			mu.Lock()
			defer mu.Unlock()
			seen[name]++
		})
	}
	api := func(name string) (*pod, func()) {
		port, stop := stoppableApp(t, 0, served(name))
		return m.start(spec{name: "api", target: port, callers: []string{"web"}}), stop
	}
	one, _ := api("one")
	two, stopTwo := api("two")
	m.point("api.apps.svc", one, two)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	l := startLoad(t, 4, client(t, false), web.url("api"), nil)
	eventually(t, "both are used", func() bool { return count("one") > 50 && count("two") > 50 })

	three, _ := api("three")
	m.point("api.apps.svc", one, two, three)
	eventually(t, "a new one is used", func() bool { return count("three") > 50 })

	one.stop() // in order, while DNS still has it
	<-one.done
	l.more(t)
	m.point("api.apps.svc", two, three)
	l.more(t)

	stopTwo() // the application ends before its sidecar, as when a pod is deleted
	l.more(t)
	m.point("api.apps.svc", three)
	before := count("three")
	eventually(t, "the last one does it all", func() bool { return count("three") > before+200 })
	l.stop()
	if l.failed.Load() > 0 {
		t.Errorf("%d of %d requests have failed", l.failed.Load(), l.sent.Load())
	}

	m.point("api.apps.svc")
	eventually(t, "nobody is left", func() bool {
		got := do(t, client(t, false), request(t, "GET", web.url("api"), nil))
		return got.code == http.StatusServiceUnavailable && got.body == "strata: api cannot be reached: it has no ready pods\n"
	})
	m.point("api.apps.svc", three)
	eventually(t, "and back again", func() bool {
		return do(t, client(t, false), request(t, "GET", web.url("api"), nil)).code == http.StatusOK
	})
}

// TestReplacedSinceTheLastCall calls a workload all of whose pods are others than those of
// the list that the caller has: it asks once more before it gives up.
func TestReplacedSinceTheLastCall(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	target := app(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	api := func() *pod { return m.start(spec{name: "api", target: target, callers: []string{"web"}}) }
	now := api()
	m.point("api.apps.svc", now)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	for range 3 {
		if got := do(t, client(t, false), request(t, "POST", web.url("api"), strings.NewReader("an order"))); got.code != http.StatusOK {
			t.Fatalf("got %d %s", got.code, got.body)
		}
		next := api()
		now.stop()
		<-now.done
		now.left(t)
		m.point("api.apps.svc", next)
		now = next
	}
}

// TestServiceKnowsSooner calls a workload whose pod was replaced, of which DNS does not know
// yet but the network does.
func TestServiceKnowsSooner(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	target := app(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	api := func() *pod { return m.start(spec{name: "api", target: target, callers: []string{"web"}}) }
	old, next := api(), api()
	known, tcp := call("api", config.ProtocolHTTP), call("api", config.ProtocolTCP)
	tcp.Name = "db"
	known.Service = net.JoinHostPort(next.address, strconv.Itoa(config.InboundBase))
	tcp.Service = known.Service
	web := m.start(spec{name: "web", outbound: []config.Outbound{known, tcp}})
	get := func(name string) int {
		return do(t, client(t, false), request(t, "POST", web.url(name), strings.NewReader("an order"))).code
	}
	if code := get("api"); code != http.StatusOK {
		t.Fatalf("DNS has nobody: got %d", code)
	}
	m.point("api.apps.svc", old)
	eventually(t, "DNS has the old one", func() bool { get("api"); return strings.Contains(web.log.String(), "now=1") })
	old.stop()
	<-old.done
	old.left(t)
	for range 5 {
		for _, name := range []string{"api", "db"} {
			if code := get(name); code != http.StatusOK {
				t.Fatalf("%s: got %d", name, code)
			}
		}
	}
	next.stop()
	<-next.done
	next.left(t)
	if code := get("api"); code != http.StatusServiceUnavailable {
		t.Errorf("with nobody left: got %d", code)
	}
}

// TestRefusedBodies sends requests whose bodies nobody wants by one connection, which has to
// outlast them.
func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(web.url("api"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i := range 100 {
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: api\r\nContent-Length: 8\r\n\r\nan order"); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("request %d: %v\n%s", i, err, web.log)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("request %d: %s, %v", i, resp.Status, err)
		}
	}
}

func TestIdleSidecarsAskNobody(t *testing.T) {
	m := newMesh(t)
	m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP), call("db", config.ProtocolTCP)}})
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) > 0 {
		t.Errorf("names were looked up: %v", m.asked)
	}
}

// TestLookupFails keeps the last addresses while DNS does not answer.
func TestLookupFails(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	api := m.start(spec{name: "api", target: app(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), callers: []string{"web"}})
	m.point("api.apps.svc", api)
	web, o := m.prepare(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP), call("other", config.ProtocolHTTP)}})
	var broken atomic.Bool
	var failed atomic.Int32
	lookup := o.Lookup
	o.Lookup = func(ctx context.Context, host string) (a []netip.Addr, err error) {
		if broken.Load() {
			failed.Add(1)
			return nil, errors.New("SERVFAIL")
		}
		return lookup(ctx, host)
	}
	m.run(web, o)
	eventually(t, "ready", func() bool { return web.probe(config.ReadyPath) == http.StatusOK })
	get := func(name string) reply { return do(t, client(t, false), request(t, "GET", web.url(name), nil)) }
	if got := get("api"); got.code != http.StatusOK {
		t.Fatalf("got %d %s", got.code, got.body)
	}
	broken.Store(true)
	eventually(t, "lookups have failed", func() bool {
		if got := get("api"); got.code != http.StatusOK {
			t.Fatalf("got %d %s", got.code, got.body)
		}
		return failed.Load() > 1
	})
	if got := get("other"); got.code != http.StatusServiceUnavailable || !strings.Contains(got.body, "SERVFAIL") {
		t.Errorf("got %d %s", got.code, got.body)
	}
}

// TestEjection has one pod of two that answers nothing but 503.
func TestEjection(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	var bad atomic.Int32
	sick := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		bad.Add(1)
		w.Header().Set("Strata-Not-Delivered", "true") // which is not for an application to say
		w.WriteHeader(http.StatusServiceUnavailable)
	}))})
	well := m.start(spec{name: "api", target: app(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), callers: []string{"web"}})
	m.point("api.apps.svc", sick, well)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	c := client(t, false)
	codes := map[int]int{}
	ejections := 0
	for range 300 {
		began, before := time.Now(), ejections
		got := do(t, c, request(t, "GET", web.url("api"), nil))
		codes[got.code]++
		if got.header.Get("Strata-Not-Delivered") != "" {
			t.Error("a header between sidecars arrives")
		}
		must(fmt.Sscanf(web.metric(t, "strata_ejections_total"), `strata_ejections_total{port="api"} %d`, &ejections))
		if ejections == before {
			continue
		}
		// On a machine that is slow the pod's time out may be over before the test is, so
		// this is looked at when it has begun.
		if got := web.metric(t, "strata_endpoints_ejected"); got != "strata_endpoints_ejected{port=\"api\"} 1\n" && time.Since(began) < balance.Ejection {
			t.Errorf("ejected: %s", got)
		}
	}
	if n := int(bad.Load()); ejections == 0 || n != codes[503] || codes[200] != 300-n || n < ejections*balance.Failures || n >= (ejections+1)*balance.Failures {
		t.Errorf("codes %v, %d requests to the sick pod, %d ejections", codes, n, ejections)
	}
	if got := web.metric(t, "strata_endpoints"); got != "strata_endpoints{port=\"api\"} 2\n" {
		t.Errorf("endpoints: %s", got)
	}
}

// TestRetryBudget has pods that take no connections, and counts what they are asked.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	const requests = 300
	knocks := func(t *testing.T, n int) (int, time.Duration) {
		m := newMesh(t)
		var knocks atomic.Int32
		var pods []*pod
		for range n {
			p := &pod{address: address()}
			l := must(net.Listen("tcp", p.inbound()))
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					knocks.Add(1)
					c.Close()
				}
			}()
			pods = append(pods, p)
		}
		m.point("api.apps.svc", pods...)
		web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
		c := client(t, false)
		began := time.Now()
		for range requests {
			if got := do(t, c, request(t, "GET", web.url("api"), nil)); got.code != http.StatusServiceUnavailable {
				t.Fatalf("got %d %s", got.code, got.body)
			}
		}
		return int(knocks.Load()), time.Since(began)
	}
	t.Run("three pods", func(t *testing.T) {
		// A fifth of the requests, one a second, and what is saved up at first.
		n, took := knocks(t, 3)
		if most := requests + requests/5 + int(took.Seconds()) + 1 + 20; n > most || n < requests+requests/5 {
			t.Errorf("%d requests have become %d; at most %d are in the budget", requests, n, most)
		}
	})
	t.Run("one pod", func(t *testing.T) {
		// To ask the same one again at once is in vain.
		if n, _ := knocks(t, 1); n != requests {
			t.Errorf("%d requests have become %d", requests, n)
		}
	})
}

// TestNothingIsSentTwice has an application that takes a request and breaks off.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	var mu sync.Mutex
	seen := map[string]int{}
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		seen[string(b)]++
		n := len(seen)
		mu.Unlock()
		if n%3 == 0 {
			panic(http.ErrAbortHandler)
		}
	})
	var pods []*pod
	for range 2 {
		pods = append(pods, m.start(spec{name: "api", target: app(t, handler), callers: []string{"web"}}))
	}
	m.point("api.apps.svc", pods...)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	codes := map[int]int{}
	for i := range 60 {
		codes[do(t, client(t, false), request(t, "POST", web.url("api"), strings.NewReader(fmt.Sprint("order ", i)))).code]++
	}
	if codes[200] == 0 || codes[502] == 0 || codes[200]+codes[502] != 60 {
		t.Errorf("codes %v", codes)
	}
	mu.Lock()
	defer mu.Unlock()
	for order, n := range seen {
		if n > 1 {
			t.Errorf("%q has been sent %d times", order, n)
		}
	}
}

// TestNoBodyIsSentInPart has one pod of two whose application is gone: a body that has
// been read from goes nowhere else, where it would lack its beginning.
func TestNoBodyIsSentInPart(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	const size = 1 << 20
	var short atomic.Int32
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n != size {
			short.Add(1)
		}
	})
	m.point("api.apps.svc",
		m.start(spec{name: "api", target: app(t, handler), callers: []string{"web"}}),
		m.start(spec{name: "api", target: freeport.Get(t), callers: []string{"web"}}))
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	codes := map[int]int{}
	for range 40 {
		// Without a length, an end that comes too soon is no error.
		body := io.MultiReader(strings.NewReader(strings.Repeat("x", size)))
		codes[do(t, client(t, false), request(t, "POST", web.url("api"), body)).code]++
	}
	if codes[200] == 0 || codes[503] == 0 || codes[200]+codes[503] != 40 || short.Load() > 0 {
		t.Errorf("codes %v, %d bodies were short", codes, short.Load())
	}
}

func TestTimeouts(t *testing.T) {
	m := newMesh(t)
	var entered, gone atomic.Int32
	inside := make(chan struct{})
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/quick" {
			return
		}
		entered.Add(1)
		switch r.URL.Path {
		case "/half":
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
		case "/wait":
			select {
			case inside <- struct{}{}:
			case <-r.Context().Done():
			}
		}
		<-r.Context().Done()
		gone.Add(1)
	}))})
	m.point("api.apps.svc", api)
	limited := call("api", config.ProtocolHTTP)
	limited.Timeout = config.Duration(2 * time.Second)
	patient := call("api", config.ProtocolHTTP)
	patient.Name = "patient"
	web := m.start(spec{name: "web", outbound: []config.Outbound{limited, patient}})
	both(t, func(t *testing.T, c *http.Client) {
		learns := func() {
			eventually(t, "the application learns that its client has gone", func() bool { return gone.Load() == entered.Load() })
		}
		// The first request also makes the connections, which counts.
		eventually(t, "a quick one passes", func() bool { return do(t, c, request(t, "GET", web.url("api")+"/quick", nil)).code == http.StatusOK })
		// On a machine that is slow the time may be over before the application has the
		// request, which says nothing of the application.
		before := entered.Load()
		eventually(t, "one that takes too long reaches the application", func() bool {
			got := do(t, c, request(t, "GET", web.url("api"), nil))
			if got.code != http.StatusGatewayTimeout || got.body != "strata: api has not answered within 2s\n" {
				t.Fatalf("got %d %s", got.code, got.body)
			}
			return entered.Load() > before
		})
		learns()
		eventually(t, "half a response comes before its time is over", func() bool {
			got, err := try(c, request(t, "GET", web.url("api")+"/half", nil))
			if err == nil && got.code != http.StatusGatewayTimeout {
				t.Fatalf("a response that takes too long ends as %d %q", got.code, got.body)
			}
			return err != nil && got.body == "half"
		})
		learns()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			select {
			case <-inside:
				cancel()
			case <-ctx.Done():
			}
		}()
		if _, err := try(c, request(t, "GET", web.url("patient")+"/wait", nil).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		learns()
	})
}
