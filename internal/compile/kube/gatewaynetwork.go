package kube

import (
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// gatewayPorts are the ports of pods behind 80 and 443 of a Gateway's Service, which they
// may not listen on.
var gatewayPorts = []int{10_080, 10_443}

// lastInbound is the last port for mutual TLS that a workload can have.
const lastInbound = config.OutboundBase - 1

// gatewayPolicy lets anybody reach the ports that gateways serve, and gateways nothing but
// workloads, by their ports for mutual TLS in our own mesh, the control plane, where telemetry goes, and the
// issuers of tokens, of whom only the port can be told. Whoever breaks into a gateway has
// no way to a database.
func (r control) gatewayPolicy() Object {
	peer := func(key, value string) []netv1.NetworkPolicyPeer {
		return []netv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}}
	}
	workloads := netv1.NetworkPolicyEgressRule{To: peer(labelPartOf, r.env.Platform)}
	if r.env.Sidecars() {
		mesh := netPort(config.InboundBase, "TCP")
		mesh.EndPort = ptr[int32](lastInbound)
		workloads.Ports = []netv1.NetworkPolicyPort{mesh}
	}
	in := netv1.NetworkPolicyIngressRule{}
	for _, p := range gatewayPorts {
		in.Ports = append(in.Ports, netPort(p, "TCP"))
	}
	egress := append([]netv1.NetworkPolicyEgressRule{
		dnsEgress(),
		workloads,
		{To: []netv1.NetworkPolicyPeer{workloadPeer(Call{Team: config.ControlNamespace, Workload: config.ControlAccount})}, Ports: []netv1.NetworkPolicyPort{netPort(config.ControlPort, "TCP")}},
		{To: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{metadataService}}}}, Ports: []netv1.NetworkPolicyPort{netPort(443, "TCP")}},
	}, r.env.telemetryEgress()...)
	return &netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: r.meta(GatewayNamespace, "gateways"), Spec: netv1.NetworkPolicySpec{
		PolicyTypes: bothWays,
		Ingress: []netv1.NetworkPolicyIngressRule{in, {
			From:  []netv1.NetworkPolicyPeer{workloadPeer(Call{Team: config.ControlNamespace, Workload: config.ControlAccount})},
			Ports: []netv1.NetworkPolicyPort{netPort(config.MetricsPort, "TCP")},
		}},
		Egress: egress,
	}}
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
