package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
)

// errTimeout is the cause when a request takes longer than its call may.
var errTimeout = errors.New("the call's time is over")

// outbound is a declared call.
type outbound struct {
	conf    config.Outbound
	pool    *pool
	budget  *budget
	dialer  *dialer
	log     *slog.Logger
	onRetry func()
	often   rate.Sometimes // limits the log of failures
}

// newOutbound returns what a call needs. Ctx ends its lookups.
func newOutbound(ctx context.Context, conf config.Outbound, o *Options, m *metrics) (*outbound, error) {
	d, err := newDialer(o.Credentials, conf.Identity)
	if err != nil {
		return nil, err
	}
	log := o.Log.With("call", conf.Name)
	p := &pool{host: conf.Host, port: conf.Port, lookup: o.Lookup, log: log, ctx: ctx, often: rate.Sometimes{Interval: time.Second}}
	if conf.Service != "" {
		p.service.Set([]string{conf.Service})
	}
	ejections := m.ejections.WithLabelValues(conf.Name)
	p.Ejected = func(address string) {
		ejections.Inc()
		log.Warn("a pod is left alone for a while, after failures in a row", "address", address)
	}
	m.watch(conf.Name, p)
	return &outbound{
		conf: conf, pool: p, budget: newBudget(time.Now), dialer: d, log: log,
		onRetry: m.retries.WithLabelValues(conf.Name).Inc, often: rate.Sometimes{Interval: time.Second},
	}, nil
}

// server returns the server of a call by HTTP.
func (out *outbound) server(t *proxy.Telemetry) *http.Server {
	peer := func(*http.Request) string { return out.conf.Identity }
	return proxy.NewServer(t.Observe(proxy.Outbound, out.conf.Name, peer, entry(out.limited(out.handler()))), nil, out.log)
}

// streams returns the server of a call by TCP.
func (out *outbound) streams(t *proxy.Telemetry) *streams {
	return &streams{
		call: out.conf.Name, pool: out.pool, dialer: out.dialer, budget: out.budget, peer: out.conf.Identity,
		telemetry: t, log: out.log, onRetry: out.onRetry,
	}
}

func (out *outbound) handler() http.Handler {
	return &httputil.ReverseProxy{
		// The Host stays what the client sent: what a server makes of it, such as the
		// address of a redirect, leads back here.
		Rewrite: pass,
		Transport: &sender{
			pool: out.pool, budget: out.budget, onRetry: out.onRetry,
			requests: transport(out.dialer.http2, true), upgrades: transport(out.dialer.http1, false),
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusSwitchingProtocols {
				// From here on it is a connection, which may last.
				if timer, ok := r.Request.Context().Value(timerKey{}).(*time.Timer); ok {
					timer.Stop()
				}
			}
			return nil
		},
		BufferPool:   buffers,
		ErrorLog:     slog.NewLogLogger(out.log.Handler(), slog.LevelDebug),
		ErrorHandler: out.failed,
	}
}

type timerKey struct{}

// limited ends requests that take longer than they may, with the body of the response.
func (out *outbound) limited(next http.Handler) http.Handler {
	limit := time.Duration(out.conf.Timeout)
	if limit <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		timer := time.AfterFunc(limit, func() { cancel(errTimeout) })
		defer timer.Stop()
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, timerKey{}, timer)))
	})
}

// failed answers a request that got no answer. The reader is the pod's own application.
func (out *outbound) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(context.Cause(r.Context()), errTimeout):
		fail(w, r, http.StatusGatewayTimeout, fmt.Sprintf("%s has not answered within %s", out.conf.Name, time.Duration(out.conf.Timeout)))
	case r.Context().Err() != nil:
		w.WriteHeader(statusClientGone)
		return
	case unsent(err) || errors.Is(err, errNoEndpoints):
		fail(w, r, http.StatusServiceUnavailable, fmt.Sprintf("%s cannot be reached: %v", out.conf.Name, err))
	default:
		fail(w, r, http.StatusBadGateway, fmt.Sprintf("%s has broken off: %v", out.conf.Name, err))
	}
	out.often.Do(func() { out.log.Warn("a request has failed", "error", err) })
}

// metrics are those that only a sidecar has.
type metrics struct {
	retries, ejections *prometheus.CounterVec
	registry           *prometheus.Registry
}

func newMetrics(r *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_retries_total", Help: "Requests and connections that were sent to another pod, because one could not be reached.",
		}, []string{"port"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_ejections_total", Help: "Pods that were left alone for a while, because they failed.",
		}, []string{"port"}),
		registry: r,
	}
	return m, errors.Join(r.Register(m.retries), r.Register(m.ejections))
}

// watch shows the endpoints of a call.
func (m *metrics) watch(call string, p *pool) {
	for name, value := range map[string]func() int{
		"strata_endpoints":         p.Len,
		"strata_endpoints_ejected": p.Out,
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name, Help: "Pods of a call, and those of them that are left alone.", ConstLabels: prometheus.Labels{"port": call},
		}, func() float64 { return float64(value()) }))
	}
}
