package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/scaling"
)

// control is what the parts of the control plane share.
type control struct {
	settings settings
	log      *slog.Logger
	// rest and client talk to the cluster.
	rest   *rest.Config
	client kubernetes.Interface
	// events records what happens to objects.
	events record.EventRecorder
	// metrics is where parts register theirs.
	metrics *prometheus.Registry
	// identity signs, and is the source of this program's own certificate and of the
	// roots to verify others with (x509svid.Source, x509bundle.Source).
	identity *identity.Authority
	// scaling serves metrics to autoscalers.
	scaling *scaling.API
	// ready are what has to be so before this replica is ready, by name. Parts add to it
	// before they run.
	ready map[string]func() error
}

// part is something that runs as long as the program does.
type part struct {
	name string
	// leads says that only the replica that leads runs it.
	leads bool
	// run returns when ctx ends. An error ends the program, and Kubernetes starts it anew.
	run func(ctx context.Context) error
}

// parts are what the control plane consists of, in no order that matters.
func (c *control) parts() []part {
	return []part{
		{name: "health", run: c.serveHealth},
		{name: "metrics", run: c.serveMetrics},
		{name: "roots", run: c.identity.Follow},
		{name: "signer", leads: true, run: c.identity.Lead},
		{name: "scaling", run: c.scaling.Run},
	}
}

// run runs the control plane until ctx ends.
func run(ctx context.Context, s settings, log *slog.Logger) error {
	c, err := newControl(s, log)
	if err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.client.CoreV1().Events("")})
	c.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: config.ControlAccount})
	c.identity, err = identity.New(identity.Deps{Client: c.client, Log: log, Events: c.events, Metrics: c.metrics}, s.identity)
	if err != nil {
		return err
	}
	c.ready["identity"] = c.identity.Ready
	c.scaling, err = scaling.New(scaling.Options{
		Rest: c.rest, Client: c.client, Kubeconfig: s.kubeconfig, TrustDomain: c.identity.TrustDomain().Name(),
		SVIDs: c.identity, Bundles: c.identity, Log: log.With("part", "scaling"),
	})
	if err != nil {
		return err
	}
	gateways, err := c.gateways()
	if err != nil {
		return err
	}

	var leading []part
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range append(c.parts(), gateways...) {
		if p.leads {
			leading = append(leading, p)
			continue
		}
		g.Go(func() error { return p.start(ctx) })
	}
	g.Go(func() error { return c.elect(ctx, leading) })
	log.Info("the control plane runs", "trustDomain", c.identity.TrustDomain().Name(), "name", s.name)
	return g.Wait()
}

// start runs a part and says which one an error is of.
func (p part) start(ctx context.Context) error {
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

func newControl(s settings, log *slog.Logger) (*control, error) {
	rc, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("there is no way to reach the cluster: %w", err)
	}
	// The API server has a fair queue of its own.
	rc.QPS = -1
	rc.UserAgent = config.ControlAccount
	rc.WarningHandler = rest.NoWarnings{}
	c := &control{settings: s, log: log, rest: rc, metrics: prometheus.NewRegistry(), ready: map[string]func() error{}}
	c.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// Typed clients read and write protobuf, which costs a fraction of JSON's time and
	// garbage.
	typed := rest.CopyConfig(rc)
	typed.ContentType, typed.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	c.client, err = kubernetes.NewForConfig(typed)
	return c, err
}
