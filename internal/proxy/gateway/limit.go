package gateway

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stratahq/strata/internal/proxy/config"
)

// clients remembers how many requests clients have made of late. It holds at most twice
// max of them: those that were not seen since max others were are forgotten, and begin anew.
type clients struct {
	max int

	mu       sync.Mutex
	now, old map[clientKey]*rate.Limiter
}

// clientKey is an address with the route that it asks for.
type clientKey struct {
	route string
	addr  netip.Addr
}

func newClients(most int) *clients {
	return &clients{max: most, now: map[clientKey]*rate.Limiter{}}
}

// allow says whether a client may ask now, and if not, when.
func (c *clients) allow(route string, client netip.Addr, l config.Limits, now time.Time) (bool, time.Duration) {
	burst := l.Burst
	if burst == 0 {
		burst = max(1, int(math.Ceil(l.RequestsPerSecond)))
	}
	limiter := c.limiter(clientKey{route, network(client)}, rate.Limit(l.RequestsPerSecond), burst)
	if limiter.Limit() != rate.Limit(l.RequestsPerSecond) || limiter.Burst() != burst {
		limiter.SetLimitAt(now, rate.Limit(l.RequestsPerSecond))
		limiter.SetBurstAt(now, burst)
	}
	if limiter.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - limiter.TokensAt(now)
	return false, time.Duration(missing / l.RequestsPerSecond * float64(time.Second))
}

func (c *clients) limiter(key clientKey, limit rate.Limit, burst int) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.now[key]; l != nil {
		return l
	}
	l := c.old[key]
	if l == nil {
		l = rate.NewLimiter(limit, burst)
	}
	if len(c.now) >= c.max {
		c.old, c.now = c.now, make(map[clientKey]*rate.Limiter, c.max/4)
	}
	c.now[key] = l
	return l
}

// network is what counts as one client: an address of IPv4, or 64 bits of IPv6, since
// whoever has one address of these has them all.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() || !a.IsValid() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
