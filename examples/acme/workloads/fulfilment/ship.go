package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/acme/internal/broker"
	"example.com/acme/internal/retry"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/telemetry"
)

// workers is how many orders one pod ships at a time; more pods come when the queue
// grows.
const workers = 4

type bucket interface {
	Put(ctx context.Context, key, contentType string, body []byte) error
}

type eventLog interface {
	Append(ctx context.Context, key string, event []byte) error
}

type publisher interface {
	Publish(ctx context.Context, queue string, messages ...broker.Message) error
}

type shipper struct {
	log    *slog.Logger
	queue  string
	labels bucket
	events eventLog
}

func (s *shipper) session(ctx context.Context, conn *amqp.Connection) error {
	if err := broker.Ensure(conn, shop.ShippedQueue(s.queue)); err != nil {
		return err
	}
	p, err := broker.NewPublisher(conn)
	if err != nil {
		return err
	}
	return broker.Consume(ctx, s.log, conn, s.queue, workers, func(ctx context.Context, m broker.Message) error {
		return s.ship(ctx, p, m)
	})
}

// ship does everything that shipping an order takes, and tries again whatever fails:
// the order is acknowledged only when it returns nil.
func (s *shipper) ship(ctx context.Context, p publisher, m broker.Message) error {
	var o shop.Order
	if err := json.Unmarshal(m.Body, &o); err != nil {
		return broker.Unreadable(err)
	}
	if !shop.ValidOrderID(o.ID) || len(o.Lines) == 0 {
		return broker.Unreadable(errors.New("the order lacks its id or its lines"))
	}
	number := trackingNumber(o.ID)
	label, err := drawLabel(o, number)
	if err != nil {
		return broker.Unreadable(err)
	}
	key := "labels/" + o.PlacedAt.UTC().Format("2006/01/02") + "/" + o.ID + ".svg"
	shipment := shop.Shipment{Order: o.ID, Tracking: number, Label: key, At: time.Now().UTC().Truncate(time.Millisecond)}
	answer, err := json.Marshal(shipment)
	if err != nil {
		return err
	}
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"storing a label", func(ctx context.Context) error { return s.labels.Put(ctx, key, "image/svg+xml", label) }},
		{"writing an event", func(ctx context.Context) error { return s.events.Append(ctx, o.ID, answer) }},
		{"answering checkout", func(ctx context.Context) error {
			// A confirmation is waited for in the connection's context; a broken one ends it.
			return p.Publish(ctx, shop.ShippedQueue(s.queue), broker.Message{ID: o.ID, Body: answer, Headers: telemetry.Inject(ctx)})
		}},
	}
	for _, step := range steps {
		err := retry.Do(ctx, s.log, step.what, func(ctx context.Context) error {
			ctx, span := telemetry.Tracer().Start(ctx, step.what)
			defer span.End()
			return step.do(ctx)
		})
		if err != nil {
			return err
		}
	}
	s.log.InfoContext(ctx, "order shipped", "tracking", number)
	return nil
}

// kafka appends events to the topic of shipments.
type kafka struct{ client *kgo.Client }

// Append returns once all replicas of the partition have the event. Events of one order
// have its id as their key: readers tell repetitions by it.
func (k kafka) Append(ctx context.Context, key string, event []byte) error {
	r := &kgo.Record{Key: []byte(key), Value: event}
	for name, value := range telemetry.Inject(ctx) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return k.client.ProduceSync(ctx, r).FirstErr()
}
