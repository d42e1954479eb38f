package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"example.com/acme/internal/telemetry"
)

// tracer makes a span of every query that belongs to a trace. Queries outside one, such as
// those of health checks and polling loops, would be noise.
type tracer struct{}

var _ pgx.QueryTracer = tracer{}

// TraceQueryStart implements pgx.QueryTracer.
func (tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	verb, _, _ := strings.Cut(strings.TrimSpace(q.SQL), " ")
	ctx, _ = telemetry.Tracer().Start(ctx, "postgres "+strings.ToUpper(verb), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql"), attribute.String("db.query.text", q.SQL)))
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	span := trace.SpanFromContext(ctx)
	if q.Err != nil && !errors.Is(q.Err, pgx.ErrNoRows) {
		span.SetStatus(codes.Error, q.Err.Error())
	}
	span.End()
}
