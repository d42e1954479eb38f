package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// serve serves until the test ends and returns the address.
func serve(t *testing.T, s *http.Server, o proxy.ListenOptions) string {
	t.Helper()
	l := must(proxy.Listen(t.Context(), "127.0.0.1:0", o))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- proxy.Serve(ctx, s, l, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("serve:", err)
		}
	})
	return l.Addr().String()
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	return resp.StatusCode, string(must(io.ReadAll(resp.Body)))
}

func TestHealth(t *testing.T) {
	var ready atomic.Bool
	address := serve(t, proxy.NewHealth(func() error {
		if ready.Load() {
			return nil
		}
		return errors.New("not yet")
	}, slog.New(slog.DiscardHandler)), proxy.ListenOptions{})
	for _, c := range []struct {
		path string
		code int
		text string
	}{
		{config.LivePath, 200, "ok\n"}, {config.ReadyPath, 503, "not yet\n"}, {"/", 404, ""}, {"/metrics", 404, ""}, {"/debug/pprof/", 404, ""},
	} {
		if code, text := get(t, http.DefaultClient, "http://"+address+c.path); code != c.code || c.text != "" && text != c.text {
			t.Errorf("%s: %d %q, want %d %q", c.path, code, text, c.code, c.text)
		}
	}
	ready.Store(true)
	if code, _ := get(t, http.DefaultClient, "http://"+address+config.ReadyPath); code != 200 {
		t.Errorf("ready: %d", code)
	}
}

func TestMetricsAreForTheControlPlane(t *testing.T) {
	ca := must(proxytest.NewAuthority())
	credentials := func(id string) *proxy.Credentials {
		v := must(proxytest.NewVolume(t.TempDir()))
		check(t, v.Write(must(ca.Issue(id, nil)), ca.Root()))
		c, _ := open(t, v, 0)
		return c
	}
	own := credentials(proxytest.ID("web"))
	telemetry := proxy.NewTelemetryWith(nil)
	telemetry.Stream(proxy.Inbound, "db", proxytest.ID("shop"))
	address := serve(t, must(proxy.NewMetrics(own, telemetry, slog.New(slog.DiscardHandler))), proxy.ListenOptions{})
	client := func(c *proxy.Credentials) *http.Client {
		conf := must(c.ClientTLS([]string{proxy.ALPNHTTP1}, proxytest.ID("web")))
		return &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
	}
	control := client(credentials(config.ID(proxytest.Domain, "strata-system", "strata-control")))
	want := `strata_connections_total{direction="inbound",peer="spiffe://test.acme.example/ns/apps/sa/shop",port="db"} 1`
	if code, text := get(t, control, "https://"+address+"/metrics"); code != 200 || !strings.Contains(text, want) {
		t.Errorf("the control plane gets %d %s", code, text)
	}
	if _, text := get(t, control, "https://"+address+"/metrics"); !strings.Contains(text, "\nstrata_certificate_expires_timestamp_seconds 1.") {
		t.Error("the end of the certificate is missing")
	}
	if code, _ := get(t, control, "https://"+address+"/"); code != 404 {
		t.Errorf("something else is served: %d", code)
	}
	for name, c := range map[string]*http.Client{
		"another workload":  client(credentials(proxytest.ID("shop"))),
		"itself":            client(own),
		"another namespace": client(credentials(config.ID(proxytest.Domain, "apps", "strata-control"))),
		"nobody":            {Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	} {
		if code, text := get(t, c, "https://"+address+"/metrics"); code != 0 || !strings.Contains(text, "tls: ") {
			t.Errorf("%s gets %d %s", name, code, text)
		}
	}
	if code, text := get(t, http.DefaultClient, "http://"+address+"/metrics"); code == 200 {
		t.Errorf("plain text gets %d %s", code, text)
	}
}

// TestListenerIsBounded floods a listener that has room for four.
func TestListenerIsBounded(t *testing.T) {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "open"})
	release := make(chan struct{})
	var inside, most atomic.Int32
	address := serve(t, proxy.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		inside.Add(-1)
	}), nil, slog.New(slog.DiscardHandler)), proxy.ListenOptions{MaxConnections: 4, Open: gauge})
	const clients = 20
	answers := make(chan string, clients)
	for range clients {
		go func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			code, text := get(t, client, "http://"+address)
			answers <- fmt.Sprint(code, text)
		}()
	}
	eventually(t, "four inside", func() bool { return inside.Load() == 4 && testutil.ToFloat64(gauge) == 4 })
	close(release)
	for range clients {
		if got := <-answers; got != "200" {
			t.Errorf("got %s", got)
		}
	}
	if most.Load() != 4 {
		t.Errorf("%d connections at once", most.Load())
	}
	eventually(t, "nothing open", func() bool { return testutil.ToFloat64(gauge) == 0 })
}

// TestClientThatNeverReads checks that a response which nobody takes ends.
func TestClientThatNeverReads(t *testing.T) {
	ended := make(chan error, 1)
	address := serve(t, proxy.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for chunk := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(chunk)
		}
		ended <- err
	}), nil, slog.New(slog.DiscardHandler)), proxy.ListenOptions{WriteTimeout: 200 * time.Millisecond})
	conn := must(net.Dial("tcp", address))
	defer conn.Close()
	must(io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
			t.Errorf("ended by %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the handler still writes")
	}
}

func TestServerLimits(t *testing.T) {
	address := serve(t, proxy.NewServer(http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler)), proxy.ListenOptions{})
	for name, c := range map[string]struct{ request, want string }{
		"headers too long":   {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 100<<10) + "\r\n\r\n", "431"},
		"request line":       {"GET /" + strings.Repeat("a", 100<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
		"NUL in a header":    {"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", "400"},
		"no host":            {"GET / HTTP/1.1\r\n\r\n", "400"},
		"two lengths":        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
		"space before colon": {"GET / HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n", "400"},
		"negative length":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
		"unknown coding":     {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := must(net.Dial("tcp", address))
			defer conn.Close()
			go io.WriteString(conn, c.request)
			b := make([]byte, 12)
			if _, err := io.ReadFull(conn, b); err != nil || string(b[9:]) != c.want {
				t.Errorf("got %q (%v), want %s", b, err, c.want)
			}
		})
	}
}

func TestTelemetry(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	telemetry := proxy.NewTelemetryWith(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	var forwarded string
	handler := func(code int) http.Handler {
		return telemetry.Observe(proxy.Inbound, "web", func(*http.Request) string { return "spiffe://x/y" }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			forwarded = r.Header.Get("Traceparent")
			if code == 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(103)
			w.WriteHeader(code)
		}))
	}
	for _, code := range []int{200, 204, 404, 503, 0} {
		r := httptest.NewRequest("GET", "/path?secret", nil)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		func() {
			defer func() {
				if p := recover(); p != nil && p != any(http.ErrAbortHandler) {
					panic(p)
				}
			}()
			handler(code).ServeHTTP(httptest.NewRecorder(), r)
		}()
	}
	const want = `
# HELP strata_requests_total Requests, by the class of their status.
# TYPE strata_requests_total counter
strata_requests_total{code="2xx",direction="inbound",peer="spiffe://x/y",port="web"} 2
strata_requests_total{code="4xx",direction="inbound",peer="spiffe://x/y",port="web"} 1
strata_requests_total{code="5xx",direction="inbound",peer="spiffe://x/y",port="web"} 2
`
	if err := testutil.GatherAndCompare(telemetry.Registry, strings.NewReader(want), "strata_requests_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(telemetry.Registry, "strata_request_duration_seconds"); n != 1 || err != nil {
		t.Errorf("%d histograms, %v", n, err)
	}
	got := spans.GetSpans()
	if len(got) != 5 {
		t.Fatalf("%d spans", len(got))
	}
	last := got[4]
	if last.Parent.SpanID().String() != "b7ad6b7169203331" || last.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || last.SpanKind != trace.SpanKindServer {
		t.Errorf("span %+v", last)
	}
	if want := fmt.Sprintf("00-%s-%s-01", last.SpanContext.TraceID(), last.SpanContext.SpanID()); forwarded != want {
		t.Errorf("forwarded %s, want %s", forwarded, want)
	}
	if text := fmt.Sprint(last.Attributes); strings.Contains(text, "secret") {
		t.Errorf("the span holds the query: %s", text)
	}

	// Nobody wants spans: what came goes on.
	telemetry = proxy.NewTelemetryWith(nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	handler(200).ServeHTTP(httptest.NewRecorder(), r)
	if forwarded != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
		t.Errorf("forwarded %s", forwarded)
	}
}

// TestSpansAreExported lets the exporter send to a collector's place.
func TestSpansAreExported(t *testing.T) {
	got := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := must(io.ReadAll(r.Body))
		got <- r.URL.Path + " " + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=web-1")
	telemetry := must(proxy.NewTelemetry(t.Context(), "web"))
	telemetry.Observe(proxy.Outbound, "api", func(*http.Request) string { return "" }, http.NotFoundHandler()).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	check(t, telemetry.Shutdown(t.Context()))
	select {
	case text := <-got:
		for _, want := range []string{"/v1/traces ", "GET api", "web-1", "service.name"} {
			if !strings.Contains(text, want) {
				t.Errorf("the export lacks %q: %q", want, text)
			}
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was exported")
	}
}

// TestSpansThatCannotBeSent has variables that are meant for somebody else.
func TestSpansThatCannotBeSent(t *testing.T) {
	var told error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = err }))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	telemetry := must(proxy.NewTelemetry(t.Context(), "web"))
	if told == nil || !strings.Contains(told.Error(), "only http/protobuf is spoken") {
		t.Errorf("told of %v", told)
	}
	w := httptest.NewRecorder()
	telemetry.Observe(proxy.Inbound, "web", func(*http.Request) string { return "" }, http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d", w.Code)
	}
}

// TestServeEnds checks that a request which runs when the server is told to stop ends well.
func TestServeEnds(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	l := must(proxy.Listen(t.Context(), "127.0.0.1:0", proxy.ListenOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- proxy.Serve(ctx, proxy.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(inside)
			<-release
			io.WriteString(w, "well")
		}), nil, slog.New(slog.DiscardHandler)), l, time.Minute)
	}()
	answer := make(chan string, 1)
	go func() {
		code, text := get(t, http.DefaultClient, "http://"+l.Addr().String())
		answer <- fmt.Sprint(code, text)
	}()
	<-inside
	cancel()
	eventually(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case <-done:
		t.Fatal("ended with a request inside")
	default:
	}
	close(release)
	if got := <-answer; got != "200 well" && got != "200well" {
		t.Errorf("got %s", got)
	}
	check(t, <-done)
}
