package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// metrics of a gateway, beside those of proxy.Telemetry. Routes are as many as are
// configured: what is not configured any longer is forgotten.
type metrics struct {
	requests         *prometheus.CounterVec
	durations        *prometheus.HistogramVec
	retries          *prometheus.CounterVec
	ejections        *prometheus.CounterVec
	mirrors          *prometheus.CounterVec
	applied, refused prometheus.Counter
	appliedAt        prometheus.Gauge
}

func newMetrics(r *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_gateway_requests_total", Help: `Requests by route ("": none matched) and class of their status.`,
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "strata_gateway_request_duration_seconds", Help: "Time from a request's headers to the last byte of its response.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_gateway_retries_total", Help: "Requests that were sent to a backend again.",
		}, []string{"route"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_gateway_ejections_total", Help: "How often an endpoint was left out because it had failed.",
		}, []string{"backend"}),
		mirrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_gateway_mirrors_total", Help: "Requests to mirrors by what became of them.",
		}, []string{"result"}),
		applied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strata_gateway_configurations_total", Help: "Configurations that were put to use.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strata_gateway_configurations_refused_total", Help: "Configurations that could not be served.",
		}),
		appliedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "strata_gateway_configuration_timestamp_seconds", Help: "When the present configuration was put to use.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.durations, m.retries, m.ejections, m.mirrors, m.applied, m.refused, m.appliedAt} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// forget drops what is counted of routes and backends that next has not any longer.
func (m *metrics) forget(old, next *table) {
	for name := range old.routes {
		if !next.routes[name] {
			l := prometheus.Labels{"route": name}
			m.requests.DeletePartialMatch(l)
			m.durations.DeletePartialMatch(l)
			m.retries.DeletePartialMatch(l)
		}
	}
	for name := range old.backends {
		if next.backends[name] == nil {
			m.ejections.DeletePartialMatch(prometheus.Labels{"backend": name})
		}
	}
}

// classes are the labels of statuses by their first digit.
var classes = [...]string{"5xx", "1xx", "2xx", "3xx", "4xx", "5xx"}

// maxLogged is how much of what a client sends gets into a line of the log.
const maxLogged = 1024

// record counts a request that is over and writes its line. Neither headers nor the
// query are in it: they hold what is nobody's business.
func (g *Gateway) record(x *exchange) {
	code := x.code
	if code == 0 {
		code = x.out.code
	}
	name := ""
	if x.route != nil {
		name = x.route.name
	}
	took := time.Since(x.began)
	class := classes[0]
	if code/100 < len(classes) {
		class = classes[code/100]
	}
	g.metrics.requests.WithLabelValues(name, class).Inc()
	g.metrics.durations.WithLabelValues(name).Observe(took.Seconds())
	ctx := x.in.Context()
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.String("strata.route", name))
	}
	if g.opts.Access == nil {
		return
	}
	line := make([]slog.Attr, 0, 16)
	line = append(line,
		slog.String("route", name),
		slog.String("method", cut(x.in.Method)),
		slog.String("host", cut(x.in.Host)),
		slog.String("path", cut(rawPath(x.in))),
		slog.Int("status", code),
		slog.Int64("bytes", x.out.bytes),
		slog.Float64("duration", took.Seconds()),
		slog.String("client", x.client.String()),
		slog.String("protocol", x.in.Proto),
	)
	if x.endpoint != nil {
		line = append(line, slog.String("upstream", x.endpoint.Address))
	}
	if id := traceID(ctx, x); id != "" {
		line = append(line, slog.String("trace", id))
	}
	if x.reason != "" {
		line = append(line, slog.String("reason", x.reason))
	}
	g.opts.Access.LogAttrs(ctx, slog.LevelInfo, "request", line...)
}

func cut(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged]
	}
	return s
}

// traceID returns the ID of the trace that a request is part of, if any.
func traceID(ctx context.Context, x *exchange) string {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() && len(x.in.Header["Traceparent"]) > 0 {
		c = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(x.in.Header)))
	}
	if !c.IsValid() {
		return ""
	}
	return c.TraceID().String()
}
