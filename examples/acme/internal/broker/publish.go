package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// batch bounds how many messages await their confirmation at a time.
const batch = 100

// Publisher sends messages to queues and waits until the broker has them on disk.
type Publisher struct {
	mu      sync.Mutex
	ch      *amqp.Channel
	returns chan amqp.Return
}

// NewPublisher opens a channel of a connection for publishing.
func NewPublisher(conn *amqp.Connection) (*Publisher, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		return nil, err
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	go func() {
		// A channel alone cannot be mended; a new connection gets a new one.
		if e := <-closed; e != nil {
			_ = conn.Close()
		}
	}()
	return &Publisher{ch: ch, returns: ch.NotifyReturn(make(chan amqp.Return, batch))}, nil
}

// Publish returns nil once the broker has confirmed every message. After an error, any of
// them may have arrived or not, and all are to be sent again.
func (p *Publisher) Publish(ctx context.Context, queue string, messages ...Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(messages) > 0 {
		n := min(len(messages), batch)
		if err := p.send(ctx, queue, messages[:n]); err != nil {
			return fmt.Errorf("queue %s: %w", queue, err)
		}
		messages = messages[n:]
	}
	return nil
}

func (p *Publisher) send(ctx context.Context, queue string, messages []Message) error {
	confirms := make([]*amqp.DeferredConfirmation, 0, len(messages))
	for _, m := range messages {
		headers := amqp.Table{}
		for k, v := range m.Headers {
			headers[k] = v
		}
		// Mandatory: a message that no queue takes comes back instead of vanishing.
		c, err := p.ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false, amqp.Publishing{
			ContentType: "application/json", DeliveryMode: amqp.Persistent, MessageId: m.ID, Headers: headers, Body: m.Body,
		})
		if err != nil {
			return err
		}
		confirms = append(confirms, c)
	}
	for _, c := range confirms {
		ok, err := c.WaitContext(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("the broker did not take the message")
		}
	}
	// A message that came back did so before its confirmation.
	select {
	case r, open := <-p.returns:
		if !open {
			return amqp.ErrClosed
		}
		for len(p.returns) > 0 {
			<-p.returns
		}
		return fmt.Errorf("the broker returned the message: %s", r.ReplyText)
	default:
		return nil
	}
}
