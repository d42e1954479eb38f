package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fakediscovery "k8s.io/client-go/discovery/fake"
	fakedynamic "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	fakegateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/fake"

	"github.com/stratahq/strata/internal/gateway/deploy"
	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/gateway/translate"
	"github.com/stratahq/strata/internal/proxy/config"
)

const domain = "test.example"

// feedOf keeps what gateways are told.
type feedOf struct {
	mu      sync.Mutex
	configs map[string]config.Gateway
	refuse  bool
}

func (f *feedOf) Set(gateway, account string, c config.Gateway) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse {
		return errors.New("too large")
	}
	f.configs[gateway+" "+account] = c
	return nil
}

func (f *feedOf) Remove(gateway string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k := range f.configs {
		if strings.HasPrefix(k, gateway+" ") {
			delete(f.configs, k)
		}
	}
}

func (f *feedOf) get(name string) (config.Gateway, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.configs[name]
	return c, ok
}

// harness is a controller of a cluster that is played by client-go's fakes.
type harness struct {
	*leader
	core    *fake.Clientset
	gateway *fakegateway.Clientset
	feed    *feedOf
}

// start starts a controller of a cluster with a class, the Gateway public and other objects,
// and returns when it sees every change.
func start(t *testing.T, core []runtime.Object, gateway ...runtime.Object) *harness {
	t.Helper()
	h := &harness{core: fake.NewClientset(core...), feed: &feedOf{configs: map[string]config.Gateway{}}}
	h.gateway = fakegateway.NewSimpleClientset(append(gateway, class())...) //nolint:staticcheck // what replaces it does not find the plural of Gateway
	// The fake guesses a wrong plural for objects of this kind that it is made with.
	if _, err := h.gateway.GatewayV1().Gateways("edge").Create(t.Context(), public(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	disco, ok := h.core.Discovery().(*fakediscovery.FakeDiscovery)
	if !ok {
		t.Fatal("the fake has no fake discovery")
	}
	resources := func(gv string, names ...string) *metav1.APIResourceList {
		l := &metav1.APIResourceList{GroupVersion: gv}
		for _, n := range names {
			l.APIResources = append(l.APIResources, metav1.APIResource{Name: n})
		}
		return l
	}
	disco.Resources = []*metav1.APIResourceList{
		resources("gateway.networking.k8s.io/v1", "gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"),
		resources("gateway.strata.dev/v1alpha1", "routepolicies"),
	}
	dynamic := fakedynamic.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{routePolicies: "RoutePolicyList"})
	o := Options{Controller: config.GatewayController, TrustDomain: domain, Deploy: deploy.Options{Image: "proxy:1", Service: corev1.ServiceTypeClusterIP, Replicas: 1}}
	c, err := newController(Deps{Client: h.core, Feed: h.feed, Log: slog.New(slog.DiscardHandler)}, o, h.gateway, dynamic)
	if err != nil {
		t.Fatal(err)
	}
	h.leader = &leader{Controller: c, applied: map[translate.Key]*applied{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	// The fakes know no resource versions: what is written between a list and its watch is
	// in neither. They are locked while they open a watch, so one that they tell of is open.
	watches := func() (n int) {
		for _, a := range slices.Concat(h.core.Actions(), h.gateway.Actions(), dynamic.Actions()) {
			if a.GetVerb() == "watch" {
				n++
			}
		}
		return n
	}
	for began := time.Now(); watches() < len(c.watch.synced); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("after a minute %d of %d watches are open", watches(), len(c.watch.synced))
		}
	}
	return h
}

// until reconciles until there is no error.
func (h *harness) until(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < time.Minute; {
		if last := h.latest.Load(); last != nil {
			if err = h.reconcile(t.Context(), last); err == nil {
				err = f()
			}
		} else {
			err = errors.New("nothing is translated yet")
		}
		if err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %v", err)
}

func (h *harness) status(t *testing.T, name, kind string) metav1.Condition {
	t.Helper()
	g, err := h.gateway.GatewayV1().Gateways("edge").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := meta.FindStatusCondition(g.Status.Conditions, kind)
	if c == nil {
		return metav1.Condition{}
	}
	return *c
}

// writes returns what was written, but for what the test itself did.
func writes(actions []k8stesting.Action) []string {
	var out []string
	for _, a := range actions {
		if !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()) {
			out = append(out, fmt.Sprintf("%s %s/%s", a.GetVerb(), a.GetResource().Resource, a.GetSubresource()))
		}
	}
	return out
}

func class() *gwv1.GatewayClass {
	return &gwv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "strata"}, Spec: gwv1.GatewayClassSpec{ControllerName: config.GatewayController}}
}

func public() *gwv1.Gateway {
	return &gwv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "public", UID: "uid-1", Generation: 1}, Spec: gwv1.GatewaySpec{
		GatewayClassName: "strata", Listeners: []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType}},
	}}
}

func route() *gwv1.HTTPRoute {
	r := &gwv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "web", Generation: 1}}
	r.Spec.ParentRefs = []gwv1.ParentReference{{Name: "public"}}
	r.Spec.Rules = []gwv1.HTTPRouteRule{{BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{BackendObjectReference: gwv1.BackendObjectReference{Name: "web", Port: ptr[int32](80)}}}}}}
	return r
}

func web() []runtime.Object {
	return []runtime.Object{
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}},
		&discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: "edge", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr[int32](8080)}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
		},
	}
}

// runs makes the gateway's objects what a cluster would make of them.
func (h *harness) runs(t *testing.T) {
	t.Helper()
	s, err := h.core.CoreV1().Services("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Spec.ClusterIP = "10.96.0.7"
	if _, err := h.core.CoreV1().Services("edge").Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := h.core.AppsV1().Deployments("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Status.AvailableReplicas = 1
	if _, err := h.core.AppsV1().Deployments("edge").UpdateStatus(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (h *harness) programmed(t *testing.T) error {
	t.Helper()
	if c := h.status(t, "public", string(gwv1.GatewayConditionProgrammed)); c.Status != yes {
		return fmt.Errorf("the gateway is not programmed: %s", c.Message)
	}
	return nil
}

func TestController(t *testing.T) {
	h := start(t, web(), route())
	h.until(t, func() error { return nil })
	h.runs(t)
	h.until(t, func() error { return h.programmed(t) })

	t.Run("gateways are told", func(t *testing.T) {
		c, ok := h.feed.get("edge/public public-strata")
		if !ok || len(c.Backends) != 1 || c.Backends[0].Endpoints[0] != (config.Endpoint{Address: "10.0.0.1", Port: 8080}) {
			t.Errorf("the gateway is told %+v", c)
		}
	})
	t.Run("statuses are written", func(t *testing.T) {
		g, err := h.gateway.GatewayV1().Gateways("edge").Get(t.Context(), "public", metav1.GetOptions{})
		if err != nil || len(g.Status.Addresses) != 1 || g.Status.Addresses[0].Value != "10.96.0.7" {
			t.Errorf("the gateway's status is %+v, %v", g.Status, err)
		}
		r, err := h.gateway.GatewayV1().HTTPRoutes("edge").Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil || len(r.Status.Parents) != 1 || !meta.IsStatusConditionTrue(r.Status.Parents[0].Conditions, "Accepted") {
			t.Errorf("the route's status is %+v, %v", r.Status, err)
		}
		k, err := h.gateway.GatewayV1().GatewayClasses().Get(t.Context(), "strata", metav1.GetOptions{})
		if err != nil || !meta.IsStatusConditionTrue(k.Status.Conditions, "Accepted") || len(k.Status.SupportedFeatures) == 0 {
			t.Errorf("the class's status is %+v, %v", k.Status, err)
		}
	})
	t.Run("what is as it should be is left alone", func(t *testing.T) {
		// The last writes have to be seen first.
		h.until(t, func() error {
			h.core.ClearActions()
			h.gateway.ClearActions()
			if err := h.reconcile(t.Context(), h.latest.Load()); err != nil {
				return err
			}
			if w := append(writes(h.core.Actions()), writes(h.gateway.Actions())...); len(w) > 0 {
				return fmt.Errorf("a second round writes %v", w)
			}
			return nil
		})
	})
	t.Run("what somebody changes is set right", func(t *testing.T) {
		s, err := h.core.CoreV1().Services("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.Spec.Ports[0].Port = 81
		if _, err := h.core.CoreV1().Services("edge").Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		h.until(t, func() error {
			s, err := h.core.CoreV1().Services("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
			if err == nil && (len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Port != 80) {
				err = fmt.Errorf("the ports are %v", s.Spec.Ports)
			}
			return err
		})
	})
	t.Run("a configuration that is refused is told", func(t *testing.T) {
		h.feed.mu.Lock()
		h.feed.refuse = true
		h.feed.mu.Unlock()
		h.changed.set()
		h.until(t, func() error {
			if c := h.status(t, "public", "Programmed"); c.Status == yes || !strings.Contains(c.Message, "too large") {
				return fmt.Errorf("Programmed is %+v", c)
			}
			return nil
		})
	})
}

// TestForeign: what is there already and not the gateway's is left alone.
func TestForeign(t *testing.T) {
	theirs := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "public-strata"}, Spec: corev1.ServiceSpec{ExternalName: "theirs"}}
	h := start(t, []runtime.Object{theirs})
	for began := time.Now(); time.Since(began) < time.Minute; {
		if last := h.latest.Load(); last != nil {
			if err := h.reconcile(t.Context(), last); err != nil && h.status(t, "public", "Programmed").Reason == string(gwv1.GatewayReasonNoResources) {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if c := h.status(t, "public", "Programmed"); !strings.Contains(c.Message, "not the gateway's") {
		t.Errorf("Programmed is %+v", c)
	}
	s, err := h.core.CoreV1().Services("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
	if err != nil || s.Spec.ExternalName != "theirs" || len(s.Spec.Ports) > 0 {
		t.Errorf("their Service is %+v, %v", s.Spec, err)
	}
}

// TestPrune: a gateway whose class is another controller's is removed, one whose class
// is gone is not.
func TestPrune(t *testing.T) {
	h := start(t, nil)
	h.until(t, func() error {
		_, err := h.core.AppsV1().Deployments("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
		return err
	})
	if err := h.gateway.GatewayV1().GatewayClasses().Delete(t.Context(), "strata", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until(t, func() error {
		if _, ok := h.feed.get("edge/public public-strata"); ok {
			return errors.New("the controller does not know yet that the class is gone")
		}
		return nil
	})
	if _, err := h.core.AppsV1().Deployments("edge").Get(t.Context(), "public-strata", metav1.GetOptions{}); err != nil {
		t.Errorf("without its class the gateway is gone: %v", err)
	}
	other := class()
	other.Spec.ControllerName = "example.com/other"
	if _, err := h.gateway.GatewayV1().GatewayClasses().Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until(t, func() error {
		if _, err := h.core.CoreV1().Services("edge").Get(t.Context(), "public-strata", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Service is there, or: %w", err)
		}
		if _, err := h.core.AppsV1().Deployments("edge").Get(t.Context(), "public-strata", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Deployment is there, or: %w", err)
		}
		return nil
	})
}

// TestRoutePolicy: policies are read by another client than all else.
func TestRoutePolicy(t *testing.T) {
	h := start(t, web())
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": routepolicy.Group + "/" + routepolicy.Version, "kind": routepolicy.Kind, "metadata": map[string]any{"namespace": "edge", "name": "limits"},
		"spec": map[string]any{"rateLimit": map[string]any{"requestsPerSecond": int64(5)}, "maxRequestBytes": int64(9)},
	}}
	if _, err := h.dynamic.Resource(routePolicies).Namespace("edge").Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until(t, func() error {
		if p := h.latest.Load().objects.RoutePolicies; len(p) != 1 || p[0].Spec.RateLimit == nil || p[0].Spec.RateLimit.RequestsPerSecond != 5 || p[0].Spec.MaxRequestBytes != 9 {
			return fmt.Errorf("policies are %+v", p)
		}
		return nil
	})
}

func TestFailure(t *testing.T) {
	h := start(t, nil)
	h.until(t, func() error { return nil })
	d, err := h.core.AppsV1().Deployments("edge").Get(t.Context(), "public-strata", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}}
	if _, err := h.core.AppsV1().Deployments("edge").UpdateStatus(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	h.until(t, func() error {
		if c := h.status(t, "public", "Programmed"); c.Reason != string(gwv1.GatewayReasonNoResources) || c.Message != "exceeded quota" {
			return fmt.Errorf("Programmed is %+v", c)
		}
		return nil
	})
}
