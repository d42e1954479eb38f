package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/acme/internal/broker"
	"example.com/acme/internal/retry"
	"example.com/acme/internal/shop"
)

// worker moves messages between the database and the broker.
type worker struct {
	log   *slog.Logger
	store *store
	queue string
}

// session runs both directions on one connection; when one ends, so does the other.
func (w *worker) session(ctx context.Context, conn *amqp.Connection) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan error, 2)
	go func() { ends <- w.relay(ctx, conn) }()
	go func() { ends <- broker.Consume(ctx, w.log, conn, shop.ShippedQueue(w.queue), 2, w.shipped) }()
	err := <-ends
	cancel()
	_ = <-ends // the other one ends because the first did
	return err
}

// relay publishes what the outbox holds, and keeps looking.
func (w *worker) relay(ctx context.Context, conn *amqp.Connection) error {
	const full = 100
	if err := broker.Ensure(conn, w.queue); err != nil {
		return err
	}
	p, err := broker.NewPublisher(conn)
	if err != nil {
		return err
	}
	send := func(messages []broker.Message) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		return p.Publish(ctx, w.queue, messages...)
	}
	var looked time.Time
	for {
		if time.Since(looked) > time.Minute {
			looked = time.Now()
			n, err := w.store.again(ctx, resend)
			if err != nil {
				return err
			}
			if n > 0 {
				w.log.WarnContext(ctx, "paid orders that nobody has shipped are sent again", "orders", n)
			}
		}
		n, err := w.store.drain(ctx, full, send)
		if err != nil {
			return err
		}
		if n > 0 {
			w.log.InfoContext(ctx, "orders sent to fulfilment", "orders", n)
		}
		if n == full {
			continue
		}
		// Another replica may have written the message and been killed: look by oneself too.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.store.wake:
		case <-time.After(time.Second):
		}
	}
}

// shipped records what fulfilment has shipped.
func (w *worker) shipped(ctx context.Context, m broker.Message) error {
	var s shop.Shipment
	if err := json.Unmarshal(m.Body, &s); err != nil {
		return broker.Unreadable(err)
	}
	if !shop.ValidOrderID(s.Order) || s.Tracking == "" || s.At.IsZero() {
		return broker.Unreadable(errors.New("the shipment lacks its order, its tracking number or its time"))
	}
	err := retry.Do(ctx, w.log, "recording a shipment", func(ctx context.Context) error {
		err := w.store.ship(ctx, s)
		if errors.Is(err, errNoOrder) {
			return retry.Permanent(broker.Unreadable(err))
		}
		return err
	})
	if err == nil {
		w.log.InfoContext(ctx, "order shipped", "tracking", s.Tracking)
	}
	return err
}
