package translate

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// BenchmarkTranslate translates a gateway with 10,000 workloads behind it, each with a
// route and three pods.
func BenchmarkTranslate(b *testing.B) {
	const workloads = 10_000
	o := &Objects{
		Classes: []*gwv1.GatewayClass{{ObjectMeta: metav1.ObjectMeta{Name: "strata"}, Spec: gwv1.GatewayClassSpec{ControllerName: controller}}},
		Gateways: []*gwv1.Gateway{{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "public"}, Spec: gwv1.GatewaySpec{
			GatewayClassName: "strata",
			Listeners:        []gwv1.Listener{{Name: "http", Port: 80, Protocol: gwv1.HTTPProtocolType, AllowedRoutes: &gwv1.AllowedRoutes{Namespaces: &gwv1.RouteNamespaces{From: ptr(gwv1.NamespacesFromAll)}}}},
		}}},
	}
	for i := range workloads {
		meta := metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", i%100), Name: fmt.Sprintf("w-%d", i)}
		r := &gwv1.HTTPRoute{ObjectMeta: meta}
		r.Spec.ParentRefs = []gwv1.ParentReference{{Namespace: ptr(gwv1.Namespace("edge")), Name: "public"}}
		r.Spec.Hostnames = []gwv1.Hostname{gwv1.Hostname(fmt.Sprintf("w-%d.example.com", i))}
		r.Spec.Rules = []gwv1.HTTPRouteRule{{BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{BackendObjectReference: gwv1.BackendObjectReference{Name: gwv1.ObjectName(meta.Name), Port: ptr[int32](80)}}}}}}
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Namespace: meta.Namespace, Name: meta.Name + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: meta.Name}},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr[int32](8080)}},
		}
		for j := range 3 {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", j, i/250, i%250)}})
		}
		o.HTTPRoutes = append(o.HTTPRoutes, r)
		o.Services = append(o.Services, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}})
		o.EndpointSlices = append(o.EndpointSlices, slice)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := Translate(o, Options{Controller: controller, TrustDomain: trustDomain}); len(r.Gateways[0].Config.Ports[0].Listeners[0].Hosts) != workloads {
			b.Fatal("routes are missing")
		}
	}
}
