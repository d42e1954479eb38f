// Command strata-control is the control plane inside of a cluster. It gives pods their
// identities, and serves gateways and autoscalers what they have to know. Several
// replicas may run; one of them leads.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/stratahq/strata/internal/identity"
)

// settings are what the program is told.
type settings struct {
	identity identity.Options
	// kubeconfig is a file; empty: the cluster that the program runs in.
	kubeconfig string
	// name tells replicas apart.
	name string
	// health, metrics are addresses to listen on.
	health, metrics string
	// readers are SPIFFE IDs that may read metrics.
	readers []string
	// gateways say how the Gateway API is served.
	gateways gatewaySettings
}

// parse reads the arguments.
func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("strata-control", flag.ContinueOnError)
	o := &s.identity
	f.StringVar(&o.Environment, "environment", "", "name of the environment")
	f.StringVar(&o.Platform, "platform", "", "name of the platform")
	f.StringVar(&o.Domain, "platform-domain", "", "domain of the platform; the trust domain is ENVIRONMENT.DOMAIN")
	f.DurationVar(&o.CertificateLife, "certificate-life", 0, "how long a pod's certificate holds (24h)")
	f.Float64Var(&o.RefreshShare, "certificate-refresh", 0, "share of its life after which it is renewed (0.5)")
	f.DurationVar(&o.RootLife, "root-life", 0, "how long a root holds (8760h)")
	f.Float64Var(&o.RotateShare, "root-rotation", 0, "share of its life after which a root is replaced (0.67)")
	f.DurationVar(&o.Overlap, "root-overlap", 0, "how long pods are told to trust a new root before it signs (30m)")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "file that says how to reach the cluster; without it, as the pod that this is")
	f.StringVar(&s.name, "name", "", "name that tells replicas apart (the host's name)")
	f.StringVar(&s.health, "health-address", defaultHealth, "where probes are answered")
	f.StringVar(&s.metrics, "metrics-address", defaultMetrics, "where metrics are served, by mutual TLS")
	gateways := s.gateways.flags(f)
	readers := f.String("metrics-readers", "", "SPIFFE IDs that may read metrics, joined by commas; this program's own may")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("there is no argument %q", f.Arg(0))
	}
	s.readers = split(*readers)
	if err := gateways(); err != nil {
		return s, err
	}
	if s.name == "" {
		host, err := os.Hostname()
		if err != nil {
			return s, err
		}
		s.name = host
	}
	if ca := &s.gateways.authority; len(ca.Domains) > 0 {
		ca.Platform, ca.Environment = o.Platform, o.Environment
		if err := ca.Complete(); err != nil {
			return s, err
		}
	}
	return s, o.Complete()
}

func main() {
	// Little is kept, and nothing is computed: memory is dearer here than time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	klog.SetSlogLogger(log)
	s, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "strata-control: "+err.Error())
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, s, log); err != nil {
		log.Error("the control plane ends", "error", err.Error())
		os.Exit(1)
	}
}
