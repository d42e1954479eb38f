package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/acme/internal/telemetry"
	"example.com/acme/internal/testenv"
)

// run keeps a session up until the test calls stop.
func run(t *testing.T, mq *testenv.RabbitMQ, session func(context.Context, *amqp.Connection) error) (stop func()) {
	t.Helper()
	u, err := url.Parse(mq.Local)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- NewLink(u, "test", slog.New(slog.DiscardHandler)).Run(ctx, session) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Everything that a broker has confirmed is handled, though the broker and the consumer
// are killed in between.
func TestNothingIsLost(t *testing.T) {
	mq := testenv.StartRabbitMQ(t, testenv.NewCA(t))
	stopTelemetry, err := telemetry.Start(t.Context(), "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stopTelemetry(context.WithoutCancel(t.Context())) }()
	ctx, span := telemetry.Tracer().Start(t.Context(), "order")
	trace := span.SpanContext().TraceID().String()
	span.End()

	// The broker writes what queues there are a moment after it said so, and before it
	// ends: the platform declares them long before anybody needs them.
	declared := make(chan struct{})
	declare := sync.OnceFunc(func() { close(declared) })
	stop := run(t, mq, func(session context.Context, conn *amqp.Connection) error {
		if err := Ensure(conn, "orders"); err != nil {
			return err
		}
		declare()
		<-session.Done()
		return nil
	})
	<-declared
	stop()
	mq.Restart(t)

	const count = 250
	published := make(chan struct{})
	var once sync.Once
	stop = run(t, mq, func(session context.Context, conn *amqp.Connection) error {
		p, err := NewPublisher(conn)
		if err != nil {
			return err
		}
		var messages []Message
		for i := range count {
			messages = append(messages, Message{ID: fmt.Sprint(i), Body: []byte("{}"), Headers: telemetry.Inject(ctx)})
		}
		if err := p.Publish(session, "orders", append(messages, Message{ID: "bad", Body: []byte("?")})...); err != nil {
			return err
		}
		if err := p.Publish(session, "no-such-queue", Message{ID: "x"}); err == nil {
			t.Error("a message to a queue that does not exist was confirmed")
		}
		once.Do(func() { close(published) })
		<-session.Done()
		return nil
	})
	<-published
	stop()

	mq.Kill()
	mq.Start(t)

	var mu sync.Mutex
	got, tries, traces := map[string]bool{}, 0, map[string]bool{}
	all := make(chan struct{})
	consume := func(session context.Context, conn *amqp.Connection) error {
		return Consume(session, slog.New(slog.DiscardHandler), conn, "orders", 4, func(ctx context.Context, m Message) error {
			mu.Lock()
			defer mu.Unlock()
			if string(m.Body) == "?" {
				return Unreadable(errors.New("it makes no sense"))
			}
			// Every third time, it does not work: the message has to come again.
			if tries++; tries%3 == 0 {
				return errors.New("not now")
			}
			if sent := telemetry.Inject(ctx)["traceparent"]; len(sent) > 35 {
				traces[sent[3:35]] = true
			}
			if got[m.ID] = true; len(got) == count {
				select {
				case <-all:
				default:
					close(all)
				}
			}
			return nil
		})
	}
	stop = run(t, mq, consume)
	<-all
	stop()
	if len(traces) != 1 || !traces[trace] {
		t.Errorf("the messages belong to %d traces, and not to the one that sent them", len(traces))
	}

	conn, err := amqp.Dial(mq.Local)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	testenv.Wait(t, "what cannot be read is put aside", func() error {
		d, ok, err := ch.Get("orders-unreadable", true)
		if err == nil && (!ok || d.MessageId != "bad") {
			err = fmt.Errorf("message %q", d.MessageId)
		}
		return err
	})
}
