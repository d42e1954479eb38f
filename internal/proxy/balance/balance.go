// Package balance spreads requests or connections over the endpoints of a backend, and
// keeps away for a while from those that fail. It knows addresses only: how they are found
// and reached is for its callers.
package balance

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// When an endpoint is left out.
const (
	// Failures is how many failures in a row eject an endpoint; Unreachables is how many
	// are enough if the last of them is that there was no connection.
	Failures     = 5
	Unreachables = 3
	// Ejection is how long it is left out the first time; each further time without a
	// success in between adds as much, up to MaxEjection.
	Ejection = 10 * time.Second
	// MaxEjection is how long it is left out at most.
	MaxEjection = 5 * time.Minute
)

// Pool is a set of endpoints. The zero value is empty and ready. All methods may be called
// at the same time.
type Pool struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Ejected is told when an endpoint is left out; nil means nobody is.
	Ejected func(address string)

	endpoints atomic.Pointer[[]*Endpoint]
	mu        sync.Mutex // of changes
}

// Endpoint is an address with what is known of it.
type Endpoint struct {
	// Address is what Set was given.
	Address string

	pool        *Pool
	outstanding atomic.Int64
	failures    atomic.Int32 // in a row
	ejections   atomic.Int32 // in a row
	until       atomic.Int64 // Unix nanoseconds: left out before
}

// Set replaces the addresses. What is known of those that stay is kept.
func (p *Pool) Set(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := map[string]*Endpoint{}
	for _, e := range p.list() {
		known[e.Address] = e
	}
	next := make([]*Endpoint, 0, len(addresses))
	for _, a := range addresses {
		e := known[a]
		if e == nil {
			e = &Endpoint{Address: a, pool: p}
			known[a] = e
		}
		next = append(next, e)
	}
	p.endpoints.Store(&next)
}

// Len returns how many endpoints there are.
func (p *Pool) Len() int { return len(p.list()) }

// Out returns how many endpoints are left out at the moment.
func (p *Pool) Out() int {
	now, out := p.now(), 0
	for _, e := range p.list() {
		if e.until.Load() > now {
			out++
		}
	}
	return out
}

func (p *Pool) list() []*Endpoint {
	if l := p.endpoints.Load(); l != nil {
		return *l
	}
	return nil
}

func (p *Pool) now() int64 {
	if p.Now != nil {
		return p.Now().UnixNano()
	}
	return time.Now().UnixNano()
}

// Pick returns an endpoint: of two that are drawn, the one with less to do. It avoids
// those that are left out, and those for which avoid is true, as long as there are others;
// avoid may be nil. It returns nil when there are no endpoints. The caller calls Done of what
// it gets exactly once.
func (p *Pool) Pick(avoid func(*Endpoint) bool) *Endpoint {
	all := p.list()
	if len(all) == 0 {
		return nil
	}
	now := p.now()
	a := draw(all, now, avoid, nil)
	if b := draw(all, now, avoid, a); b != nil && b.outstanding.Load() < a.outstanding.Load() {
		a = b
	}
	a.outstanding.Add(1)
	return a
}

// draw returns an endpoint at random that is not besides: one that is good if there is
// any, else one that is not avoided, else any; nil if there is none but besides.
func draw(all []*Endpoint, now int64, avoid func(*Endpoint) bool, besides *Endpoint) *Endpoint {
	start := rand.IntN(len(all))
	var second, third *Endpoint
	for i := range all {
		e := all[(start+i)%len(all)]
		if e == besides {
			continue
		}
		avoided := avoid != nil && avoid(e)
		switch {
		case !avoided && e.until.Load() <= now:
			return e
		case !avoided && second == nil:
			second = e
		case third == nil:
			third = e
		}
	}
	if besides != nil {
		return nil // besides is at least as good as what is left
	}
	if second != nil {
		return second
	}
	return third
}

// Done says that the request to e is over, and whether the endpoint did what is expected of
// it. Failures in a row eject it, but never more than half of a pool's endpoints are out.
func (e *Endpoint) Done(ok bool) {
	e.outstanding.Add(-1)
	if ok {
		e.failures.Store(0)
		e.ejections.Store(0)
		return
	}
	if e.failures.Add(1) >= Failures {
		e.eject(func(all int) int { return all / 2 })
	}
}

// Unreachable says that the request to e is over because there was no connection. That
// ejects sooner, and all of a pool's endpoints but one may be out for it: who takes no
// connections is no relief for the others.
func (e *Endpoint) Unreachable() {
	e.outstanding.Add(-1)
	if e.failures.Add(1) >= Unreachables {
		e.eject(func(all int) int { return all - 1 })
	}
}

// Cancel says that the request to e is over without a word on how the endpoint did: the
// client has gone, say.
func (e *Endpoint) Cancel() { e.outstanding.Add(-1) }

// eject leaves e out, unless as many as most returns for a pool's length are out already.
func (e *Endpoint) eject(most func(all int) int) {
	p := e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if e.until.Load() > now || p.Out() >= most(p.Len()) {
		return
	}
	e.failures.Store(0)
	d := min(Ejection*time.Duration(e.ejections.Add(1)), MaxEjection)
	e.until.Store(now + int64(d))
	if p.Ejected != nil {
		p.Ejected(e.Address)
	}
}
