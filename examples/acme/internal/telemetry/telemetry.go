// Package telemetry sets up logs, traces and metrics. Every program has trace ids and
// passes them on (W3C trace context); traces and metrics leave the process only where
// OTEL_EXPORTER_OTLP_ENDPOINT says where to.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	apitrace "go.opentelemetry.io/otel/trace"
)

// Scope names what our own spans come from.
const Scope = "example.com/acme"

// Start sets up tracing and metrics of a program. The returned function sends what is
// left; it is called last.
func Start(ctx context.Context, name string, log *slog.Logger) (func(context.Context) error, error) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", "error", err.Error()) }))
	// What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes last and wins.
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", name)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	traces := []trace.TracerProviderOption{trace.WithResource(res)}
	metrics := []metric.Option{metric.WithResource(res)}
	export := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
	if export {
		t, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
		m, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
		traces = append(traces, trace.WithBatcher(t))
		metrics = append(metrics, metric.WithReader(metric.NewPeriodicReader(m)))
	}
	tp := trace.NewTracerProvider(traces...)
	otel.SetTracerProvider(tp)
	stop := tp.Shutdown
	if export {
		mp := metric.NewMeterProvider(metrics...)
		otel.SetMeterProvider(mp)
		stop = func(ctx context.Context) error { return errors.Join(tp.Shutdown(ctx), mp.Shutdown(ctx)) }
	}
	return stop, nil
}

// Tracer makes our own spans.
func Tracer() apitrace.Tracer { return otel.Tracer(Scope) }

// Inject returns the context's trace as headers of a message.
func Inject(ctx context.Context) map[string]string {
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	return carrier
}

// Extract returns a context that continues the trace of a message.
func Extract(ctx context.Context, headers map[string]string) context.Context {
	return otel.GetTextMapPropagator().Extract(ctx, propagation.MapCarrier(headers))
}

// Logger writes JSON lines that carry the ids of their trace.
func Logger(w io.Writer, name string) *slog.Logger {
	return slog.New(handler{slog.NewJSONHandler(w, nil)}).With("service", name)
}

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if sc := apitrace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
