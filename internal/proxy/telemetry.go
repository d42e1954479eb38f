package proxy

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
	"go.opentelemetry.io/otel/trace"
)

// Directions of requests and connections, as labels.
const (
	Inbound  = "inbound"
	Outbound = "outbound"
)

// spanQueue is how many spans wait for the exporter; more are dropped.
const spanQueue = 1024

// Telemetry counts and traces. The metrics are
//
//	strata_requests_total{direction,port,peer,code}      requests, by class of status ("2xx")
//	strata_request_duration_seconds{direction,port}      until the last byte of the response
//	strata_connections{direction,port}                   connections that are open
//	strata_connections_total{direction,port,peer}        streams of TCP that were carried
//
// where port is the name of an inbound port or of an outbound call, and peer the SPIFFE
// ID at the other end, of which there are as many as are declared. The sum over
// strata_requests_total{direction="inbound"} of a pod is how many requests it has got:
// autoscalers go by its rate. More may be registered with Registry.
type Telemetry struct {
	Registry *prometheus.Registry

	requests    *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	open        *prometheus.GaugeVec
	connections *prometheus.CounterVec

	tracer     trace.Tracer // nil: nobody wants spans
	propagator propagation.TraceContext
	shutdown   func(context.Context) error
}

// NewTelemetry returns telemetry for a service, such as the workload's name. Spans are sent
// by OTLP over HTTP when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
// is set, as OpenTelemetry's other variables say (OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES among them); else none are made, and headers with a trace's
// context (https://www.w3.org/TR/trace-context) pass as they are. So do they when these
// variables make no sense, such as those of a workload that speaks gRPC to its collector:
// otel.Handle is told, and traffic does not wait for it.
func NewTelemetry(ctx context.Context, service string) (*Telemetry, error) {
	client, err := newOTLPClient(os.Getenv)
	if err != nil {
		otel.Handle(err)
	}
	if client == nil {
		return NewTelemetryWith(nil), nil
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("exporter of spans: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(service)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("attributes of spans: %w", err)
	}
	return NewTelemetryWith(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(spanQueue)), sdktrace.WithResource(about))), nil
}

// NewTelemetryWith returns telemetry that makes its spans with a provider, which Shutdown
// ends; none if it is nil.
func NewTelemetryWith(spans *sdktrace.TracerProvider) *Telemetry {
	t := &Telemetry{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_requests_total", Help: "Requests, by the class of their status.",
		}, []string{"direction", "port", "peer", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "strata_request_duration_seconds", Help: "Time from a request's headers to the last byte of its response.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"direction", "port"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "strata_connections", Help: "Connections that are open.",
		}, []string{"direction", "port"}),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_connections_total", Help: "Streams of TCP that were carried.",
		}, []string{"direction", "port", "peer"}),
		shutdown: func(context.Context) error { return nil },
	}
	t.Registry.MustRegister(t.requests, t.durations, t.open, t.connections)
	if spans != nil {
		t.tracer, t.shutdown = spans.Tracer("github.com/stratahq/strata/internal/proxy"), spans.Shutdown
	}
	return t
}

// Shutdown sends the spans that have not been sent. It returns an error when ctx ends before.
func (t *Telemetry) Shutdown(ctx context.Context) error { return t.shutdown(ctx) }

// Open returns the gauge of the connections of a port; see ListenOptions.Open.
func (t *Telemetry) Open(direction, port string) prometheus.Gauge {
	return t.open.WithLabelValues(direction, port)
}

// Stream counts one stream of TCP.
func (t *Telemetry) Stream(direction, port, peer string) {
	t.connections.WithLabelValues(direction, port, peer).Inc()
}

// Observe returns a handler that counts the requests of next, and makes a span of each if
// spans are wanted: of a server's kind for Inbound, of a client's for Outbound. Next finds
// the span in the request's headers, to send on. Peer returns the label of a request; what
// it returns has to be one of few.
func (t *Telemetry) Observe(direction, port string, peer func(*http.Request) string, next http.Handler) http.Handler {
	o := &observed{t: t, direction: direction, port: port, peer: peer, next: next, kind: trace.SpanKindServer}
	if direction == Outbound {
		o.kind = trace.SpanKindClient
	}
	o.durations = t.durations.WithLabelValues(direction, port)
	return o
}

type observed struct {
	t               *Telemetry
	direction, port string
	peer            func(*http.Request) string
	durations       prometheus.Observer
	kind            trace.SpanKind
	next            http.Handler
}

// ServeHTTP implements http.Handler.
func (o *observed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	peer := o.peer(r)
	var span trace.Span
	if o.t.tracer != nil {
		r, span = o.start(r, peer)
	}
	rec := &recorder{ResponseWriter: w}
	// Deferred: a handler that gives up on a response panics.
	defer func() {
		if span != nil {
			span.SetAttributes(semconv.HTTPResponseStatusCode(rec.code))
			if rec.code >= 500 || rec.code == 0 {
				span.SetStatus(codes.Error, "")
			}
			span.End()
		}
		o.t.requests.WithLabelValues(o.direction, o.port, peer, class(rec.code)).Inc()
		o.durations.Observe(time.Since(began).Seconds())
	}()
	o.next.ServeHTTP(rec, r)
}

// start begins a span whose parent is what the request's headers say, and puts its own
// context into them.
func (o *observed) start(r *http.Request, peer string) (*http.Request, trace.Span) {
	headers := propagation.HeaderCarrier(r.Header)
	ctx, span := o.t.tracer.Start(o.t.propagator.Extract(r.Context(), headers), r.Method+" "+o.port, trace.WithSpanKind(o.kind),
		trace.WithAttributes(
			attribute.String("http.request.method", r.Method),
			semconv.URLPath(r.URL.Path),
			semconv.NetworkProtocolVersion(fmt.Sprintf("%d.%d", r.ProtoMajor, r.ProtoMinor)),
			attribute.String("strata.direction", o.direction),
			attribute.String("strata.port", o.port),
			attribute.String("strata.peer", peer),
		))
	o.t.propagator.Inject(ctx, headers)
	return r.WithContext(ctx), span
}

// recorder remembers a response's status.
type recorder struct {
	http.ResponseWriter
	code int
}

// Unwrap lets http.ResponseController reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Hijack implements http.Hijacker: whoever takes the connection writes the status himself,
// and it is that of a switch of protocols.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil && r.code == 0 {
		r.code = http.StatusSwitchingProtocols
	}
	return c, b, err
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(code int) {
	// Those before are provisional; 101 is the last one.
	if r.code == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// class is the label of a status; one that never came is a failure of the server.
func class(code int) string {
	switch {
	case code >= 500 || code < 100:
		return "5xx"
	case code >= 400:
		return "4xx"
	case code >= 300:
		return "3xx"
	case code >= 200:
		return "2xx"
	}
	return "1xx"
}
