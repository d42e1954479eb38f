package gateway_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// entries returns the lines of the access log, n of them.
func entries(t *testing.T, f *fixture, n int) []map[string]any {
	t.Helper()
	eventually(t, "as many lines as requests", func() bool { return strings.Count(f.access.String(), "\n") >= n })
	var out []map[string]any
	for line := range strings.Lines(f.access.String()) {
		var e map[string]any
		check(t, json.Unmarshal([]byte(line), &e))
		out = append(out, e)
	}
	return out
}

func TestAccessLog(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(simple(port, []config.Backend{b}, config.Route{Name: "apps/web", Match: prefix("/web"), Targets: to(b)}))
	got := do(t, client, http.MethodPost, url(port, "/web/a%20b?password=secret1"), "secret2", func(r *http.Request) {
		r.Host = "a.example:80"
		r.Header = http.Header{"Authorization": {"Bearer secret3"}, "Cookie": {"a=secret4"}, "Traceparent": {traceparent}, "X": {"secret5"}}
	})
	do(t, client, http.MethodGet, url(port, "/"+strings.Repeat("long", 5000)), "", func(r *http.Request) { r.Host = "b\"\\.example" })
	all := entries(t, f, 2)
	first, second := all[0], all[1]
	for k, want := range map[string]any{
		"msg": "request", "route": "apps/web", "method": "POST", "host": "a.example:80", "path": "/web/a%20b", "status": 200.,
		"bytes": float64(len(got.body)), "client": "127.0.0.1", "protocol": "HTTP/1.1", "trace": traceID,
		"upstream": "127.0.0.1:" + strconv.Itoa(b.Endpoints[0].Port), "reason": nil,
	} {
		if first[k] != want {
			t.Errorf("%s: got %v, want %v", k, first[k], want)
		}
	}
	if d, ok := first["duration"].(float64); !ok || d <= 0 || d > 30 {
		t.Errorf("duration: %v", first["duration"])
	}
	if second["status"] != 404. && second["status"] != 400. || second["route"] != "" || len(second["path"].(string)) > 1100 || second["reason"] == "" {
		t.Errorf("got %v", second)
	}
	if s := f.access.String() + f.log.String(); strings.Contains(s, "secret") {
		t.Errorf("the log tells secrets: %s", s)
	}
}

func TestMetrics(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, nil)
	c := simple(port, []config.Backend{b},
		config.Route{Name: "apps/web", Match: prefix("/web"), Targets: to(b)},
		config.Route{Name: "apps/old", Match: prefix("/old"), Targets: to(b)})
	f.apply(c)
	for _, path := range []string{"/web", "/web", "/web?status=503", "/old", "/none"} {
		get(t, port, "", path)
	}
	has := func(want string) func() bool {
		return func() bool { return strings.Contains(metrics(t, f), want+"\n") }
	}
	for _, want := range []string{
		`strata_gateway_requests_total{code="2xx",route="apps/web"} 2`,
		`strata_gateway_requests_total{code="5xx",route="apps/web"} 1`,
		`strata_gateway_requests_total{code="4xx",route=""} 1`,
		`strata_gateway_request_duration_seconds_count{route="apps/web"} 3`,
		`strata_gateway_requests_total{code="2xx",route="apps/old"} 1`,
		`strata_gateway_configurations_total 1`,
		`strata_requests_total{code="2xx",direction="inbound",peer="",port="` + strconv.Itoa(port) + `"} 3`,
	} {
		eventually(t, want, has(want))
	}
	// Routes that are gone leave nothing behind.
	c.Ports[0].Listeners[0].Hosts[0].Routes = c.Ports[0].Listeners[0].Hosts[0].Routes[:1]
	f.apply(c)
	if text := metrics(t, f); strings.Contains(text, "apps/old") || !strings.Contains(text, "apps/web") {
		t.Error("what is counted does not follow the configuration")
	}
}

func TestTraces(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	rec := tracetest.NewSpanRecorder()
	for name, telemetry := range map[string]*proxy.Telemetry{
		"with spans": proxy.NewTelemetryWith(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))), "without": proxy.NewTelemetryWith(nil),
	} {
		f := newGateway(t, func(o *gateway.Options) { o.Telemetry = telemetry })
		f.apply(simple(port, []config.Backend{b}, config.Route{Name: "apps/web", Match: prefix("/"), Targets: to(b)}))
		got := do(t, client, http.MethodGet, url(port, "/"), "", func(r *http.Request) { r.Header.Set("Traceparent", traceparent) }).seen.Headers.Get("Traceparent")
		if !strings.HasPrefix(got, "00-"+traceID) {
			t.Errorf("%s: the backend is in the trace %q", name, got)
		}
		if name == "without" {
			if got != traceparent {
				t.Errorf("%s: the context has changed to %q", name, got)
			}
			f.Close()
			continue
		}
		f.Close()
		spans := rec.Ended()
		if len(spans) != 1 || spans[0].SpanContext().TraceID().String() != traceID || spans[0].Parent().SpanID().String() != "b7ad6b7169203331" || got != "00-"+traceID+"-"+spans[0].SpanContext().SpanID().String()+"-01" {
			t.Errorf("%s: spans %v, the backend is in %q", name, spans, got)
			continue
		}
		found := ""
		for _, a := range spans[0].Attributes() {
			if a.Key == "strata.route" {
				found = a.Value.AsString()
			}
		}
		if found != "apps/web" {
			t.Errorf("the span has the route %q", found)
		}
	}
}
