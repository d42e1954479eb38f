package gateway

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

var (
	yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	long    = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
)

func cond(kind string, status metav1.ConditionStatus, generation int64) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, ObservedGeneration: generation, LastTransitionTime: long, Reason: "R"}
}

func TestMerge(t *testing.T) {
	have := []metav1.Condition{cond("Accepted", yes, 1), cond("example.com/Theirs", yes, 1), cond("Gone", yes, 1), cond("Later", yes, 9), cond("Changed", yes, 1)}
	want := []metav1.Condition{cond("Accepted", yes, 2), cond("Later", no, 2), cond("Changed", no, 2), cond("New", no, 2)}
	for i := range want {
		want[i].LastTransitionTime = metav1.Time{}
	}
	got := merge(have, want, []string{"Accepted", "Gone", "Later", "Changed", "New"})
	var order []string
	for _, c := range got {
		order = append(order, c.Type)
	}
	if !slices.Equal(order, []string{"Accepted", "example.com/Theirs", "Later", "Changed", "New"}) {
		t.Fatalf("conditions are %v", order)
	}
	at := func(kind string) metav1.Condition { return *meta.FindStatusCondition(got, kind) }
	if c := at("Accepted"); c.ObservedGeneration != 2 || !c.LastTransitionTime.Equal(&long) {
		t.Errorf("what stays true is %+v", c)
	}
	if c := at("Later"); c.ObservedGeneration != 9 || c.Status != yes {
		t.Errorf("what was said of a later generation is %+v", c)
	}
	for _, kind := range []string{"Changed", "New"} {
		if c := at(kind); c.LastTransitionTime.IsZero() || c.LastTransitionTime.Equal(&long) {
			t.Errorf("%s has the time %s", kind, c.LastTransitionTime)
		}
	}
	if have[0].ObservedGeneration != 1 {
		t.Error("the object in the cache was changed")
	}
}

func TestParents(t *testing.T) {
	l := &leader{Controller: &Controller{options: Options{Controller: config.GatewayController}}}
	parent := func(controller, name string, c ...metav1.Condition) gwv1.RouteParentStatus {
		return gwv1.RouteParentStatus{ControllerName: gwv1.GatewayController(controller), ParentRef: gwv1.ParentReference{Name: gwv1.ObjectName(name)}, Conditions: c}
	}
	have := []gwv1.RouteParentStatus{
		parent(config.GatewayController, "old", cond("Accepted", yes, 1)), parent("example.com/other", "theirs", cond("Accepted", no, 1)),
		parent(config.GatewayController, "kept", cond("Accepted", yes, 1), cond("PartiallyInvalid", yes, 1)),
	}
	fresh := cond("Accepted", yes, 2)
	fresh.LastTransitionTime = metav1.Time{}
	got := l.parents(have, []gwv1.RouteParentStatus{parent(config.GatewayController, "kept", fresh), parent(config.GatewayController, "new", fresh)})
	var names []string
	for _, p := range got {
		names = append(names, string(p.ParentRef.Name))
	}
	if !slices.Equal(names, []string{"theirs", "kept", "new"}) {
		t.Fatalf("parents are %v", names)
	}
	if c := got[1].Conditions; len(c) != 1 || !c[0].LastTransitionTime.Equal(&long) || c[0].ObservedGeneration != 2 {
		t.Errorf("conditions of a parent that stays: %+v", c)
	}
	if got := l.parents(have[:1], nil); got == nil || len(got) != 0 {
		t.Errorf("a route without parents of ours has %v", got)
	}
}

func TestAddresses(t *testing.T) {
	service := func(kind corev1.ServiceType, ips ...string) *corev1.Service {
		s := &corev1.Service{Spec: corev1.ServiceSpec{Type: kind, ClusterIP: "10.0.0.1", ClusterIPs: ips}}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "lb.example"}}
		return s
	}
	for _, c := range []struct {
		service *corev1.Service
		want    []string
	}{
		{service(corev1.ServiceTypeClusterIP, "10.0.0.1", "2001:db8::1"), []string{"IPAddress 10.0.0.1", "IPAddress 2001:db8::1"}},
		{service(corev1.ServiceTypeClusterIP), []string{"IPAddress 10.0.0.1"}},
		{service(corev1.ServiceTypeLoadBalancer, "10.0.0.1"), []string{"IPAddress 192.0.2.1", "Hostname lb.example"}},
	} {
		var got []string
		for _, a := range addresses(c.service) {
			got = append(got, string(*a.Type)+" "+a.Value)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("addresses of %+v: %v, want %v", c.service.Spec, got, c.want)
		}
	}
}

// TestSlim: nothing is kept in memory that gateways do not need.
func TestSlim(t *testing.T) {
	object := metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}}}
	m := &corev1.ConfigMap{ObjectMeta: object, Data: map[string]string{caKey: "ca", "other": "x"}, BinaryData: map[string][]byte{"b": nil}}
	s := &corev1.Secret{ObjectMeta: object, Data: map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k"), "other": nil}}
	e := &discoveryv1.EndpointSlice{ObjectMeta: object, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Name: "pod"}}}}
	for _, o := range []metav1.Object{m, s, e} {
		if _, err := slim(o); err != nil {
			t.Fatal(err)
		}
		if len(o.GetManagedFields()) > 0 {
			t.Errorf("%T keeps its managed fields", o)
		}
	}
	if len(m.Data) != 1 || m.Data[caKey] != "ca" || m.BinaryData != nil {
		t.Errorf("a ConfigMap keeps %v", m.Data)
	}
	if len(s.Data) != 2 || string(s.Data["tls.key"]) != "k" {
		t.Errorf("a Secret keeps %d keys", len(s.Data))
	}
	if e.Endpoints[0].TargetRef != nil || e.Endpoints[0].Addresses[0] != "10.0.0.1" {
		t.Errorf("an EndpointSlice keeps %v", e.Endpoints)
	}
}
