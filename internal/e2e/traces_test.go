package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is what programs, sidecars and gateways have sent to a receiver of OTLP over
// HTTP (https://opentelemetry.io/docs/specs/otlp): spans by trace.
type collected struct {
	mu     sync.Mutex
	traces map[string][]span
}

// span is what is looked at of a span.
type span struct {
	service, name string
	kind          tracepb.Span_SpanKind
}

func (c *collected) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	var b bytes.Buffer
	var doc collector.ExportTraceServiceRequest
	_, err := b.ReadFrom(body)
	if err == nil && q.URL.Path == "/v1/traces" {
		err = proto.Unmarshal(b.Bytes(), &doc)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range doc.ResourceSpans {
		service := ""
		for _, a := range r.Resource.GetAttributes() {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, s := range r.ScopeSpans {
			for _, one := range s.Spans {
				id := hex.EncodeToString(one.TraceId)
				c.traces[id] = append(c.traces[id], span{service, one.Name, one.Kind})
			}
		}
	}
}

// services lists who took part in a trace, with the kinds of their spans.
func (c *collected) services(trace string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range c.traces[trace] {
		seen[s.service+" "+strings.ToLower(strings.TrimPrefix(s.kind.String(), "SPAN_KIND_"))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// traced: one order is one trace, from the gateway through sidecars and programs and the
// broker to the worker.
func traced(l *local, t *testing.T) {
	c := &collected{traces: map[string][]span{}}
	there, err := listenIn(containerdOf(t, l.nodes), "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(there) }() // ends when the server is closed
	t.Cleanup(func() { server.Close() })
	file := filepath.Join(l.dir, "environments", "local.yaml")
	endpoint := fmt.Sprintf("http://%s:%d", l.config(t).Addr(), there.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(file, []byte(strings.Replace(read(t, file), "spec:\n", "spec:\n  telemetry: {endpoint: \""+endpoint+"\"}\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	l.up()
	l.replaced(t) // an order that an old pod takes has spans of nobody there

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	client := browserLike()
	client.Transport = withTrace{client.Transport, "00-" + trace + "-00f067aa0ba902b7-01"}
	order := l.order(client, firstProduct(t, l.get(t, "/")))
	if order == "" {
		t.Fatal("the shop took no order")
	}
	l.allShipped(t, []string{order})
	want := []string{"gateway server", "storefront server", "storefront client", "checkout server", "fulfilment consumer"}
	var got []string
	deadline := time.Now().Add(2 * time.Minute)
	for {
		got = c.services(trace)
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool {
			return slices.ContainsFunc(got, func(g string) bool {
				return g == w || w == "gateway server" && strings.HasPrefix(g, "public-") && strings.HasSuffix(g, " server")
			})
		})
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			c.mu.Lock()
			n := len(c.traces)
			c.mu.Unlock()
			t.Fatalf("the order's trace has %q of %d traces; missing: %q", got, n, missing)
		}
		time.Sleep(time.Second)
	}
	t.Logf("the trace of %s: %q", order, got)
}

// withTrace sends requests as parts of a trace (https://www.w3.org/TR/trace-context).
type withTrace struct {
	next   http.RoundTripper
	parent string
}

func (w withTrace) RoundTrip(q *http.Request) (*http.Response, error) {
	q = q.Clone(q.Context())
	q.Header.Set("Traceparent", w.parent)
	return w.next.RoundTrip(q)
}
