package node

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// podAt is a pod with the address that it has.
type podAt struct {
	pod *corev1.Pod
	ip  netip.Addr
}

// ruleset renders network policies as a script of nft that replaces the table as a
// whole. It follows the semantics of the API reference of networking.k8s.io/v1: a pod
// that a policy selects for a direction may do what some policy allows; any other pod
// may do everything; answers are always allowed, and so is the node itself, and a pod
// that talks to itself. A connection that was allowed when it began and is not any more
// is reset.
//
// What comes from or goes to an address of the pods' network that no known pod has is
// dropped: its sender or receiver is not known yet, and what is not known is not allowed.
func ruleset(pods []podAt, spaces map[string]labels.Set, policies []*networkingv1.NetworkPolicy, dns netip.Addr) string {
	slices.SortFunc(pods, func(a, b podAt) int { return a.ip.Compare(b.ip) })
	sort.Slice(policies, func(i, j int) bool {
		return policies[i].Namespace+"/"+policies[i].Name < policies[j].Namespace+"/"+policies[j].Name
	})
	r := &rules{pods: pods, spaces: spaces, dns: podAt{dnsPod, dns}}
	var chains strings.Builder
	ingress, egress := map[netip.Addr]string{}, map[netip.Addr]string{}
	for i, p := range pods {
		in, out := r.of(p, policies)
		if in != nil {
			ingress[p.ip] = fmt.Sprintf("in_%d", i)
			fmt.Fprintf(&chains, "\tchain in_%d {\n\t\tip saddr %s accept\n%s\t\tgoto refuse\n\t}\n", i, p.ip, strings.Join(in, ""))
		}
		if out != nil {
			egress[p.ip] = fmt.Sprintf("out_%d", i)
			fmt.Fprintf(&chains, "\tchain out_%d {\n\t\tip daddr %s accept\n%s\t\tgoto refuse\n\t}\n", i, p.ip, strings.Join(out, ""))
		}
	}
	var b strings.Builder
	b.WriteString("table inet strata_policy {}\ndelete table inet strata_policy\ntable inet strata_policy {\n")
	known := make([]string, len(pods))
	for i, p := range pods {
		known[i] = p.ip.String()
	}
	b.WriteString("\tset known {\n\t\ttype ipv4_addr\n")
	if len(known) > 0 {
		b.WriteString("\t\telements = { " + strings.Join(known, ", ") + " }\n")
	}
	b.WriteString("\t}\n")
	b.WriteString(refuse)
	b.WriteString(chains.String())
	vmap := func(name, key string, m map[netip.Addr]string) {
		fmt.Fprintf(&b, "\tchain %s {\n", name)
		if len(m) > 0 {
			var list []string
			for _, p := range pods {
				if c, ok := m[p.ip]; ok {
					list = append(list, p.ip.String()+" : goto "+c)
				}
			}
			fmt.Fprintf(&b, "\t\tip %s vmap { %s }\n", key, strings.Join(list, ", "))
		}
		b.WriteString("\t}\n")
	}
	// "accept" in a chain of one direction must not skip the other direction, so each
	// has a hook of its own.
	vmap("egress", "saddr", egress)
	vmap("ingress", "daddr", ingress)
	fmt.Fprintf(&b, `	chain forward_out {
		type filter hook forward priority -10;
		ct state established,related ct direction reply accept
		ct state related accept
		ip saddr %[1]s ip saddr != @known drop
		jump egress
	}
	chain forward_in {
		type filter hook forward priority -5;
		ct state established,related ct direction reply accept
		ct state related accept
		ip daddr %[1]s ip daddr != @known drop
		jump ingress
	}
	chain node_out {
		type filter hook input priority -10;
		ct state established,related ct direction reply accept
		ct state related accept
		ip saddr != %[1]s accept
		ip saddr != @known drop
		jump egress
	}
}
`, PodCIDR)
	return b.String()
}

// refuse ends what is not allowed in the way that its sender learns of it soonest.
const refuse = `	chain refuse {
		ct state established meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}
`

// dnsPod stands for the cluster's DNS in the eyes of policies: elsewhere it runs in
// pods that have these labels, here beside the other components.
var dnsPod = &corev1.Pod{
	ObjectMeta: metav1.ObjectMeta{Name: "coredns", Namespace: metav1.NamespaceSystem, Labels: map[string]string{"k8s-app": "kube-dns"}},
	Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
		{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", ContainerPort: 53, Protocol: corev1.ProtocolTCP},
	}}}},
}

type rules struct {
	pods   []podAt
	dns    podAt
	spaces map[string]labels.Set
}

// of returns the rules of a pod for each direction; nil where no policy selects it.
func (r *rules) of(p podAt, policies []*networkingv1.NetworkPolicy) (in, out []string) {
	for _, np := range policies {
		if np.Namespace != p.pod.Namespace || !selects(&np.Spec.PodSelector, p.pod.Labels) {
			continue
		}
		ingress, egress := directions(np)
		if ingress {
			if in == nil {
				in = []string{}
			}
			for _, rule := range np.Spec.Ingress {
				for _, peer := range r.peers("saddr", np.Namespace, rule.From) {
					in = append(in, lines(peer, ports(rule.Ports, p.pod))...)
				}
			}
		}
		if egress {
			if out == nil {
				out = []string{}
			}
			for _, rule := range np.Spec.Egress {
				out = append(out, r.egress(np.Namespace, rule)...)
			}
		}
	}
	return in, out
}

// egress renders a rule to. A named port means another number for each pod that has
// it, so such ports are rendered a pod at a time.
func (r *rules) egress(ns string, rule networkingv1.NetworkPolicyEgressRule) []string {
	var named, plain []networkingv1.NetworkPolicyPort
	for _, p := range rule.Ports {
		if p.Port != nil && p.Port.Type == intstr.String {
			named = append(named, p)
		} else {
			plain = append(plain, p)
		}
	}
	var out []string
	if len(plain) > 0 || len(named) == 0 {
		for _, peer := range r.peers("daddr", ns, rule.To) {
			out = append(out, lines(peer, ports(plain, nil))...)
		}
		selected := slices.DeleteFunc(slices.Clone(rule.To), func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock != nil })
		if r.to(ns, selected, r.dns) {
			// The node does more than DNS at this address.
			out = append(out, lines("ip daddr "+r.dns.ip.String()+" th dport 53 ", ports(plain, nil))...)
		}
	}
	for _, p := range append(r.pods[:len(r.pods):len(r.pods)], r.dns) {
		if len(named) > 0 && (len(rule.To) == 0 || r.to(ns, rule.To, p)) {
			out = append(out, lines("ip daddr "+p.ip.String()+" ", ports(named, p.pod))...)
		}
	}
	return out
}

// to reports whether a pod is one of the peers.
func (r *rules) to(ns string, peers []networkingv1.NetworkPolicyPeer, p podAt) bool {
	return slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool { return r.matches(ns, peer, p) })
}

func lines(peer string, ports []string) []string {
	out := make([]string, 0, len(ports))
	for _, p := range ports {
		out = append(out, "\t\t"+peer+p+"accept\n")
	}
	return out
}

// directions says what a policy is about. One that does not say it is about ingress,
// and about egress where it has rules for it.
func directions(np *networkingv1.NetworkPolicy) (ingress, egress bool) {
	if len(np.Spec.PolicyTypes) == 0 {
		return true, len(np.Spec.Egress) > 0
	}
	return slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeIngress), slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

func selects(s *metav1.LabelSelector, l map[string]string) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(l))
}

// peers renders who may be at the other end; no peers mean everybody.
func (r *rules) peers(side, ns string, peers []networkingv1.NetworkPolicyPeer) []string {
	if len(peers) == 0 {
		return []string{""}
	}
	var out, ips []string
	for _, peer := range peers {
		if b := peer.IPBlock; b != nil {
			if p, err := netip.ParsePrefix(b.CIDR); err != nil || !p.Addr().Is4() {
				continue // the network has IPv4 only
			}
			match := "ip " + side + " " + b.CIDR + " "
			for _, e := range b.Except {
				match += "ip " + side + " != " + e + " "
			}
			out = append(out, match)
			continue
		}
		for _, p := range r.pods {
			if r.matches(ns, peer, p) {
				ips = append(ips, p.ip.String())
			}
		}
	}
	if len(ips) > 0 {
		slices.Sort(ips)
		out = append(out, "ip "+side+" { "+strings.Join(slices.Compact(ips), ", ")+" } ")
	}
	return out
}

// matches reports whether a pod is a peer of a policy in a namespace.
func (r *rules) matches(ns string, peer networkingv1.NetworkPolicyPeer, p podAt) bool {
	if b := peer.IPBlock; b != nil {
		prefix, err := netip.ParsePrefix(b.CIDR)
		if err != nil || !prefix.Contains(p.ip) {
			return false
		}
		return !slices.ContainsFunc(b.Except, func(e string) bool {
			x, err := netip.ParsePrefix(e)
			return err == nil && x.Contains(p.ip)
		})
	}
	if peer.NamespaceSelector == nil {
		if p.pod.Namespace != ns {
			return false
		}
	} else if !selects(peer.NamespaceSelector, r.spaces[p.pod.Namespace]) {
		return false
	}
	return peer.PodSelector == nil || selects(peer.PodSelector, p.pod.Labels)
}

// ports renders the ports of a rule; none mean all. Named ports are those of pod; a
// name that it does not have matches nothing.
func ports(list []networkingv1.NetworkPolicyPort, pod *corev1.Pod) []string {
	if len(list) == 0 {
		return []string{""}
	}
	var out []string
	for _, p := range list {
		proto := corev1.ProtocolTCP
		if p.Protocol != nil {
			proto = *p.Protocol
		}
		word := strings.ToLower(string(proto))
		switch {
		case p.Port == nil:
			out = append(out, "meta l4proto "+word+" ")
		case p.Port.Type == intstr.String:
			for _, n := range portsNamed(pod, p.Port.StrVal, proto) {
				out = append(out, word+" dport "+strconv.Itoa(int(n))+" ")
			}
		case p.EndPort != nil:
			out = append(out, fmt.Sprintf("%s dport %d-%d ", word, p.Port.IntVal, *p.EndPort))
		default:
			out = append(out, word+" dport "+strconv.Itoa(int(p.Port.IntVal))+" ")
		}
	}
	return out
}

func portsNamed(pod *corev1.Pod, name string, proto corev1.Protocol) []int32 {
	if pod == nil {
		return nil
	}
	var out []int32
	// A sidecar is an init container that stays.
	for _, c := range append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		for _, p := range c.Ports {
			if p.Name == name && (p.Protocol == proto || p.Protocol == "" && proto == corev1.ProtocolTCP) {
				out = append(out, p.ContainerPort)
			}
		}
	}
	return out
}
