package gateway

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/reqpath"
	"github.com/stratahq/strata/internal/proxy/gateway/token"
)

// table is a configuration made ready to be served. It never changes; what lives longer
// than a configuration (connections, endpoints' state, keys of issuers) is taken over by the
// next table where it still fits.
type table struct {
	version   string
	ports     map[int]*port
	backends  map[string]*backend
	providers map[config.TokenProvider]*token.Verifier
	routes    map[string]bool // names, for metrics
	// problems are of routes that are served otherwise than somebody may expect: one bad
	// route must not keep a gateway from all others.
	problems []string
}

// port is what is served on a TCP port.
type port struct {
	public    int
	tls       bool
	listeners names[*listener]
}

// listener is one of those that share a port.
type listener struct {
	name  string
	tls   *tls.Config
	hosts names[[]*route]
}

// route is a rule with its match.
type route struct {
	name    string
	match   matcher
	grpc    bool
	filters filters
	targets []*target
	weights int // sum
	limits  config.Limits
	// broken says that requests get 500, since what to do with them makes no sense.
	broken bool
	// verifier is nil where no token is asked for.
	verifier  *token.Verifier
	audiences []string

	requestTimeout, backendTimeout time.Duration
	retry                          *config.Retry
}

// target is a backend with its share of a route's requests.
type target struct {
	backend *backend // nil: the reference is not valid
	below   int      // what is drawn has to be below it
	filters filters  // the route's and its own
}

// compile makes c, which is valid, ready, with what it can take over from old.
func (g *Gateway) compile(c config.Gateway, old *table) (*table, error) {
	t := &table{
		version:   c.Version,
		ports:     map[int]*port{},
		backends:  map[string]*backend{},
		providers: map[config.TokenProvider]*token.Verifier{},
		routes:    map[string]bool{},
	}
	verifiers := map[string]*token.Verifier{}
	for _, p := range c.Providers {
		v := old.providers[p]
		if v == nil {
			var err error
			if v, err = token.New(p); err != nil {
				return nil, fmt.Errorf("token provider %s: %w", p.Name, err)
			}
		}
		t.providers[p], verifiers[p.Name] = v, v
	}
	for _, b := range c.Backends {
		made, err := g.backend(b, old.backends[b.Name], t, old)
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w", b.Name, err)
		}
		t.backends[b.Name] = made
	}
	for _, p := range c.Ports {
		made := &port{public: p.Public, tls: p.TLS, listeners: names[*listener]{}}
		for _, l := range p.Listeners {
			ml := &listener{name: l.Name, hosts: names[[]*route]{}}
			if p.TLS {
				var err error
				if ml.tls, err = listenerTLS(p, l); err != nil {
					return nil, err
				}
			}
			for _, h := range l.Hosts {
				list := make([]*route, 0, len(h.Routes))
				for _, r := range h.Routes {
					mr, err := t.route(r, c.Limits, verifiers)
					if err != nil {
						return nil, fmt.Errorf("route %s: %w", r.Name, err)
					}
					list = append(list, mr)
				}
				ml.hosts[h.Hostname] = list
			}
			made.listeners[l.Hostname] = ml
		}
		t.ports[p.Listen] = made
	}
	return t, nil
}

func (t *table) route(r config.Route, limits *config.Limits, verifiers map[string]*token.Verifier) (*route, error) {
	t.routes[r.Name] = true
	out := &route{
		name: r.Name, grpc: r.GRPC, retry: r.Retry,
		requestTimeout: time.Duration(r.RequestTimeout), backendTimeout: time.Duration(r.BackendTimeout),
	}
	var err error
	if out.match, err = newMatcher(r.Match); err != nil {
		return nil, err
	}
	if out.match.never {
		t.problems = append(t.problems, fmt.Sprintf("route %s: no request has the path %q", r.Name, r.Match.Path.Value))
	}
	if limits != nil {
		out.limits = *limits
	}
	if r.Limits != nil {
		body := out.limits.BodyBytes
		if out.limits = *r.Limits; out.limits.BodyBytes == 0 {
			out.limits.BodyBytes = body
		}
	}
	if out.limits.BodyBytes == 0 {
		out.limits.BodyBytes = BodyBytes
	}
	if r.Token != nil {
		out.verifier, out.audiences = verifiers[r.Token.Provider], r.Token.Audiences
	}
	prefix := ""
	if r.Match.Path != nil && r.Match.Path.Kind == config.MatchPrefix {
		prefix = out.match.path
	}
	failed := func(err error) {
		if err != nil {
			out.broken = true
			t.problems = append(t.problems, fmt.Sprintf("route %s: requests get 500: %s", r.Name, err))
		}
	}
	out.filters, err = t.filters(filters{}, r.Filters, prefix)
	failed(err)
	for _, c := range r.Targets {
		out.weights += c.Weight
		made := &target{backend: t.backends[c.Backend], below: out.weights}
		made.filters, err = t.filters(out.filters, c.Filters, prefix)
		failed(err)
		out.targets = append(out.targets, made)
	}
	return out, nil
}

// discard lets go of what t has and other has not.
func (t *table) discard(other *table) {
	kept := map[*transport]bool{}
	for _, b := range other.backends {
		kept[b.transport] = true
	}
	for _, b := range t.backends {
		if !kept[b.transport] {
			b.transport.close()
		}
	}
	for p, v := range t.providers {
		if other.providers[p] != v {
			v.Close()
		}
	}
}

// normal returns a path of a configuration as requests have it.
func normal(path string) (reqpath.Path, error) {
	p, err := reqpath.Parse(path)
	if err != nil {
		return p, fmt.Errorf("path %q: %w", path, err)
	}
	return p, nil
}
