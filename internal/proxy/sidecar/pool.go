package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/stratahq/strata/internal/proxy/balance"
)

// Endpoints are looked up when they are used, so that a workload without traffic asks
// nobody.
const (
	// lookupEvery is how old the list gets before it is looked up again, beside the requests.
	lookupEvery = 5 * time.Second
	// lookupStale is how old it gets before a request waits for the lookup.
	lookupStale = 15 * time.Second
	// lookupAgain is the least time between two lookups.
	lookupAgain = 250 * time.Millisecond
	// lookupTimeout bounds a lookup, lookupWait a request's waiting for it.
	lookupTimeout = 5 * time.Second
	lookupWait    = 2 * time.Second
)

// errNoEndpoints says that there is nobody to send a request to.
var errNoEndpoints = errors.New("it has no ready pods")

// Lookup returns the addresses of a DNS name. A name that has none is a *net.DNSError with
// IsNotFound.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// systemLookup asks as /etc/resolv.conf says.
func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// pool is the endpoints of a call: those that DNS names.
type pool struct {
	balance.Pool

	host string
	port int
	// service is one endpoint, or none: a Service's address.
	service balance.Pool
	lookup  Lookup
	log     *slog.Logger
	// ctx ends lookups, which outlive the requests that cause them.
	ctx   context.Context
	often rate.Sometimes // limits the log of pods that cannot be reached

	looked atomic.Int64 // when the list was made, in Unix nanoseconds

	mu      sync.Mutex
	tried   time.Time     // when the last lookup began
	looking chan struct{} // closed when the lookup that runs ends; nil: none runs
	problem string        // of the last lookup
}

// pick returns an endpoint that is none of tried, of which the caller calls Done, Cancel or
// Unreachable. It waits for a lookup where there is no list to choose from. Where the list
// has nobody, or all that it has were tried in vain, it returns the Service, or waits for
// another list: whoever calls seldom may have one of pods that have been replaced since, and
// so may DNS, which also remembers for a while that there was nobody.
func (p *pool) pick(ctx context.Context, tried []*balance.Endpoint) (*balance.Endpoint, error) {
	age := time.Since(time.Unix(0, p.looked.Load()))
	if age > lookupEvery || p.Len() == 0 {
		if running := p.refresh(); age > lookupStale || p.Len() == 0 {
			wait(ctx, running)
		}
	}
	e, err := p.choose(&p.Pool, tried)
	switch {
	case err == nil:
		return e, nil
	case p.service.Len() > 0:
		return p.choose(&p.service, tried)
	case len(tried) == 0:
		return nil, err
	}
	running := p.refresh()
	if running == nil { // there was one a moment ago
		select {
		case <-time.After(lookupAgain):
		case <-ctx.Done():
			return nil, err
		}
		running = p.refresh()
	}
	wait(ctx, running)
	return p.choose(&p.Pool, tried)
}

// wait waits for a lookup, if one runs, but not for ever.
func wait(ctx context.Context, running <-chan struct{}) {
	if running == nil {
		return
	}
	timer := time.NewTimer(lookupWait)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// choose returns an endpoint of those of DNS, or the Service, that is none of tried.
func (p *pool) choose(from *balance.Pool, tried []*balance.Endpoint) (*balance.Endpoint, error) {
	e := from.Pick(func(e *balance.Endpoint) bool { return slices.Contains(tried, e) })
	switch {
	case e == nil:
		return nil, p.none()
	case slices.Contains(tried, e):
		e.Cancel()
		return nil, errNoEndpoints
	}
	return e, nil
}

// none says why there are no endpoints.
func (p *pool) none() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem != "" {
		return fmt.Errorf("%w: %s", errNoEndpoints, p.problem)
	}
	return errNoEndpoints
}

// refresh starts a lookup if none runs and the last is not too fresh, and returns what
// is closed when the one that runs ends; nil if none does.
func (p *pool) refresh() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.looking == nil && now.Sub(p.tried) >= lookupAgain {
		p.tried, p.looking = now, make(chan struct{})
		go p.look(p.looking)
	}
	return p.looking
}

func (p *pool) look(finished chan struct{}) {
	ctx, cancel := context.WithTimeout(p.ctx, lookupTimeout)
	defer cancel()
	found, err := p.lookup(ctx, p.host)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(finished)
	p.looking = nil
	if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
		err, found = nil, nil // a name without ready pods has no addresses
	}
	if err != nil {
		if p.problem == "" && p.ctx.Err() == nil {
			p.log.Warn("pods cannot be looked up; the last ones stay in use", "host", p.host, "error", err)
		}
		p.problem = err.Error()
		return
	}
	addresses := make([]string, len(found))
	for i, a := range found {
		addresses[i] = net.JoinHostPort(a.Unmap().String(), strconv.Itoa(p.port))
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	if len(addresses) != p.Len() {
		p.log.Info("pods have come or gone", "host", p.host, "before", p.Len(), "now", len(addresses))
	}
	p.Set(addresses)
	p.problem = ""
	p.looked.Store(time.Now().UnixNano())
}
