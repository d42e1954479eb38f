package sidecar

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/balance"
)

// stream is one end of a connection that is carried as it is.
type stream interface {
	net.Conn
	// CloseWrite ends the stream in one direction; the other may go on.
	CloseWrite() error
}

// join copies both ways until both have ended, or one has failed, and closes both.
func join(a, b stream) {
	defer a.Close()
	defer b.Close()
	var both sync.WaitGroup
	carry := func(to, from stream) {
		buffer := buffers.Get()
		defer buffers.Put(buffer)
		// Neither end may copy by itself: it would do so with a buffer of its own.
		_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, buffer)
		if err == nil {
			err = to.CloseWrite()
		}
		if err != nil {
			// Whoever waits in the other direction waits in vain.
			a.Close()
			b.Close()
		}
	}
	both.Go(func() { carry(a, b) })
	carry(b, a)
	both.Wait()
}

// streams serves a call by TCP.
type streams struct {
	call      string
	pool      *pool
	dialer    *dialer
	budget    *budget
	peer      string
	telemetry *proxy.Telemetry
	log       *slog.Logger
	onRetry   func()

	mu   sync.Mutex
	open map[net.Conn]bool
	wait sync.WaitGroup
}

// serve accepts until ctx ends, and lets connections end by themselves until grace has
// passed.
func (s *streams) serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	s.open = map[net.Conn]bool{}
	var err error
	for pause := time.Duration(0); ; {
		var c net.Conn
		if c, err = l.Accept(); err == nil {
			pause = 0
			s.wait.Go(func() { s.one(ctx, c.(stream)) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			break
		}
		// Such as: no file descriptors. What is open may end.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log.Warn("accepting a connection", "error", err)
		time.Sleep(pause)
	}
	if ctx.Err() != nil {
		err = nil
	}
	timer := time.AfterFunc(grace, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.open {
			c.Close()
		}
	})
	defer timer.Stop()
	s.wait.Wait()
	return err
}

// one carries one connection.
func (s *streams) one(ctx context.Context, client stream) {
	s.mu.Lock()
	s.open[client] = true
	s.mu.Unlock()
	defer func() {
		client.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, client)
	}()
	s.budget.request()
	var tried [attempts]*balance.Endpoint
	for n := range attempts {
		e, err := s.pool.pick(ctx, tried[:n])
		if err != nil {
			s.log.Warn("a connection has nowhere to go", "error", err)
			return
		}
		tried[n] = e
		// The client may not speak before the server has, so its silence is no reason to wait.
		conn, err := dial(ctx, e.Address, s.dialer.tcp)
		if err == nil {
			s.telemetry.Stream(proxy.Outbound, s.call, s.peer)
			join(conn, client)
			e.Done(true)
			return
		}
		if ctx.Err() != nil {
			e.Cancel()
			return
		}
		s.pool.unreachable(e, err)
		if n+1 == attempts || !s.budget.retry() {
			s.log.Warn("a connection has failed", "error", err)
			return
		}
		s.onRetry()
	}
}
