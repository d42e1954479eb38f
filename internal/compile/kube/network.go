package kube

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

// metadataService is where clouds hand out a machine's credentials; no
// workload may reach it.
const metadataService = "169.254.169.254/32"

// maxRules is how many rules the Gateway API accepts in one HTTPRoute.
const maxRules = 16

// requestTimeout bounds a request through a gateway.
const requestTimeout = "60s"

// service returns the Service, if the workload has ports; in the mesh it leads to the
// ports for mutual TLS.
func (r *renderer) service() []Object {
	if len(r.w.Ports) == 0 {
		return nil
	}
	var ports []corev1.ServicePort
	for i, p := range r.w.Ports {
		for _, q := range r.w.Ports[:i] {
			if p.Port == q.Port && cmp.Or(p.Protocol, "TCP") == cmp.Or(q.Protocol, "TCP") {
				r.errorf("service ports %q and %q have the same number %d", q.Name, p.Name, p.Port)
			}
		}
		ports = append(ports, corev1.ServicePort{
			Name: p.Name, Port: int32(p.Port), TargetPort: intstr.FromInt32(int32(r.podPort(i))),
			Protocol: corev1.Protocol(cmp.Or(p.Protocol, "TCP")),
		})
	}
	svc := &corev1.Service{TypeMeta: gvk("v1", "Service"), ObjectMeta: r.meta(r.w.Name), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: r.selector, Ports: ports,
	}}
	return append([]Object{svc}, r.meshService(svc)...)
}

// serves reports whether the route leads to the port.
func (route Route) serves(p Port) bool { return p.Port == route.Port && p.Protocol != "UDP" }

// openRoutes returns the routes that the environment can serve.
func (r *renderer) openRoutes() []Route {
	if r.env.IngressDomain == "" {
		return nil
	}
	return r.w.Routes
}

// routes returns an HTTPRoute for each host and class, several when there are
// more rules than one can have, after the RoutePolicies that they refer to.
func (r *renderer) routes() []Object {
	rs := slices.Clone(r.openRoutes())
	// The longest path first: that is the order in which gateways match.
	slices.SortFunc(rs, func(a, b Route) int {
		return cmp.Or(strings.Compare(a.Class, b.Class), strings.Compare(a.Host, b.Host), cmp.Compare(len(b.Path), len(a.Path)), strings.Compare(a.Path, b.Path))
	})
	var policies, objs []Object
	var last *gwv1.HTTPRoute
	n := 1 // of the HTTPRoutes of this class and host
	for i, route := range rs {
		same := i > 0 && rs[i-1].Class == route.Class && rs[i-1].Host == route.Host
		if same && rs[i-1].Path == route.Path {
			r.errorf("routes %q and %q have the same host and path", rs[i-1].Resource, route.Resource)
		}
		if !same {
			n = 1
		} else if len(last.Spec.Rules) == maxRules {
			same = false
			n++
		}
		if !same {
			last = r.httpRoute(route, n)
			objs = append(objs, last)
		}
		if !slices.ContainsFunc(r.w.Ports, route.serves) {
			r.errorf("route %q leads to TCP port %d, which the service does not have", route.Resource, route.Port)
		}
		if !strings.HasPrefix(route.Path, "/") {
			r.errorf("route %q has path %q: want one that starts with /", route.Resource, route.Path)
		}
		var filters []gwv1.HTTPRouteFilter
		if route.Policy != nil {
			p := r.routePolicy(route)
			policies = append(policies, p)
			filters = []gwv1.HTTPRouteFilter{{Type: gwv1.HTTPRouteFilterExtensionRef, ExtensionRef: &gwv1.LocalObjectReference{Group: routepolicy.Group, Kind: routepolicy.Kind, Name: gwv1.ObjectName(p.Name)}}}
		}
		last.Spec.Rules = append(last.Spec.Rules, gwv1.HTTPRouteRule{
			Filters: filters,
			Matches: []gwv1.HTTPRouteMatch{{Path: &gwv1.HTTPPathMatch{Type: ptr(gwv1.PathMatchPathPrefix), Value: ptr(route.Path)}}},
			BackendRefs: []gwv1.HTTPBackendRef{{BackendRef: gwv1.BackendRef{
				BackendObjectReference: gwv1.BackendObjectReference{Group: ptr(gwv1.Group("")), Kind: ptr(gwv1.Kind("Service")), Name: gwv1.ObjectName(r.w.Name), Port: ptr(gwv1.PortNumber(route.Port))},
				Weight:                 ptr[int32](1),
			}}},
			Timeouts: &gwv1.HTTPRouteTimeouts{Request: ptr(gwv1.Duration(requestTimeout))},
		})
	}
	return append(policies, objs...)
}

// routePolicy is what a route's requests are limited by. Only gateways of our own know
// it; others would let everybody in.
func (r *renderer) routePolicy(route Route) *routepolicy.RoutePolicy {
	if r.env.GatewayClass != config.GatewayClass {
		r.errorf("route %q limits requests or asks for tokens, which gateways of class %q cannot do", route.Resource, r.env.GatewayClass)
	}
	return &routepolicy.RoutePolicy{
		TypeMeta: gvk(routepolicy.Group+"/"+routepolicy.Version, routepolicy.Kind), Spec: *route.Policy,
		ObjectMeta: r.meta(fit(r.w.Name+"."+route.Resource, validation.DNS1123SubdomainMaxLength)),
	}
}

// httpRoute returns the nth HTTPRoute of a host, without rules.
func (r *renderer) httpRoute(route Route, n int) *gwv1.HTTPRoute {
	if route.Class != ClassPublic && route.Class != ClassInternal {
		r.errorf("route %q has class %q: want public or internal", route.Resource, route.Class)
	}
	host := strings.TrimPrefix(route.Host, "*.")
	if msgs := validation.IsDNS1123Subdomain(host); len(msgs) > 0 {
		r.errorf("route %q has host %q: %s", route.Resource, route.Host, msgs[0])
	}
	class := route.Class
	if n > 1 {
		class += "-" + strconv.Itoa(n)
	}
	name := r.w.Name + "." + class + "." + strings.Replace(route.Host, "*", "wildcard", 1)
	return &gwv1.HTTPRoute{
		TypeMeta: gvk(gatewayGroup, "HTTPRoute"), ObjectMeta: r.meta(fit(name, validation.DNS1123SubdomainMaxLength)),
		Spec: gwv1.HTTPRouteSpec{
			CommonRouteSpec: gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{parent(route.Class, GatewayNamespace, listener(r.env))}},
			Hostnames:       []gwv1.Hostname{gwv1.Hostname(route.Host)},
		},
	}
}

// networkPolicy opens what the workload declares, on top of the team's
// default-deny, and nothing else. It is left out when there is nothing to open.
func (r *renderer) networkPolicy() []Object {
	ingress, egress := r.ingress(), append(r.egress(), r.env.telemetryEgress()...)
	if len(ingress) == 0 && len(egress) == 0 {
		return nil
	}
	return []Object{&netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: r.meta(r.w.Name), Spec: netv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: r.selector},
		PolicyTypes: bothWays, Ingress: ingress, Egress: egress,
	}}}
}

// socket is a port and its protocol.
type socket struct {
	port     int
	protocol string
}

func (s socket) compare(t socket) int {
	return cmp.Or(cmp.Compare(s.port, t.port), strings.Compare(s.protocol, t.protocol))
}

// ingress lets callers, and the gateways if there are routes, reach the ports
// that they call: one rule for each port. In the mesh these are the ports for mutual TLS,
// so that nothing leads to the application's own.
func (r *renderer) ingress() []netv1.NetworkPolicyIngressRule {
	peers := map[socket][]netv1.NetworkPolicyPeer{}
	for _, route := range r.openRoutes() {
		for i, p := range r.w.Ports {
			s := socket{r.podPort(i), "TCP"}
			if route.serves(p) && len(peers[s]) == 0 {
				peers[s] = []netv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: GatewayNamespace}}}}
			}
		}
	}
	for _, c := range r.calls(r.w.Callers) {
		s := socket{c.Target, c.Protocol}
		peers[s] = append(peers[s], workloadPeer(c))
	}
	if r.meshed() {
		peers[socket{config.MetricsPort, "TCP"}] = []netv1.NetworkPolicyPeer{workloadPeer(Call{Team: config.ControlNamespace, Workload: config.ControlAccount})}
	}
	var out []netv1.NetworkPolicyIngressRule
	for _, s := range sockets(peers) {
		out = append(out, netv1.NetworkPolicyIngressRule{From: peers[s], Ports: r.netPorts(s)})
	}
	return out
}

// egress lets the workload reach what it calls and needs.
func (r *renderer) egress() []netv1.NetworkPolicyEgressRule {
	peers := map[socket][]netv1.NetworkPolicyPeer{}
	for _, c := range r.calls(r.w.Calls) {
		s := socket{c.Target, c.Protocol}
		peers[s] = append(peers[s], workloadPeer(c))
	}
	var out []netv1.NetworkPolicyEgressRule
	for _, s := range sockets(peers) {
		out = append(out, netv1.NetworkPolicyEgressRule{To: peers[s], Ports: r.netPorts(s)})
	}
	var needed []int
	for _, n := range r.w.Needs {
		needed = append(needed, n.Ports...)
	}
	slices.Sort(needed)
	var ports []netv1.NetworkPolicyPort
	for _, p := range slices.Compact(needed) {
		ports = append(ports, netPort(p, "TCP"))
	}
	if len(ports) == 0 {
		return out
	}
	// Managed services have names and no fixed addresses, so that only their
	// ports can be told apart here.
	to := netv1.NetworkPolicyPeer{IPBlock: &netv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{metadataService}}}
	if r.local() {
		to = netv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: DataNamespace}}}
	}
	return append(out, netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{to}, Ports: ports})
}

// calls returns the calls as network policies see them, in order and once each: who and
// which port of the pods.
func (r *renderer) calls(cs []Call) []Call {
	out := make([]Call, len(cs))
	for i, c := range cs {
		out[i] = Call{Workload: c.Workload, Team: c.Team, Target: c.Target, Protocol: cmp.Or(c.Protocol, "TCP")}
		if r.env.Sidecars() && c.tcp() {
			out[i].Target = c.meshPort()
		}
	}
	slices.SortFunc(out, func(a, b Call) int {
		return cmp.Or(strings.Compare(a.Team, b.Team), strings.Compare(a.Workload, b.Workload), cmp.Compare(a.Target, b.Target), strings.Compare(a.Protocol, b.Protocol))
	})
	return slices.Compact(out)
}

// netPorts returns a port as network policies have it, with the one by which Istio
// carries its traffic.
func (r *renderer) netPorts(s socket) []netv1.NetworkPolicyPort {
	out := []netv1.NetworkPolicyPort{netPort(s.port, s.protocol)}
	if r.env.Mesh == model.MeshIstio && s.protocol == "TCP" {
		out = append(out, netPort(hbonePort, "TCP"))
	}
	return out
}

// workloadPeer selects the pods of a workload.
func workloadPeer(c Call) netv1.NetworkPolicyPeer {
	return netv1.NetworkPolicyPeer{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: c.Team}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{labelName: c.Workload}},
	}
}

// sockets returns the keys in order.
func sockets(m map[socket][]netv1.NetworkPolicyPeer) []socket {
	out := make([]socket, 0, len(m))
	for s := range m {
		out = append(out, s)
	}
	slices.SortFunc(out, socket.compare)
	return out
}
