package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"

	"github.com/stratahq/strata/internal/proxy/config"
)

var (
	defaultHealth  = ":" + strconv.Itoa(config.HealthPort)
	defaultMetrics = ":" + strconv.Itoa(config.MetricsPort)
)

// serve serves until ctx ends; requests that are under way then have five seconds.
func (c *control) serve(ctx context.Context, s *http.Server, listen func() error) error {
	s.ErrorLog = slog.NewLogLogger(c.log.Handler(), slog.LevelDebug) // what scanners and probes of TLS do
	s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes = 5*time.Second, time.Minute, 16<<10
	s.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- s.Shutdown(limit)
	})
	err := listen()
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// serveHealth answers probes: /healthz while the program runs, /readyz when it is of use.
func (c *control) serveHealth(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range slices.Sorted(maps.Keys(c.ready)) {
			if err := c.ready[name](); err != nil {
				http.Error(w, name+": "+err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	})
	s := &http.Server{Addr: c.settings.health, Handler: mux}
	return c.serve(ctx, s, s.ListenAndServe)
}

// serveMetrics serves Prometheus metrics by mutual TLS to those that may read them.
func (c *control) serveMetrics(ctx context.Context) error {
	self, err := spiffeid.FromString(config.ID(c.identity.TrustDomain().Name(), config.ControlNamespace, config.ControlAccount))
	if err != nil {
		return err
	}
	readers := []spiffeid.ID{self}
	for _, r := range c.settings.readers {
		id, err := spiffeid.FromString(r)
		if err != nil {
			return fmt.Errorf("%q cannot read metrics: %w", r, err)
		}
		readers = append(readers, id)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.metrics, promhttp.HandlerOpts{}))
	s := &http.Server{Addr: c.settings.metrics, Handler: mux, TLSConfig: tlsconfig.MTLSServerConfig(c.identity, c.identity, tlsconfig.AuthorizeOneOf(readers...))}
	return c.serve(ctx, s, func() error { return s.ListenAndServeTLS("", "") })
}
