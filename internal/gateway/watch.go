package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwinformers "sigs.k8s.io/gateway-api/pkg/client/informers/externalversions"

	"github.com/stratahq/strata/internal/gateway/deploy"
	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/gateway/translate"
)

// resync is how often everything is looked at again, against events that were missed.
const resync = 10 * time.Minute

// caKey is the only key of ConfigMaps that is kept.
const caKey = "ca.crt"

var routePolicies = schema.GroupVersionResource{Group: routepolicy.Group, Version: routepolicy.Version, Resource: routepolicy.Resource}

// watch keeps what gateways depend on in memory, without what is not needed of it.
type watch struct {
	c         *Controller
	factories []factory
	// stores have the objects, by kind.
	stores map[string][]cache.Store
	synced []cache.InformerSynced
}

// factory is a shared informer factory of any client.
type factory struct {
	start    func(stop <-chan struct{})
	shutdown func()
}

func newWatch(c *Controller) (*watch, error) {
	w := &watch{c: c, stores: map[string][]cache.Store{}}
	core := informers.NewSharedInformerFactoryWithOptions(c.Client, resync, informers.WithTransform(slim))
	own := informers.NewSharedInformerFactoryWithOptions(c.Client, resync, informers.WithTransform(slim), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = deploy.LabelManagedBy + "=" + deploy.ManagedBy
	}))
	gateway := gwinformers.NewSharedInformerFactoryWithOptions(c.gateway, resync, gwinformers.WithTransform(slim))
	policies := dynamicinformer.NewDynamicSharedInformerFactory(c.dynamic, resync)
	w.factories = []factory{{core.Start, core.Shutdown}, {own.Start, own.Shutdown}, {gateway.Start, gateway.Shutdown}, {policies.Start, policies.Shutdown}}

	g := gateway.Gateway().V1()
	watched := map[string]cache.SharedIndexInformer{
		"GatewayClass": g.GatewayClasses().Informer(), "Gateway": g.Gateways().Informer(), "HTTPRoute": g.HTTPRoutes().Informer(),
		"GRPCRoute": g.GRPCRoutes().Informer(), "ReferenceGrant": g.ReferenceGrants().Informer(), "BackendTLSPolicy": g.BackendTLSPolicies().Informer(),
		"RoutePolicy": policies.ForResource(routePolicies).Informer(),
		"Service":     core.Core().V1().Services().Informer(), "EndpointSlice": core.Discovery().V1().EndpointSlices().Informer(),
		"ConfigMap": core.Core().V1().ConfigMaps().Informer(), "Namespace": core.Core().V1().Namespaces().Informer(),
	}
	for kind, i := range watched {
		if err := w.add(kind, i, c.changed); err != nil {
			return nil, err
		}
	}
	namespaces := c.options.SecretNamespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, ns := range namespaces {
		f := informers.NewSharedInformerFactoryWithOptions(c.Client, resync, informers.WithNamespace(ns), informers.WithTransform(slim), informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS)).String()
		}))
		w.factories = append(w.factories, factory{f.Start, f.Shutdown})
		if err := w.add("Secret", f.Core().V1().Secrets().Informer(), c.changed); err != nil {
			return nil, err
		}
	}
	// What runs the gateways concerns only who leads.
	for kind, i := range map[string]cache.SharedIndexInformer{"own Deployment": own.Apps().V1().Deployments().Informer(), "own Service": own.Core().V1().Services().Informer()} {
		if err := w.add(kind, i, c.work); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// add watches a kind. f is set when an object of it changes.
func (w *watch) add(kind string, i cache.SharedIndexInformer, f flag) error {
	w.stores[kind] = append(w.stores[kind], i.GetStore())
	h, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { f.set() },
		UpdateFunc: func(any, any) { f.set() },
		DeleteFunc: func(any) { f.set() },
	})
	if err != nil {
		return fmt.Errorf("watch objects of kind %s: %w", kind, err)
	}
	w.synced = append(w.synced, h.HasSynced)
	return nil
}

// start returns when everything is read.
func (w *watch) start(ctx context.Context) error {
	for _, f := range w.factories {
		f.start(ctx.Done())
	}
	if !cache.WaitForCacheSync(ctx.Done(), w.synced...) {
		return fmt.Errorf("read the objects that gateways depend on: %w", context.Cause(ctx))
	}
	return nil
}

func (w *watch) stop() {
	for _, f := range w.factories {
		f.shutdown()
	}
}

// missing names the kinds that the API server does not know.
func (w *watch) missing() (string, error) {
	want := map[schema.GroupVersion][]string{
		{Group: gwv1.GroupName, Version: "v1"}:                   {"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"},
		{Group: routepolicy.Group, Version: routepolicy.Version}: {routepolicy.Resource},
	}
	var missing []string
	for gv, resources := range want {
		known, err := w.c.Client.Discovery().ServerResourcesForGroupVersion(gv.String())
		if err != nil && !apierrors.IsNotFound(err) {
			return "", err
		}
		for _, r := range resources {
			if err != nil || !slices.ContainsFunc(known.APIResources, func(a metav1.APIResource) bool { return a.Name == r }) {
				missing = append(missing, r+"."+gv.Group)
			}
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, ", "), nil
}

// objects returns everything that gateways depend on.
func (w *watch) objects() *translate.Objects {
	o := &translate.Objects{
		Classes: list[gwv1.GatewayClass](w, "GatewayClass"), HTTPRoutes: list[gwv1.HTTPRoute](w, "HTTPRoute"), GRPCRoutes: list[gwv1.GRPCRoute](w, "GRPCRoute"),
		ReferenceGrants: list[gwv1.ReferenceGrant](w, "ReferenceGrant"), BackendTLSPolicies: list[gwv1.BackendTLSPolicy](w, "BackendTLSPolicy"),
		Services: list[corev1.Service](w, "Service"), EndpointSlices: list[discoveryv1.EndpointSlice](w, "EndpointSlice"),
		Secrets: list[corev1.Secret](w, "Secret"), ConfigMaps: list[corev1.ConfigMap](w, "ConfigMap"), Namespaces: list[corev1.Namespace](w, "Namespace"),
	}
	for _, g := range list[gwv1.Gateway](w, "Gateway") {
		if g.DeletionTimestamp == nil {
			o.Gateways = append(o.Gateways, g)
		}
	}
	for _, u := range list[unstructured.Unstructured](w, "RoutePolicy") {
		p := &routepolicy.RoutePolicy{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, p); err != nil {
			// Routes that refer to it find none, and let nobody in.
			w.c.Log.Error("a RoutePolicy cannot be read", "namespace", u.GetNamespace(), "name", u.GetName(), "error", err)
			continue
		}
		o.RoutePolicies = append(o.RoutePolicies, p)
	}
	return o
}

// own returns an object that runs a gateway, as it is in the cluster, or nil.
func own[T any](w *watch, kind string, key translate.Key) *T {
	for _, s := range w.stores["own "+kind] {
		if o, ok, err := s.GetByKey(key.String()); err == nil && ok {
			t, _ := o.(*T)
			return t
		}
	}
	return nil
}

func list[T any](w *watch, kind string) []*T {
	var out []*T
	for _, s := range w.stores[kind] {
		for _, o := range s.List() {
			if t, ok := o.(*T); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

// slim removes from an object what nobody here reads.
func slim(o any) (any, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return o, nil // the last state of an object whose deletion was missed
	}
	m.SetManagedFields(nil)
	switch o := o.(type) {
	case *corev1.ConfigMap:
		data := o.Data[caKey]
		o.Data, o.BinaryData, o.Annotations = nil, nil, nil
		if data != "" {
			o.Data = map[string]string{caKey: data}
		}
	case *corev1.Secret:
		chain, key := o.Data[corev1.TLSCertKey], o.Data[corev1.TLSPrivateKeyKey]
		o.Data, o.Annotations = map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key}, nil
	case *discoveryv1.EndpointSlice:
		for i := range o.Endpoints {
			e := &o.Endpoints[i]
			o.Endpoints[i] = discoveryv1.Endpoint{Addresses: e.Addresses, Conditions: e.Conditions}
		}
	case *corev1.Namespace:
		o.Annotations, o.Spec, o.Status = nil, corev1.NamespaceSpec{}, corev1.NamespaceStatus{}
	case *appsv1.Deployment:
		o.Annotations, o.Spec = nil, appsv1.DeploymentSpec{}
	}
	return o, nil
}
