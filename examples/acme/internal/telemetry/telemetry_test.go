package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestTraceGoesFromLogToMessageAndBack(t *testing.T) {
	stop, err := Start(t.Context(), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop(context.WithoutCancel(t.Context())) }()

	ctx, span := Tracer().Start(t.Context(), "work")
	defer span.End()
	var out bytes.Buffer
	Logger(&out, "test").InfoContext(ctx, "hello")
	var line map[string]string
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if want := span.SpanContext().TraceID().String(); line["trace_id"] != want || line["service"] != "test" {
		t.Errorf("line %v, trace %s", line, want)
	}

	_, other := Tracer().Start(Extract(context.Background(), Inject(ctx)), "elsewhere")
	defer other.End()
	if other.SpanContext().TraceID() != span.SpanContext().TraceID() {
		t.Error("the message does not continue the trace")
	}
}

func TestTracesAreSentWhereTheEndpointSays(t *testing.T) {
	var got atomic.Int32
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.URL.Path == "/v1/traces" && len(body) > 0 {
			got.Add(1)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	stop, err := Start(t.Context(), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := Tracer().Start(t.Context(), "work")
	span.End()
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Load() == 0 {
		t.Error("no trace arrived")
	}
}
