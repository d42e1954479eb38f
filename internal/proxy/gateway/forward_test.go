package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
)

const second = config.Duration(time.Second)

func TestTimeouts(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	route := func(path string, edit func(*config.Route)) config.Route {
		r := config.Route{Match: prefix(path), Targets: to(b)}
		edit(&r)
		return r
	}
	newGateway(t, nil).apply(simple(port, []config.Backend{b},
		route("/request", func(r *config.Route) { r.RequestTimeout = second / 5 }),
		route("/backend", func(r *config.Route) { r.BackendTimeout = second / 5 }),
		route("/ample/request", func(r *config.Route) { r.RequestTimeout = 30 * second }),
		route("/ample/backend", func(r *config.Route) { r.BackendTimeout = 30 * second }),
		route("/both", func(r *config.Route) {
			r.RequestTimeout, r.BackendTimeout, r.Retry = second, second/10, &config.Retry{Attempts: 100, Backoff: second / 50}
		}),
		route("/none", func(*config.Route) {}),
	))
	for path, want := range map[string]int{
		"/ample/request": 200, "/ample/backend": 200,
		"/request?delay=1m": 504, "/backend?delay=1m": 504, "/both?delay=1m": 504,
		"/none?delay=500ms": 200,
	} {
		if got := get(t, port, "", path); got.code != want {
			t.Errorf("%s: got %d, want %d", path, got.code, want)
		}
	}
}

// TestTimeoutWhileBodyComes has a client that sends a body too slowly for the route.
func TestTimeoutWhileBodyComes(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b), RequestTimeout: second / 4}))
	body, w := io.Pipe()
	defer w.Close()
	go w.Write([]byte("some"))
	r := must(http.NewRequest(http.MethodPost, url(port, "/"), body))
	res, err := client.Do(r)
	check(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("got %s", res.Status)
	}
}

// flaky answers as its function says for each try of the same request.
func flaky(t *testing.T, name string, answer func(try int64, w http.ResponseWriter, r *http.Request)) (config.Backend, *atomic.Int64) {
	var tries atomic.Int64
	return backend(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(tries.Add(1), w, r) })), &tries
}

func TestRetries(t *testing.T) {
	status := func(n int64, code int) func(int64, http.ResponseWriter, *http.Request) {
		return func(try int64, w http.ResponseWriter, r *http.Request) {
			content := must(io.ReadAll(r.Body))
			if try <= n {
				w.WriteHeader(code)
			}
			w.Write(content)
		}
	}
	broken := func(_ int64, w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	slow := func(try int64, w http.ResponseWriter, r *http.Request) {
		if try == 1 {
			<-r.Context().Done()
		}
	}
	long := strings.Repeat("y", 500<<10)
	for name, tt := range map[string]struct {
		answer  func(int64, http.ResponseWriter, *http.Request)
		retry   *config.Retry
		timeout config.Duration
		body    string
		want    int
		tries   int64
	}{
		"not asked for":     {status(1, 503), nil, 0, "", 503, 1},
		"second try":        {status(1, 503), &config.Retry{Codes: []int{503}, Attempts: 3}, 0, "", 200, 2},
		"third, with body":  {status(2, 500), &config.Retry{Codes: []int{500}, Attempts: 3}, 0, "hello", 200, 3},
		"another code":      {status(1, 500), &config.Retry{Codes: []int{503}, Attempts: 3}, 0, "", 500, 1},
		"too few attempts":  {status(9, 503), &config.Retry{Codes: []int{503}, Attempts: 2}, 0, "", 503, 3},
		"no attempts":       {status(9, 503), &config.Retry{Codes: []int{503}}, 0, "", 503, 1},
		"broken connection": {broken, &config.Retry{Attempts: 2}, 0, "", 502, 3},
		"backend timeout":   {slow, &config.Retry{Attempts: 2}, 3 * second, "", 200, 2},
		"long body":         {status(1, 503), &config.Retry{Codes: []int{503}, Attempts: 2}, 0, long, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, tries := flaky(t, "apps/flaky:80", tt.answer)
			port := freePort(t)
			newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b), Retry: tt.retry, BackendTimeout: tt.timeout}))
			got := do(t, client, http.MethodPut, url(port, "/"), tt.body, nil)
			if got.code != tt.want || tries.Load() != tt.tries {
				t.Errorf("got %d after %d tries, want %d after %d", got.code, tries.Load(), tt.want, tt.tries)
			}
			if tt.want == 200 && got.body != tt.body {
				t.Errorf("the last try has the body %.20q", got.body)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	b, tries := flaky(t, "apps/flaky:80", func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b),
		Retry: &config.Retry{Codes: []int{503}, Attempts: 3, Backoff: second / 10}}))
	began := time.Now()
	if got := get(t, port, "", "/"); got.code != 503 || tries.Load() != 4 {
		t.Errorf("got %d after %d tries", got.code, tries.Load())
	}
	// At least what is configured, and twice as long each time.
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("three retries took %s", took)
	}
}

// dead is an endpoint where nobody listens.
func dead(t *testing.T) config.Endpoint {
	return config.Endpoint{Address: "127.0.0.1", Port: freePort(t)}
}

func TestEndpointsThatAreGone(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	b.Endpoints = append(b.Endpoints, dead(t), dead(t))
	gone := config.Backend{Name: "apps/gone:80", Endpoints: []config.Endpoint{dead(t)}}
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(simple(port, []config.Backend{b, gone}, config.Route{Match: prefix("/gone"), Targets: to(gone)}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for i := range 100 {
		// Nothing has been sent when a connection fails, so it is tried elsewhere, with the
		// body.
		body := fmt.Sprint("body ", i)
		if got := do(t, client, http.MethodPost, url(port, "/"), body, nil); got.seen.Body != body {
			t.Fatalf("request %d: %d %q", i, got.code, got.body)
		}
	}
	if !strings.Contains(f.log.String(), "an endpoint is left out for a while") {
		t.Error("endpoints that fail are not ejected")
	}
	if got := get(t, port, "", "/gone"); got.code != http.StatusBadGateway {
		t.Errorf("got %d", got.code)
	}
}

func TestSpreadsOverEndpoints(t *testing.T) {
	one, two := backend(t, "apps/web:80", echo("one")), backend(t, "apps/web:80", echo("two"))
	one.Endpoints = append(one.Endpoints, two.Endpoints...)
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{one}, config.Route{Match: prefix("/"), Targets: to(one)}))
	got := map[string]int{}
	for range 200 {
		got[get(t, port, "", "/").seen.Name]++
	}
	if got["one"] < 60 || got["two"] < 60 {
		t.Errorf("spread as %v", got)
	}
}

func TestForwardedHeaders(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	c := simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)})
	c.Ports[0].Public = 8080
	newGateway(t, nil).apply(c)
	got := do(t, client, http.MethodGet, url(port, "/"), "", func(r *http.Request) {
		r.Host = "a.example"
		for _, k := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Client-Cert", "Forwarded", "X-Real-Ip", "X_forwarded_for", "X-Forwarded_Proto", "X-Original-Url", "X_rewrite_url"} {
			r.Header[k] = []string{"forged"}
		}
		r.Header.Set("Connection", "X-Hop, Keep-Alive")
		r.Header.Set("X-Hop", "for this connection")
		r.Header.Set("Proxy-Authorization", "secret")
		r.Header.Set("Te", "trailers, deflate")
		r.Header.Set("Upgrade", "h2c")
		r.Header.Set("Http2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
		r.Header.Set("X_other_header", "kept")
	}).seen.Headers
	for k, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.example", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "8080", "Te": "trailers", "X_other_header": "kept"} {
		if v := strings.Join(got[k], ","); v != want {
			t.Errorf("%s: got %q, want %q", k, v, want)
		}
	}
	for k, v := range got {
		if strings.Join(v, "") == "forged" || k == "X-Hop" || k == "Proxy-Authorization" || k == "Upgrade" || k == "Connection" || k == "Http2-Settings" {
			t.Errorf("%s: %s has come through", k, v)
		}
	}
}

// TestResponseStreams has a backend that sends the second part when the client has got
// the first.
func TestResponseStreams(t *testing.T) {
	next := make(chan struct{})
	b := backend(t, "apps/web:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "first")
		w.(http.Flusher).Flush()
		<-next
		fmt.Fprint(w, "second")
		w.Header().Set("X-Sum", "42")
	}))
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		res, err := c.Get(url(port, "/"))
		check(t, err)
		part := make([]byte, 5)
		if _, err := io.ReadFull(res.Body, part); err != nil || string(part) != "first" {
			t.Fatalf("%s: got %q, %v", name, part, err)
		}
		next <- struct{}{}
		rest, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(rest) != "second" || res.Trailer.Get("X-Sum") != "42" {
			t.Errorf("%s: got %q and %v, %v", name, rest, res.Trailer, err)
		}
	}
}

// TestBrokenResponse makes sure that half a response is not taken for a whole one.
func TestBrokenResponse(t *testing.T) {
	b := backend(t, "apps/web:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		if a, err := try(c, http.MethodGet, url(port, "/"), "", nil); err == nil {
			t.Errorf("%s: got %d %q without an error", name, a.code, a.body)
		}
	}
}

func TestClientGone(t *testing.T) {
	entered, gone := make(chan struct{}), make(chan struct{})
	b := backend(t, "apps/web:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(gone)
	}))
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check(t, err)
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	if want := fmt.Sprintf(`strata_connections{direction="inbound",port="%d"} 1`, port); !strings.Contains(metrics(t, f), want) {
		t.Errorf("the connection is not counted")
	}
	check(t, c.Close())
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the backend is not told that the client has gone")
	}
	eventually(t, "a line in the log", func() bool { return strings.Contains(f.access.String(), `"status":499`) })
}

// TestUpgrade opens a WebSocket and speaks over it, by each kind of connection to
// backends that can carry one.
func TestUpgrade(t *testing.T) {
	b := backend(t, "apps/web:80", http.HandlerFunc(speak))
	ws := b
	ws.Name, ws.Protocol = "apps/ws:80", "ws"
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(simple(port, []config.Backend{b, ws},
		config.Route{Match: prefix("/ws"), Targets: to(ws)},
		config.Route{Match: prefix("/"), Targets: to(b), RequestTimeout: 3 * second, BackendTimeout: 3 * second}))
	for _, path := range []string{"/ws", "/"} {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		check(t, err)
		defer c.Close()
		check(t, c.SetDeadline(time.Now().Add(patience)))
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n", path)
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		check(t, err)
		res.Body.Close()
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: got %s", path, res.Status)
		}
		for i := range 3 {
			if i == 2 && path == "/" {
				time.Sleep(4 * time.Second) // the route's timeout is for requests
			}
			fmt.Fprintf(c, "hello %d\n", i)
			if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintf("you said hello %d\n", i) {
				t.Fatalf("%s: got %q, %v", path, line, err)
			}
		}
		c.Close()
	}
	eventually(t, "two lines in the log", func() bool { return strings.Count(f.access.String(), `"status":101`) == 2 })
}

// speak answers each line on a connection that has been upgraded.
func speak(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "no upgrade", http.StatusUpgradeRequired)
		return
	}
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(c, "you said "+line)
	}
}

func TestH2C(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	b.Protocol = "h2c"
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		if got := do(t, c, http.MethodPost, url(port, "/"), "body", nil); got.seen.Proto != "HTTP/2.0" || got.seen.Body != "body" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// metrics returns the metrics of a gateway as Prometheus reads them.
func metrics(t *testing.T, f *fixture) string {
	t.Helper()
	rec := httptest.NewRecorder()
	promHandler(f).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return rec.Body.String()
}

// TestExpectContinue has clients that wait for leave to send the body.
func TestExpectContinue(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	refuses := backend(t, "apps/refuses:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b, refuses},
		config.Route{Match: prefix("/refuses"), Targets: to(refuses)}, config.Route{Match: prefix("/web"), Targets: to(b)}))
	for path, want := range map[string]int{"/web": 200, "/refuses": 403, "/none": 404} {
		c := must(dialLine(port, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"))
		defer c.Close()
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		check(t, err)
		if res.Body.Close(); res.StatusCode == http.StatusContinue {
			io.WriteString(c, "hello")
			res, err = http.ReadResponse(r, nil)
			check(t, err)
			res.Body.Close()
		} else if want == 200 {
			t.Errorf("%s: the body is not asked for", path)
		}
		if res.StatusCode != want {
			t.Errorf("%s: got %s, want %d", path, res.Status, want)
		}
	}
}
