package kube

import (
	"maps"
	"slices"
	"strconv"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	// istioClass is the GatewayClass of Istio's own gateways.
	istioClass = "istio"
	// hbonePort is where Istio's ambient mesh tunnels traffic of TCP between pods.
	hbonePort = 15008
	// istioProbes is the address that the kubelet's probes seem to come from in the
	// ambient mesh.
	istioProbes = "169.254.7.127/32"
	istioAllow  = "ALLOW"
	istioGroup  = "security.istio.io/v1"
)

// PeerAuthentication says whether pods take connections without mutual TLS. It is the
// part of security.istio.io/v1 that Strata writes.
type PeerAuthentication struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              PeerAuthenticationSpec `json:"spec"`
}

// PeerAuthenticationSpec is the body of a PeerAuthentication.
type PeerAuthenticationSpec struct {
	MTLS MutualTLS `json:"mtls"`
}

// MutualTLS is a mode such as STRICT.
type MutualTLS struct {
	Mode string `json:"mode"`
}

// AuthorizationPolicy says who may connect to pods. It is the part of
// security.istio.io/v1 that Strata writes.
type AuthorizationPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              AuthorizationPolicySpec `json:"spec"`
}

// AuthorizationPolicySpec allows what one of the rules matches. Without rules it allows
// nothing, and without a selector it is for all pods of the namespace.
type AuthorizationPolicySpec struct {
	Selector *PodSelector        `json:"selector,omitempty"`
	Action   string              `json:"action,omitempty"`
	Rules    []AuthorizationRule `json:"rules,omitempty"`
}

// PodSelector selects pods by labels.
type PodSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// AuthorizationRule matches connections by who makes them and where they lead.
type AuthorizationRule struct {
	From []RuleFrom `json:"from"`
	To   []RuleTo   `json:"to"`
}

// RuleFrom is who makes connections.
type RuleFrom struct {
	Source Source `json:"source"`
}

// Source lists identities without "spiffe://", or whole namespaces.
type Source struct {
	Principals []string `json:"principals,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
}

// RuleTo is where connections lead.
type RuleTo struct {
	Operation Operation `json:"operation"`
}

// Operation lists the pods' ports.
type Operation struct {
	Ports []string `json:"ports"`
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *PeerAuthentication) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *AuthorizationPolicy) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if s := in.Spec.Selector; s != nil {
		out.Spec.Selector = &PodSelector{MatchLabels: maps.Clone(s.MatchLabels)}
	}
	out.Spec.Rules = slices.Clone(in.Spec.Rules)
	for i, r := range in.Spec.Rules {
		from, to := slices.Clone(r.From), slices.Clone(r.To)
		for j, f := range r.From {
			from[j].Source = Source{Principals: slices.Clone(f.Source.Principals), Namespaces: slices.Clone(f.Source.Namespaces)}
		}
		for j, o := range r.To {
			to[j].Operation.Ports = slices.Clone(o.Operation.Ports)
		}
		out.Spec.Rules[i] = AuthorizationRule{From: from, To: to}
	}
	return &out
}

// addIstio registers the types of security.istio.io/v1 that this package has.
func addIstio(s *runtime.Scheme) {
	s.AddKnownTypes(schema.GroupVersion{Group: "security.istio.io", Version: "v1"}, &PeerAuthentication{}, &AuthorizationPolicy{})
}

// istioTeam guards a team's namespace in Istio's mesh: mutual TLS only, and nobody may
// connect until a workload's own policy says so. Probes come from an address of their own.
func istioTeam(env Env, meta func(string) metav1.ObjectMeta) []Object {
	if env.Mesh != model.MeshIstio {
		return nil
	}
	return []Object{
		&netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: meta("allow-probes"), Spec: netv1.NetworkPolicySpec{
			PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress},
			Ingress:     []netv1.NetworkPolicyIngressRule{{From: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: istioProbes}}}}},
		}},
		&PeerAuthentication{TypeMeta: gvk(istioGroup, "PeerAuthentication"), ObjectMeta: meta("default"), Spec: PeerAuthenticationSpec{MTLS: MutualTLS{Mode: "STRICT"}}},
		&AuthorizationPolicy{TypeMeta: gvk(istioGroup, "AuthorizationPolicy"), ObjectMeta: meta("default-deny"), Spec: AuthorizationPolicySpec{Action: istioAllow}},
	}
}

// authorizationPolicy lets those connect in Istio's mesh that declare the call, and the
// gateways if there are routes: what the sidecars of our own mesh are told.
func (r *renderer) authorizationPolicy() []Object {
	if r.env.Mesh != model.MeshIstio {
		return nil
	}
	var rules []AuthorizationRule
	for i, p := range r.w.Ports {
		if !p.tcp() {
			continue
		}
		if from := r.istioSources(i); len(from) > 0 {
			rules = append(rules, AuthorizationRule{From: from, To: []RuleTo{{Operation{Ports: []string{strconv.Itoa(p.Target)}}}}})
		}
	}
	if len(rules) == 0 {
		return nil
	}
	return []Object{&AuthorizationPolicy{TypeMeta: gvk(istioGroup, "AuthorizationPolicy"), ObjectMeta: r.meta(r.w.Name), Spec: AuthorizationPolicySpec{
		Selector: &PodSelector{MatchLabels: r.selector}, Action: istioAllow, Rules: rules,
	}}}
}

// istioSources returns who may connect to the ith port.
func (r *renderer) istioSources(i int) []RuleFrom {
	var s Source
	domain := r.env.TrustDomain()
	for _, c := range r.w.Callers {
		if c.tcp() && c.Place == i {
			s.Principals = append(s.Principals, principal(domain, c.Team, c.Workload))
		}
	}
	others := false
	for _, route := range r.openRoutes() {
		switch {
		case !route.serves(r.w.Ports[i]):
		case r.env.GatewayClass == istioClass || r.env.GatewayClass == config.GatewayClass:
			// Both follow GEP-1762, which names what belongs to a Gateway.
			s.Principals = append(s.Principals, principal(domain, GatewayNamespace, config.GatewayAccount(route.Class, r.env.GatewayClass)))
		default:
			others = true
		}
	}
	var out []RuleFrom
	if len(s.Principals) > 0 {
		slices.Sort(s.Principals)
		s.Principals = slices.Compact(s.Principals)
		out = append(out, RuleFrom{s})
	}
	if others {
		// Whose pods run as whom is only known of the classes above.
		out = append(out, RuleFrom{Source{Namespaces: []string{GatewayNamespace}}})
	}
	return out
}

// principal is an identity as Istio writes it.
func principal(domain, namespace, account string) string {
	return domain + "/ns/" + namespace + "/sa/" + account
}
