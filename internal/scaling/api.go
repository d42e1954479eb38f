package scaling

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/spf13/pflag"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"golang.org/x/sync/errgroup"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd/options"

	"github.com/stratahq/strata/internal/proxy/config"
)

// teamLabel is what workloads' pods have, and no others.
const teamLabel = "strata.dev/team"

// Options are what the API needs. All of them have to be set, but Kubeconfig and Port.
type Options struct {
	// Rest and Client talk to the cluster; Kubeconfig is the file of Rest, and empty in the
	// cluster.
	Rest       *rest.Config
	Client     kubernetes.Interface
	Kubeconfig string
	// TrustDomain is that of the sidecars, SVIDs and Bundles the control plane's own
	// identity and whom it trusts.
	TrustDomain string
	SVIDs       x509svid.Source
	Bundles     x509bundle.Source
	Log         *slog.Logger
	// Port is where the API is served; 0 means config.ScalingPort.
	Port int
}

// API reads metrics and serves them.
type API struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	kube    string
	td      string
	svids   x509svid.Source
	bundles x509bundle.Source
	log     *slog.Logger
	port    int

	factory     informers.SharedInformerFactory
	podFactory  informers.SharedInformerFactory
	autoscalers autoscalinglisters.HorizontalPodAutoscalerLister
	pods        corelisters.PodLister
	figures     figures
}

// New returns an API that Run starts.
func New(o Options) (*API, error) {
	d, err := dynamic.NewForConfig(o.Rest)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		o.Port = config.ScalingPort
	}
	a := &API{client: o.Client, dynamic: d, kube: o.Kubeconfig, td: o.TrustDomain, svids: o.SVIDs, bundles: o.Bundles, log: o.Log, port: o.Port}
	a.factory = informers.NewSharedInformerFactoryWithOptions(o.Client, 0, informers.WithTransform(slim))
	a.autoscalers = a.factory.Autoscaling().V2().HorizontalPodAutoscalers().Lister()
	a.podFactory = informers.NewSharedInformerFactoryWithOptions(o.Client, 0, informers.WithTransform(slim),
		informers.WithTweakListOptions(func(l *metav1.ListOptions) { l.LabelSelector = teamLabel }))
	a.pods = a.podFactory.Core().V1().Pods().Lister()
	return a, nil
}

// slim drops what is not looked at, so that ten thousand pods take little memory.
func slim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion, DeletionTimestamp: o.DeletionTimestamp,
				Labels: map[string]string{nameLabel: o.Labels[nameLabel]}},
			Spec:   corev1.PodSpec{ServiceAccountName: o.Spec.ServiceAccountName},
			Status: corev1.PodStatus{Phase: o.Status.Phase, PodIP: o.Status.PodIP},
		}, nil
	case *autoscalingv2.HorizontalPodAutoscaler:
		return &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion},
			Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{Metrics: o.Spec.Metrics},
		}, nil
	}
	return obj, nil
}

// Run reads metrics and serves them until ctx ends. It registers itself with the API server,
// unless somebody else serves the same API in this cluster: then it says so and does nothing.
func (a *API) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	for _, f := range []informers.SharedInformerFactory{a.factory, a.podFactory} {
		f.Start(ctx.Done())
		f.WaitForCacheSync(ctx.Done())
		// It waits until the informers have stopped, which they do when they are told to.
		defer f.Shutdown()
	}
	defer stop()
	cert, err := a.certificate(ctx)
	if err != nil {
		return err
	}
	if ours, err := a.register(ctx, cert); err != nil || !ours {
		if err == nil {
			<-ctx.Done()
		}
		return err
	}
	server, err := a.server(cert)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error { return a.read(ctx) })
	g.Go(func() error { return a.renew(ctx, cert) })
	return g.Wait()
}

// read reads metrics again and again. What cannot be read is missed by autoscalers, who
// say so.
func (a *API) read(ctx context.Context) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		if err := a.scrape(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("metrics for autoscalers cannot be read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// server is the library's, with who may ask left to the API server, as for every API that
// it aggregates.
func (a *API) server(cert *certificate) (*basecmd.AdapterBase, error) {
	o := options.NewCustomMetricsAdapterServerOptions()
	o.SecureServing.BindPort = a.port
	// Nothing is written: the root file system cannot be.
	o.SecureServing.ServerCert.CertDirectory = ""
	o.Authentication.RemoteKubeConfigFile = a.kube
	o.Authorization.RemoteKubeConfigFile = a.kube
	// Nothing of ours is in the metrics of the library's own.
	o.EnableMetrics, o.Features.EnableProfiling = false, false
	s := &basecmd.AdapterBase{
		CustomMetricsAdapterServerOptions: o, Name: config.ControlAccount, RemoteKubeConfigFile: a.kube,
		FlagSet: pflag.NewFlagSet(config.ControlAccount, pflag.ContinueOnError),
	}
	s.InstallFlags()
	s.WithExternalMetrics(a)
	conf, err := s.Config()
	if err != nil {
		return nil, fmt.Errorf("metrics API at port %s: %w", strconv.Itoa(a.port), err)
	}
	// The library has made a certificate that the API server does not know.
	conf.GenericConfig.SecureServing.Cert = cert
	if _, err := s.Server(); err != nil {
		return nil, fmt.Errorf("metrics API at port %s: %w", strconv.Itoa(a.port), err)
	}
	return s, nil
}
