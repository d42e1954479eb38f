// Package sidecar is the proxy beside a workload: it takes what declared callers send by
// mutual TLS and hands it to the application, and takes what the application sends to its
// declared calls and brings it to one of their pods by mutual TLS. What ports there are,
// and for whom, is in config.Sidecar. Routes, public certificates and users are the
// gateway's business.
//
// How a request travels:
//
//   - From the application to its sidecar by HTTP/1.1 or HTTP/2 without TLS, whichever the
//     application likes.
//   - Between sidecars by HTTP/2; a request that switches protocols (WebSocket) by HTTP/1.1,
//     and a call by TCP as a stream under the ALPN protocol proxy.ALPNTCP.
//   - To the application gRPC by HTTP/2 without TLS, since it knows no other, and everything
//     else by HTTP/1.1, since everybody knows it. An HTTP/2 request whose Content-Type is
//     application/grpc, alone or with a suffix, is gRPC.
//
// The application learns who calls by the header X-Forwarded-Client-Cert, which is never
// taken from a request. Host, X-Forwarded-*, queries, bodies, trailers and statuses pass as
// they are.
//
// When no pod can be reached the application gets 503; when one breaks off 502; when the
// call's time is over 504; with a line of text that says why, or what gRPC has for it.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Options are what a sidecar runs with.
type Options struct {
	Config      config.Sidecar
	Credentials *proxy.Credentials
	Telemetry   *proxy.Telemetry
	Log         *slog.Logger
	// Address is where the ports for others listen: mutual TLS, metrics and probes. Empty
	// means all addresses. Calls are on 127.0.0.1 always.
	Address string
	// Grace is how long requests may take to finish after ctx has ended.
	Grace time.Duration
	// Lookup finds the addresses of pods; nil means DNS, as /etc/resolv.conf says.
	Lookup Lookup
}

// Run carries traffic until ctx ends: it waits for the credentials, opens all ports, and
// says it is ready. When ctx ends it takes no new connections, lets what is on its way
// finish within the grace, calls last since requests may make some, and returns nil. It
// returns an error when a port cannot be opened or the configuration cannot be used.
func Run(ctx context.Context, o Options) error {
	if o.Lookup == nil {
		o.Lookup = systemLookup
	}
	s := &server{o: &o}
	s.say("waiting for the pod's credentials")
	stop, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// What outlives ctx, in the order in which it ends.
	base := context.WithoutCancel(ctx)
	calls, endCalls := context.WithCancel(base)
	defer endCalls()
	probes, endProbes := context.WithCancel(base)
	defer endProbes()

	var health, out, in group
	if err := s.probes(ctx, &health); err != nil {
		return err
	}
	health.start(probes, cancel, 0)
	defer health.Wait()
	defer endProbes()
	if o.Credentials.Wait(stop) == nil {
		if err := s.ports(calls, &in, &out); err != nil {
			in.close()
			out.close()
			return err
		}
		out.start(calls, cancel, o.Grace)
		in.start(stop, cancel, o.Grace)
		s.say("")
		o.Log.Info("ready", "workload", o.Config.Workload, "inbound", len(o.Config.Inbound), "outbound", len(o.Config.Outbound))
	}
	<-stop.Done()
	s.say("stopping")
	in.Wait()
	endCalls()
	out.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(stop)
}

// adminConnections is how many connections the ports for probes and metrics have each.
const adminConnections = 32

// server is a sidecar that runs.
type server struct {
	o     *Options
	state atomic.Pointer[string] // why it is not ready
}

func (s *server) say(why string) { s.state.Store(&why) }

func (s *server) ready() error {
	if why := *s.state.Load(); why != "" {
		return errors.New(why)
	}
	return nil
}

func (s *server) probes(ctx context.Context, g *group) error {
	return g.http(ctx, s.o.Address, config.HealthPort, proxy.ListenOptions{MaxConnections: adminConnections}, proxy.NewHealth(s.ready, s.o.Log))
}

// ports opens all ports but that for probes. Calls ends the lookups.
func (s *server) ports(calls context.Context, in, out *group) error {
	c := s.o.Config
	stats, err := proxy.NewMetrics(s.o.Credentials, s.o.Telemetry, s.o.Log)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := in.http(calls, s.o.Address, config.MetricsPort, proxy.ListenOptions{MaxConnections: adminConnections}, stats); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	own := config.ID(c.TrustDomain, c.Namespace, c.Workload)
	if svid, err := s.o.Credentials.GetX509SVID(); err == nil {
		own = svid.ID.String()
	}
	for _, conf := range c.Inbound {
		h, err := newInbound(conf, own, s.o)
		if err == nil {
			err = in.http(calls, s.o.Address, conf.Listen, proxy.ListenOptions{Open: s.o.Telemetry.Open(proxy.Inbound, conf.Name)}, h)
		}
		if err != nil {
			return fmt.Errorf("inbound %s: %w", conf.Name, err)
		}
	}
	m, err := newMetrics(s.o.Telemetry.Registry)
	if err != nil {
		return err
	}
	for _, conf := range c.Outbound {
		call, err := newOutbound(calls, conf, s.o, m)
		if err == nil {
			limits := proxy.ListenOptions{Open: s.o.Telemetry.Open(proxy.Outbound, conf.Name)}
			if conf.Protocol == config.ProtocolTCP {
				err = out.listen(calls, loopback, conf.Listen, limits, call.streams(s.o.Telemetry).serve)
			} else {
				err = out.http(calls, loopback, conf.Listen, limits, call.server(s.o.Telemetry))
			}
		}
		if err != nil {
			return fmt.Errorf("outbound %s: %w", conf.Name, err)
		}
	}
	return nil
}

// loopback is where calls are: for the pod's own containers alone.
const loopback = "127.0.0.1"

// group is services that start and end together.
type group struct {
	sync.WaitGroup
	services []service
}

// service is something that serves on a listener until its context ends.
type service struct {
	listener net.Listener
	serve    func(context.Context, net.Listener, time.Duration) error
}

func (g *group) listen(ctx context.Context, address string, port int, o proxy.ListenOptions, serve func(context.Context, net.Listener, time.Duration) error) error {
	l, err := proxy.Listen(ctx, net.JoinHostPort(address, strconv.Itoa(port)), o)
	if err == nil {
		g.services = append(g.services, service{l, serve})
	}
	return err
}

func (g *group) http(ctx context.Context, address string, port int, o proxy.ListenOptions, s *http.Server) error {
	return g.listen(ctx, address, port, o, func(ctx context.Context, l net.Listener, grace time.Duration) error {
		return proxy.Serve(ctx, s, l, grace)
	})
}

// start serves until ctx ends; a service that fails before tells fail.
func (g *group) start(ctx context.Context, fail context.CancelCauseFunc, grace time.Duration) {
	for _, sv := range g.services {
		g.Go(func() {
			if err := sv.serve(ctx, sv.listener, grace); err != nil {
				fail(fmt.Errorf("serve on %s: %w", sv.listener.Addr(), err))
			}
		})
	}
}

// close closes the listeners of services that have not been started.
func (g *group) close() {
	for _, sv := range g.services {
		sv.listener.Close()
	}
}
