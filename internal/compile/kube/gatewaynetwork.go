package kube

import (
	"slices"
	"strings"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// gatewayPorts are the ports of pods behind 80 and 443 of a Gateway's Service, which they
// may not listen on.
var gatewayPorts = []int{10_080, 10_443}

// labelGateway has, on a gateway's pods, the name of their Gateway (GEP-1762).
const labelGateway = "gateway.networking.k8s.io/gateway-name"

// lastInbound is the last port for mutual TLS that a workload can have.
const lastInbound = config.OutboundBase - 1

// gatewayPolicies let the internet reach the ports of public gateways, the environment's
// own network those of internal ones, and gateways nothing but workloads (in our own mesh
// by their ports for mutual TLS), the control plane, where telemetry goes, and the issuers
// of tokens, of whom only the port can be told. Whoever breaks into a gateway has no way to
// a database.
func (r control) gatewayPolicies() []Object {
	var objs []Object
	for class, cidrs := range map[string][]string{ClassPublic: {"0.0.0.0/0", "::/0"}, ClassInternal: privateNetworks} {
		in := netv1.NetworkPolicyIngressRule{}
		for _, c := range cidrs {
			in.From = append(in.From, netv1.NetworkPolicyPeer{IPBlock: &netv1.IPBlock{CIDR: c}})
		}
		for _, p := range gatewayPorts {
			in.Ports = append(in.Ports, netPort(p, "TCP"))
		}
		objs = append(objs, r.gatewayPolicy(class, netv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labelGateway: class}},
			PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress}, Ingress: []netv1.NetworkPolicyIngressRule{in},
		}))
	}
	slices.SortFunc(objs, func(a, b Object) int { return strings.Compare(a.GetName(), b.GetName()) })
	control := []netv1.NetworkPolicyPeer{workloadPeer(Call{Team: config.ControlNamespace, Workload: config.ControlAccount})}
	workloads := netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelPartOf: r.env.Platform}}}}}
	if r.env.Sidecars() {
		mesh := netPort(config.InboundBase, "TCP")
		mesh.EndPort = ptr[int32](lastInbound)
		workloads.Ports = []netv1.NetworkPolicyPort{mesh}
	}
	return append(objs, r.gatewayPolicy("gateways", netv1.NetworkPolicySpec{
		PolicyTypes: bothWays,
		Ingress:     []netv1.NetworkPolicyIngressRule{{From: control, Ports: []netv1.NetworkPolicyPort{netPort(config.MetricsPort, "TCP")}}},
		Egress: append([]netv1.NetworkPolicyEgressRule{
			dnsEgress(),
			workloads,
			{To: control, Ports: []netv1.NetworkPolicyPort{netPort(config.ControlPort, "TCP")}},
			{To: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{metadataService}}}}, Ports: []netv1.NetworkPolicyPort{netPort(443, "TCP")}},
		}, r.env.telemetryEgress()...),
	}))
}

func (r control) gatewayPolicy(name string, spec netv1.NetworkPolicySpec) Object {
	return &netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: r.meta(GatewayNamespace, name), Spec: spec}
}

// dnsEgress lets pods ask the cluster's DNS.
func dnsEgress() netv1.NetworkPolicyEgressRule {
	return netv1.NetworkPolicyEgressRule{
		To: []netv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespace: "kube-system"}},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
		}},
		Ports: []netv1.NetworkPolicyPort{netPort(53, "UDP"), netPort(53, "TCP")},
	}
}
