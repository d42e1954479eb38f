// Package broker speaks to the message broker such that no message is lost: what is
// published is confirmed by the broker, what is consumed is acknowledged once it is done,
// and connections come back by themselves. A message may arrive twice; who handles it has
// to cope with that.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"example.com/acme/internal/retry"
)

// settled is how long a connection has to hold to count as one that works.
const settled = 5 * time.Second

// Message is what queues hold.
type Message struct {
	// ID is the same each time that a message is sent again.
	ID   string
	Body []byte
	// Headers carry the trace (W3C trace context).
	Headers map[string]string
}

// Link is a connection to the broker that is made anew whenever it breaks.
type Link struct {
	url     string
	program string
	log     *slog.Logger
	up      atomic.Bool
}

// NewLink returns a link to the broker at an amqp:// or amqps:// URL.
func NewLink(u *url.URL, program string, log *slog.Logger) *Link {
	return &Link{url: u.String(), program: program, log: log}
}

// Check says whether the link is up; health checks call it.
func (l *Link) Check(context.Context) error {
	if !l.up.Load() {
		return errors.New("not connected to the broker")
	}
	return nil
}

// Run connects and runs the session on the connection, again and again until the context
// ends. The session's context ends with the connection.
func (l *Link) Run(ctx context.Context, session func(context.Context, *amqp.Connection) error) error {
	for {
		// After a connection that held for a while, the pauses start anew.
		err := retry.Do(ctx, l.log, "connecting to the broker", func(ctx context.Context) error {
			started := time.Now()
			err := l.once(ctx, session)
			if err != nil && ctx.Err() == nil && time.Since(started) > settled {
				l.log.WarnContext(ctx, "the connection to the broker ended", "error", err.Error())
				return nil
			}
			return err
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (l *Link) once(ctx context.Context, session func(context.Context, *amqp.Connection) error) error {
	props := amqp.NewConnectionProperties()
	props.SetClientConnectionName(l.program)
	// TLS checks the server's certificate with the authorities of the system.
	conn, err := amqp.DialConfig(l.url, amqp.Config{
		Heartbeat: 10 * time.Second, Locale: "en_US", Properties: props, Dial: amqp.DefaultDial(5 * time.Second),
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	l.up.Store(true)
	defer l.up.Store(false)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	go func() {
		select {
		case <-ctx.Done():
		case e := <-closed:
			cancel(lost{e})
		}
	}()
	err = session(ctx, conn)
	if e, ok := errors.AsType[lost](context.Cause(ctx)); ok {
		return e
	}
	if err == nil {
		return errors.New("the session ended")
	}
	return err
}

// lost is the cause of a context that ended with its connection.
type lost struct{ reason *amqp.Error }

func (e lost) Error() string {
	if e.reason == nil {
		return "the broker closed the connection"
	}
	return "the connection to the broker is lost: " + e.reason.Error()
}

// Ensure makes sure that a durable queue exists. One that the platform has declared is
// taken as it is, and the type of another is the one that the virtual host defaults to:
// how many brokers there are, and so what suits them, is for the platform to know.
func Ensure(conn *amqp.Connection, queue string) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	_, err = ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err == nil {
		return ch.Close()
	}
	// The broker has closed the channel with its answer.
	if e, ok := errors.AsType[*amqp.Error](err); !ok || e.Code != amqp.NotFound {
		return fmt.Errorf("queue %s: %w", queue, err)
	}
	if ch, err = conn.Channel(); err != nil {
		return err
	}
	defer ch.Close()
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		return fmt.Errorf("queue %s cannot be declared: %w", queue, err)
	}
	return nil
}
