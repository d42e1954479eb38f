// Package gateway lets requests from outside into an environment: it serves what
// config.Gateway says, with net/http, and exchanges one configuration for the next without
// losing a request. Where configurations come from is package feed's business and that of
// Follow and Watch. It knows nothing of Kubernetes: the control plane has resolved the
// Gateway API's objects before. docs/gateway.md says what is done with a request.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httputil"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Defaults of Options, and what is the same for all. They are for a gateway that has 512 MiB
// of memory (docs/adr/0020-gateway-on-net-http.md has figures).
const (
	// MaxConnections is how many connections a port has at a time; more wait.
	MaxConnections = 2048
	// MaxRequests is how many requests are in the gateway at a time; more get 503.
	MaxRequests = 2048
	// MaxHeaderBytes is how long the headers of a request may be; longer ones get 431.
	MaxHeaderBytes = 32 << 10
	// KeptBytes is how much of bodies is kept in all, so that they can be sent again.
	KeptBytes = 64 << 20
	// MaxClients is of how many clients the rate of requests is remembered.
	MaxClients = 1 << 16
	// BodyBytes is how large the body of a request may be where neither the route nor the
	// configuration say.
	BodyBytes = 64 << 20
	// Idle is how long a client may take to send the next piece of a body, or to read one of
	// a response. What it sends does not hold for gRPC, whose streams may be silent.
	Idle = time.Minute
	// Grace is how long requests may take to end when their port is closed.
	Grace = 20 * time.Second
)

const (
	// maxStreams is how many requests a client may have on a connection of HTTP/2.
	maxStreams = 100
	// streamBuffer is how much of a body waits for its reader. It is a small part of what
	// net/http lets a connection have, so that one request does not stop the others on it.
	streamBuffer = 128 << 10
)

// Options are what a Gateway is made of. Telemetry and Log are required.
type Options struct {
	// Credentials are for backends in the mesh; nil: such backends cannot be reached.
	Credentials Credentials
	Telemetry   *proxy.Telemetry
	// Log is for what happens to the gateway, Access gets a line for each request; nil: no
	// lines.
	Log, Access *slog.Logger
	// Address is the IP address to listen on; empty: all.
	Address string
	// The others bound what a gateway takes on; 0 means the constant of that name.
	MaxConnections, MaxRequests, MaxClients int
	Idle, Grace                             time.Duration
}

// Gateway serves a configuration, none at first. Its methods may be called at the same
// time.
type Gateway struct {
	opts    Options
	metrics *metrics
	clients *clients
	reverse *httputil.ReverseProxy
	mirrors chan struct{} // a slot for each request to a mirror
	inside  atomic.Int64  // requests
	kept    atomic.Int64  // bytes of bodies

	table atomic.Pointer[table]

	mu     sync.Mutex // of changes
	open   map[int]*openPort
	closed bool
	wg     sync.WaitGroup // of ports
}

// New returns a Gateway that listens nowhere yet.
func New(o Options) (*Gateway, error) {
	if o.MaxConnections <= 0 {
		o.MaxConnections = MaxConnections
	}
	if o.MaxRequests <= 0 {
		o.MaxRequests = MaxRequests
	}
	if o.MaxClients <= 0 {
		o.MaxClients = MaxClients
	}
	if o.Idle <= 0 {
		o.Idle = Idle
	}
	if o.Grace <= 0 {
		o.Grace = Grace
	}
	m, err := newMetrics(o.Telemetry.Registry)
	if err != nil {
		return nil, err
	}
	g := &Gateway{opts: o, metrics: m, clients: newClients(o.MaxClients), mirrors: make(chan struct{}, maxMirrors), open: map[int]*openPort{}}
	g.reverse = g.newReverseProxy()
	g.table.Store(&table{})
	return g, nil
}

// Ready returns nil when a configuration is served, else an error that says so.
func (g *Gateway) Ready() error {
	if g.table.Load().version == "" {
		return errors.New("no configuration yet")
	}
	return nil
}

// Version returns the version of the configuration that is served; empty: none yet.
func (g *Gateway) Version() string { return g.table.Load().version }

// Apply serves c from now on. Requests that are under way are served by what they began
// with, and ports that stay keep their connections. When c is not valid, or one of its ports
// cannot be opened, Apply returns an error and all stays as it is.
func (g *Gateway) Apply(ctx context.Context, c config.Gateway) error {
	if err := g.apply(ctx, c); err != nil {
		g.metrics.refused.Inc()
		return fmt.Errorf("configuration %q is refused: %w", c.Version, err)
	}
	for _, p := range g.table.Load().problems {
		g.opts.Log.WarnContext(ctx, "a route cannot be served as it is", "problem", p)
	}
	g.metrics.applied.Inc()
	g.metrics.appliedAt.SetToCurrentTime()
	g.opts.Log.InfoContext(ctx, "a configuration is served", "version", c.Version, "ports", len(c.Ports), "backends", len(c.Backends))
	return nil
}

func (g *Gateway) apply(ctx context.Context, c config.Gateway) error {
	if c.Version == "" {
		return errors.New("it has no version")
	}
	if err := c.Validate(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errors.New("the gateway is closed")
	}
	old := g.table.Load()
	next, err := g.compile(c, old)
	if err != nil {
		return err
	}
	opened, err := g.openPorts(ctx, c)
	if err != nil {
		next.discard(old)
		return err
	}
	for _, b := range c.Backends {
		next.backends[b.Name].set(b.Endpoints) // seen at once by requests of the old table too
	}
	g.table.Store(next)
	for _, p := range opened {
		g.start(p)
	}
	for number := range g.open {
		if next.ports[number] == nil {
			g.closePort(number)
		}
	}
	old.discard(next)
	g.metrics.forget(old, next)
	return nil
}

// openPort is a port that is listened on.
type openPort struct {
	number   int
	tls      bool
	listener net.Listener
	stop     context.CancelFunc
}

// openPorts listens on the ports of c that are not open yet, or nowhere if one of them
// cannot be had. A port that begins or ceases to have TLS is closed and opened again.
func (g *Gateway) openPorts(ctx context.Context, c config.Gateway) ([]*openPort, error) {
	var opened []*openPort
	for _, p := range c.Ports {
		if was := g.open[p.Listen]; was != nil {
			if was.tls == p.TLS {
				continue
			}
			g.closePort(p.Listen)
		}
		l, err := proxy.Listen(ctx, net.JoinHostPort(g.opts.Address, strconv.Itoa(p.Listen)), proxy.ListenOptions{
			MaxConnections: g.opts.MaxConnections, WriteTimeout: g.opts.Idle, Open: g.opts.Telemetry.Open(proxy.Inbound, strconv.Itoa(p.Listen)),
		})
		if err != nil {
			for _, o := range opened {
				_ = o.listener.Close() // nobody has been told of it
			}
			return nil, err
		}
		opened = append(opened, &openPort{number: p.Listen, tls: p.TLS, listener: l})
	}
	return opened, nil
}

// start serves a port until it is stopped.
func (g *Gateway) start(p *openPort) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	g.open[p.number] = p
	var conf *tls.Config
	if p.tls {
		conf = g.serverTLS(p.number)
	}
	s := proxy.NewServer(g.handler(p.number), conf, g.opts.Log)
	s.MaxHeaderBytes = MaxHeaderBytes
	s.HTTP2.MaxConcurrentStreams = maxStreams
	s.HTTP2.MaxReceiveBufferPerStream = streamBuffer
	g.wg.Go(func() {
		defer stop()
		if err := proxy.Serve(ctx, s, p.listener, g.opts.Grace); err != nil && ctx.Err() == nil {
			g.opts.Log.Error("a port is no longer served", "port", p.number, "error", err)
		}
	})
}

// closePort takes no more connections; requests under way end within the grace.
func (g *Gateway) closePort(number int) {
	p := g.open[number]
	delete(g.open, number)
	p.stop()
	_ = p.listener.Close() // at once, so that the port can be opened again
}

// Close closes all ports, waits for the requests that are under way, at most for
// Options.Grace, and drops the connections to backends.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	for number := range g.open {
		g.closePort(number)
	}
	g.mu.Unlock()
	g.wg.Wait()
	g.table.Load().discard(&table{})
}
