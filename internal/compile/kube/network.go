package kube

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// namespaceLabel is set by Kubernetes itself on every namespace.
const namespaceLabel = "kubernetes.io/metadata.name"

func namespacePeer(ns string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{namespaceLabel: ns}}}
}

func workloadPeer(ns, name string) networkingv1.NetworkPolicyPeer {
	p := namespacePeer(ns)
	p.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{NameLabel: name}}
	return p
}

func networkPorts(protocol corev1.Protocol, ports ...int) []networkingv1.NetworkPolicyPort {
	slices.Sort(ports)
	var out []networkingv1.NetworkPolicyPort
	for _, p := range slices.Compact(ports) {
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: ptr(protocol), Port: ptr(intstr.FromInt32(int32(p)))})
	}
	return out
}

// networkPolicy opens to a workload what it declares and nothing else; the
// team's default policy denies the rest.
func (w *Workload) networkPolicy(env Env) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{
		TypeMeta:   typeMeta("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: w.meta(env, "network", w.Name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *w.selector(),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		},
	}
	protocol := map[int]corev1.Protocol{}
	for _, port := range w.Ports {
		protocol[port.Target] = corev1.Protocol(port.Protocol)
	}
	for _, c := range w.Callers {
		proto := protocol[c.Target]
		if proto == "" {
			proto = corev1.ProtocolTCP
		}
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{workloadPeer(c.Team, c.Workload)}, Ports: networkPorts(proto, c.Target),
		})
	}
	if ports := w.routedPorts(); len(ports) > 0 {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{namespacePeer(GatewayNamespace)}, Ports: networkPorts(corev1.ProtocolTCP, ports...),
		})
	}
	for _, c := range w.Calls {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
			To: []networkingv1.NetworkPolicyPeer{workloadPeer(c.Team, c.Workload)}, Ports: networkPorts(corev1.ProtocolTCP, c.Target),
		})
	}
	var needed []int
	for _, n := range w.Needs {
		needed = append(needed, n.Ports...)
	}
	if len(needed) > 0 {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
			To: []networkingv1.NetworkPolicyPeer{dataPeer(env)}, Ports: networkPorts(corev1.ProtocolTCP, needed...),
		})
	}
	return p
}

// dataPeer is where databases, brokers and object storage are: a namespace of
// the local cluster, or addresses that only the cloud knows. The cloud's
// metadata service is never among them: it hands out the node's credentials.
func dataPeer(env Env) networkingv1.NetworkPolicyPeer {
	if env.Cloud == "local" {
		return namespacePeer(DataNamespace)
	}
	return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"169.254.0.0/16"}}}
}

// routedPorts lists the container ports that routes lead to.
func (w *Workload) routedPorts() []int {
	var out []int
	for _, r := range w.Routes {
		target := r.Port
		for _, p := range w.Ports {
			if p.Port == r.Port {
				target = p.Target
			}
		}
		out = append(out, target)
	}
	return out
}

// routes renders one HTTPRoute for each class and host, with a rule for each path.
func (w *Workload) routes(env Env) []*gatewayv1.HTTPRoute {
	var out []*gatewayv1.HTTPRoute
	index := map[string]*gatewayv1.HTTPRoute{}
	section := gatewayv1.SectionName("https")
	if env.TLS == "disabled" {
		section = "http"
	}
	for _, r := range w.Routes {
		key := r.Class + "/" + r.Host
		route, ok := index[key]
		if !ok {
			name := w.Name + "-" + r.Resource
			route = &gatewayv1.HTTPRoute{
				TypeMeta:   typeMeta("gateway.networking.k8s.io/v1", "HTTPRoute"),
				ObjectMeta: w.meta(env, "route", name),
				Spec: gatewayv1.HTTPRouteSpec{
					CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{
						Name: gatewayv1.ObjectName(r.Class), Namespace: ptr(gatewayv1.Namespace(GatewayNamespace)), SectionName: &section,
					}}},
					Hostnames: []gatewayv1.Hostname{gatewayv1.Hostname(r.Host)},
				},
			}
			index[key] = route
			out = append(out, route)
		}
		route.Spec.Rules = append(route.Spec.Rules, gatewayv1.HTTPRouteRule{
			Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: ptr(gatewayv1.PathMatchPathPrefix), Value: ptr(r.Path)}}},
			BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
				BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(w.Name), Port: ptr(gatewayv1.PortNumber(r.Port))},
			}}},
			Timeouts: &gatewayv1.HTTPRouteTimeouts{Request: ptr(gatewayv1.Duration("30s"))},
		})
	}
	return out
}

// Gateways of an environment: what the world reaches, and what only the
// organisation does.
var gatewayClasses = []string{"public", "internal"}

// gateway renders one gateway. HTTPS terminates here; plain HTTP only redirects.
func gateway(env Env, m metav1.ObjectMeta) *gatewayv1.Gateway {
	fromTeams := &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{
		From:     ptr(gatewayv1.NamespacesFromSelector),
		Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: LabelTeam, Operator: metav1.LabelSelectorOpExists}}},
	}}
	own := &gatewayv1.AllowedRoutes{Namespaces: &gatewayv1.RouteNamespaces{From: ptr(gatewayv1.NamespacesFromSame)}}
	plain := gatewayv1.Listener{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType, AllowedRoutes: own}
	g := &gatewayv1.Gateway{
		TypeMeta: typeMeta("gateway.networking.k8s.io/v1", "Gateway"), ObjectMeta: m,
		Spec: gatewayv1.GatewaySpec{GatewayClassName: gatewayv1.ObjectName(env.GatewayClass)},
	}
	if env.TLS == "disabled" {
		plain.AllowedRoutes = fromTeams
		g.Spec.Listeners = []gatewayv1.Listener{plain}
		return g
	}
	g.Spec.Listeners = []gatewayv1.Listener{
		{
			Name: "https", Port: 443, Protocol: gatewayv1.HTTPSProtocolType, AllowedRoutes: fromTeams,
			TLS: &gatewayv1.ListenerTLSConfig{
				Mode:            ptr(gatewayv1.TLSModeTerminate),
				CertificateRefs: []gatewayv1.SecretObjectReference{{Name: gatewayv1.ObjectName(m.Name + "-tls")}},
			},
		},
		plain,
	}
	return g
}

// redirect sends plain HTTP requests of a gateway to HTTPS.
func redirect(name string, m metav1.ObjectMeta) *gatewayv1.HTTPRoute {
	section := gatewayv1.SectionName("http")
	return &gatewayv1.HTTPRoute{
		TypeMeta: typeMeta("gateway.networking.k8s.io/v1", "HTTPRoute"), ObjectMeta: m,
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: gatewayv1.ObjectName(name), SectionName: &section}}},
			Rules: []gatewayv1.HTTPRouteRule{{
				Filters: []gatewayv1.HTTPRouteFilter{{
					Type:            gatewayv1.HTTPRouteFilterRequestRedirect,
					RequestRedirect: &gatewayv1.HTTPRequestRedirectFilter{Scheme: ptr("https"), StatusCode: ptr(301)},
				}},
			}},
		},
	}
}

func networkName(s string) string { return fmt.Sprintf("default-%s", s) }
