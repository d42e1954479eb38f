package sidecar

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// gateSlots is how many connections to one address are made at a time.
const gateSlots = 4

var (
	errCrowd     = errors.New("too many connections to it are being made")
	errNotWanted = errors.New("the request has got another connection")
)

// gate bounds how many connections to one address are made at a time. http.Transport
// begins one for each request that finds none: hundreds of handshakes, after which all but
// a few are closed, since requests share the first. The zero value is ready.
type gate struct {
	mu    sync.Mutex
	doors map[string]*door
}

// door is the gate for one address.
type door struct {
	slots chan struct{}
	users int // that have it or wait for it
}

// enter waits for its turn; the caller calls leave. It returns an error when that takes
// longer than a connection may, and when the request has no need of one any more.
func (g *gate) enter(ctx context.Context, address string) (leave func(), err error) {
	g.mu.Lock()
	d := g.doors[address]
	if d == nil {
		if g.doors == nil {
			g.doors = map[string]*door{}
		}
		d = &door{slots: make(chan struct{}, gateSlots)}
		g.doors[address] = d
	}
	d.users++
	g.mu.Unlock()
	forget := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if d.users--; d.users == 0 {
			delete(g.doors, address)
		}
	}
	timer := time.NewTimer(connectTimeout)
	defer timer.Stop()
	select {
	case d.slots <- struct{}{}:
		if w, ok := ctx.Value(wantKey{}).(*want); ok && !w.waiting.Load() {
			err = errNotWanted
			<-d.slots
		}
	case <-timer.C:
		err = errCrowd
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		forget()
		return nil, err
	}
	return func() {
		<-d.slots
		forget()
	}, nil
}

// want says whether a request waits for a connection.
type want struct{ waiting atomic.Bool }

type wantKey struct{}

// whileWanted returns a context by which a gate knows whether the request of this context
// still waits for a connection.
func whileWanted(ctx context.Context) context.Context {
	w := &want{}
	return httptrace.WithClientTrace(context.WithValue(ctx, wantKey{}, w), &httptrace.ClientTrace{
		GetConn: func(string) { w.waiting.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.waiting.Store(false) },
	})
}
