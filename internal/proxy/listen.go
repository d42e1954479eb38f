package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits of a listener that has none of its own.
const (
	// MaxConnections is how many connections a listener has at a time; more wait in the
	// kernel, which refuses them when its own queue is full. With mutual TLS one takes up to
	// 64 KiB.
	MaxConnections = 1024
	// WriteTimeout is how long a write may wait for the other end to read.
	WriteTimeout = time.Minute
)

// ListenOptions bound a listener. The zero value has this package's limits.
type ListenOptions struct {
	// MaxConnections is how many connections there may be at a time; 0 means the constant
	// of this name.
	MaxConnections int
	// WriteTimeout is how long one write to a connection may take before the connection is
	// given up; 0 means the constant of this name. It bounds clients that ask and never
	// read, and no others: a response may take as long as it makes progress.
	WriteTimeout time.Duration
	// Open, if it is not nil, is the number of open connections.
	Open prometheus.Gauge
}

// Listen listens on a TCP address, within limits. Ctx is for the call alone. The caller
// closes the listener.
func Listen(ctx context.Context, address string, o ListenOptions) (net.Listener, error) {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = MaxConnections
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = WriteTimeout
	}
	return &listener{Listener: l, options: o, slots: make(chan struct{}, o.MaxConnections), done: make(chan struct{})}, nil
}

// listener has a slot for each connection. It is not netutil.LimitListener because that
// one's connections cannot be closed in one direction.
type listener struct {
	net.Listener
	options ListenOptions
	slots   chan struct{}
	closed  sync.Once
	done    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	if l.options.Open != nil {
		l.options.Open.Inc()
	}
	return &conn{TCPConn: c.(*net.TCPConn), listener: l}, nil
}

func (l *listener) Close() error {
	l.closed.Do(func() { close(l.done) })
	return l.Listener.Close()
}

// conn counts itself and bounds its writes.
type conn struct {
	*net.TCPConn
	listener *listener
	closed   sync.Once
	// bounded says that somebody has set a deadline for writes, which is left alone.
	bounded atomic.Bool
}

func (c *conn) Write(b []byte) (int, error) {
	if !c.bounded.Load() {
		if err := c.TCPConn.SetWriteDeadline(time.Now().Add(c.listener.options.WriteTimeout)); err != nil {
			return 0, err
		}
	}
	return c.TCPConn.Write(b)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.TCPConn.SetDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.bounded.Store(!t.IsZero())
	return c.TCPConn.SetWriteDeadline(t)
}

func (c *conn) Close() error {
	c.closed.Do(func() {
		<-c.listener.slots
		if open := c.listener.options.Open; open != nil {
			open.Dec()
		}
	})
	return c.TCPConn.Close()
}

// ReadFrom hides that of TCPConn, which would write without a deadline.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}
