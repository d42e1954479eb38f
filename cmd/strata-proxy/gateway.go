package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
)

// gatewaySettings are the arguments of the command.
type gatewaySettings struct {
	control, name, namespace, file string
	credentials                    proxy.CredentialFiles
	address                        string
	health, metrics                int
	access                         bool
	options                        gateway.Options
}

// gatewayCommand runs a gateway until ctx ends.
func gatewayCommand(ctx context.Context, args []string, stdout io.Writer, log *slog.Logger) error {
	var s gatewaySettings
	flags := flag.NewFlagSet("strata-proxy gateway", flag.ContinueOnError)
	flags.StringVar(&s.control, "control", net.JoinHostPort("strata-control."+config.ControlNamespace+".svc", strconv.Itoa(config.ControlPort)), "host and port of the control plane, which sends the configuration")
	flags.StringVar(&s.name, "name", "", "name of the Gateway: NAMESPACE/NAME, or the name alone with -namespace")
	flags.StringVar(&s.namespace, "namespace", "", "namespace of the Gateway")
	flags.StringVar(&s.file, "config", "", "file with the configuration, as JSON, instead of the control plane; it may change")
	flags.StringVar(&s.credentials.Key, "credentials", config.CredentialsFile, "private key and certificate chain, in PEM")
	flags.StringVar(&s.credentials.Trust, "trust", config.TrustFile, "certificates of the trust domain's authorities, in PEM")
	flags.StringVar(&s.credentials.TrustDomain, "trust-domain", "", "trust domain; that of the certificate when empty")
	flags.StringVar(&s.address, "address", "", "address to listen on; all when empty")
	flags.IntVar(&s.health, "health-port", config.HealthPort, "port for probes")
	flags.IntVar(&s.metrics, "metrics-port", config.MetricsPort, "port for metrics, by mutual TLS")
	flags.BoolVar(&s.access, "access-log", true, "print a line for each request, as JSON")
	flags.IntVar(&s.options.MaxConnections, "max-connections", gateway.MaxConnections, "how many connections each port has at a time")
	flags.IntVar(&s.options.MaxRequests, "max-requests", gateway.MaxRequests, "how many requests are under way at a time")
	flags.DurationVar(&s.options.Grace, "grace", gateway.Grace, "how long requests may take to finish after SIGTERM")
	if done, err := parse(flags, args, stdout); done {
		return err
	}
	if s.namespace != "" {
		s.name = s.namespace + "/" + s.name
	}
	if namespace, name, ok := strings.Cut(s.name, "/"); s.file == "" && (!ok || namespace == "" || name == "" || strings.Contains(name, "/")) {
		return usageError("strata-proxy gateway wants -name NAMESPACE/NAME, or -config FILE")
	}
	s.options.Log, s.options.Address = log, s.address
	if s.access {
		s.options.Access = slog.New(slog.NewJSONHandler(stdout, nil))
	}
	return s.run(ctx, log)
}

func (s *gatewaySettings) run(ctx context.Context, log *slog.Logger) error {
	telemetry, err := proxy.NewTelemetry(ctx, s.service())
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := telemetry.Shutdown(last); err != nil {
			log.Warn("the last spans could not be sent", "error", err)
		}
	}()
	s.options.Telemetry = telemetry
	// Probes and metrics outlast ctx: requests may be under way.
	admin, endAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer endAdmin()
	var g atomic.Pointer[gateway.Gateway]
	health := proxy.NewHealth(func() error {
		switch served := g.Load(); {
		case ctx.Err() != nil:
			return errors.New("stopping")
		case served == nil:
			return errors.New("waiting for the pod's credentials")
		default:
			return served.Ready()
		}
	}, log)
	if err := s.serve(admin, s.health, func(l net.Listener) error { return proxy.Serve(admin, health, l, 0) }, log); err != nil {
		return err
	}
	credentials, err := s.open(ctx, log)
	if err != nil || ctx.Err() != nil {
		return err
	}
	if credentials != nil {
		s.options.Credentials = credentials
	}
	served, err := gateway.New(s.options)
	if err != nil {
		return err
	}
	defer served.Close()
	g.Store(served)
	if credentials != nil {
		server, err := proxy.NewMetrics(credentials, telemetry, log)
		if err != nil {
			return err
		}
		if err := s.serve(admin, s.metrics, func(l net.Listener) error { return proxy.Serve(admin, server, l, 0) }, log); err != nil {
			return err
		}
	}
	if s.file != "" {
		gateway.Watch(ctx, s.file, log, served.Apply)
	} else {
		conf, err := s.controlTLS(credentials)
		if err != nil {
			return err
		}
		gateway.Follow(ctx, gateway.Control{Address: s.control, Gateway: s.name, TLS: conf, Log: log}, served.Apply)
	}
	return nil
}

// service is what the gateway is called in traces.
func (s *gatewaySettings) service() string {
	if s.name == "" {
		return "gateway"
	}
	return s.name
}

// serve serves one of the ports for probes and metrics.
func (s *gatewaySettings) serve(ctx context.Context, port int, serve func(net.Listener) error, log *slog.Logger) error {
	l, err := proxy.Listen(ctx, net.JoinHostPort(s.address, strconv.Itoa(port)), proxy.ListenOptions{MaxConnections: 32})
	if err != nil {
		return err
	}
	go func() {
		if err := serve(l); err != nil {
			log.Error("a port is no longer served", "port", port, "error", err)
		}
	}()
	return nil
}

// open waits for the pod's credentials. A gateway that reads a file may have none.
func (s *gatewaySettings) open(ctx context.Context, log *slog.Logger) (*proxy.Credentials, error) {
	if _, err := os.Stat(s.credentials.Key); s.file != "" && errors.Is(err, os.ErrNotExist) {
		log.Warn("there are no credentials: backends in the mesh cannot be reached", "file", s.credentials.Key)
		return nil, nil
	}
	if s.credentials.TrustDomain == "" {
		s.credentials.TrustDomain = trustDomain(ctx, s.credentials.Key, log)
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	c, err := proxy.OpenCredentials(ctx, s.credentials, log)
	if err != nil {
		return nil, err
	}
	if err := c.Wait(ctx); err != nil && ctx.Err() == nil {
		return nil, err
	}
	return c, nil
}

// trustDomain waits until there is a certificate and returns its trust domain.
func trustDomain(ctx context.Context, file string, log *slog.Logger) string {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for problem := ""; ; {
		svid, err := x509svid.Load(file, file)
		if err == nil {
			return svid.ID.TrustDomain().Name()
		}
		if err.Error() != problem {
			problem = err.Error()
			log.Info("waiting for the pod's credentials", "reason", problem)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ""
		}
	}
}

func (s *gatewaySettings) controlTLS(c *proxy.Credentials) (*tls.Config, error) {
	id := config.ID(c.TrustDomain().Name(), config.ControlNamespace, config.ControlAccount)
	conf, err := c.ClientTLS([]string{proxy.ALPNHTTP2, proxy.ALPNHTTP1}, id)
	if err != nil {
		return nil, fmt.Errorf("control plane: %w", err)
	}
	return conf, nil
}
