package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"example.com/acme/internal/telemetry"
)

// grace is how long the handling of a message may go on when the program is to stop.
const grace = 10 * time.Second

// Unreadable marks an error that handling the message again cannot mend.
func Unreadable(err error) error { return unreadable{err} }

// IsUnreadable says whether an error was marked so.
func IsUnreadable(err error) bool {
	_, ok := errors.AsType[unreadable](err)
	return ok
}

type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// Consume hands the messages of a queue to a number of workers until the context ends.
// A message is acknowledged when its handler returns nil, and goes back to the queue when
// it does not. One that is Unreadable goes to the queue <queue>-unreadable, where people
// find it.
func Consume(ctx context.Context, log *slog.Logger, conn *amqp.Connection, queue string, workers int, handle func(context.Context, Message) error) error {
	aside := queue + "-unreadable"
	for _, q := range []string{queue, aside} {
		if err := Ensure(conn, q); err != nil {
			return err
		}
	}
	park, err := NewPublisher(conn)
	if err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	if err := ch.Qos(2*workers, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("queue %s: %w", queue, err)
	}
	log.InfoContext(ctx, "consumes", "queue", queue)

	work, stop := outlast(ctx)
	defer stop()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for d := range deliveries {
				// What is not begun goes back to the queue with the channel.
				if ctx.Err() != nil {
					return
				}
				if err := deliver(work, log, park, queue, aside, d, handle); err != nil {
					log.WarnContext(work, "message goes back to its queue", "queue", queue, "message", d.MessageId, "error", err.Error())
					_ = d.Nack(false, true)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("queue %s: the broker ended the consumer", queue)
}

// outlast returns a context that ends at once when the connection is lost, and after the
// grace when the program is to stop.
func outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		if _, ok := errors.AsType[lost](context.Cause(ctx)); ok {
			stop()
			return
		}
		time.AfterFunc(grace, stop)
	})
	return work, stop
}

func deliver(ctx context.Context, log *slog.Logger, park *Publisher, queue, aside string, d amqp.Delivery, handle func(context.Context, Message) error) error {
	headers := map[string]string{}
	for k, v := range d.Headers {
		if s, ok := v.(string); ok {
			headers[k] = s
		}
	}
	ctx, span := telemetry.Tracer().Start(telemetry.Extract(ctx, headers), queue+" process", trace.WithSpanKind(trace.SpanKindConsumer))
	defer span.End()
	m := Message{ID: d.MessageId, Body: d.Body, Headers: headers}
	err := handle(ctx, m)
	if err == nil {
		return d.Ack(false)
	}
	span.SetStatus(codes.Error, err.Error())
	if !IsUnreadable(err) {
		return err
	}
	log.ErrorContext(ctx, "message cannot be read and is put aside", "queue", aside, "message", d.MessageId, "error", err.Error())
	if err := park.Publish(ctx, aside, m); err != nil {
		return err
	}
	return d.Ack(false)
}
