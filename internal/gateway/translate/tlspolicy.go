package translate

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// kindBackendTLSPolicy is the kind of policies for TLS to backends.
const kindBackendTLSPolicy = "BackendTLSPolicy"

// maxAncestors is how many entries the status of a policy may have.
const maxAncestors = 16

// tlsTarget is a Service, or one of its ports by name.
type tlsTarget struct {
	service Key
	section string
}

// tlsPolicy is a BackendTLSPolicy with what is known about it.
type tlsPolicy struct {
	key            Key
	generation     int64
	accepted, refs verdict
	tls            config.BackendTLS
	targets        []tlsTarget
}

// tlsPolicies finds the policy of each target: the oldest one. Others are told that they
// conflict.
func (x *index) tlsPolicies(list []*gwv1.BackendTLSPolicy) {
	x.tls = map[tlsTarget]*tlsPolicy{}
	for _, p := range byAge(list) {
		t := &tlsPolicy{key: keyOf(p), generation: p.Generation}
		t.validate(x, p)
		for _, ref := range p.Spec.TargetRefs {
			if ref.Group != "" || ref.Kind != "Service" {
				continue
			}
			target := tlsTarget{Key{Namespace: p.Namespace, Name: string(ref.Name)}, string(or(ref.SectionName, ""))}
			t.targets = append(t.targets, target)
			if first := x.tls[target]; first != nil {
				t.accepted = problem(gwv1.PolicyReasonConflicted, fmt.Sprintf("BackendTLSPolicy %s is for the same target, and is older or first by name", first.key))
				continue
			}
			x.tls[target] = t
		}
		x.allTLS = append(x.allTLS, t)
	}
}

// validate finds out what the policy asks for.
func (t *tlsPolicy) validate(x *index, p *gwv1.BackendTLSPolicy) {
	v := &p.Spec.Validation
	t.tls.Hostname = string(v.Hostname)
	for _, san := range v.SubjectAltNames {
		switch san.Type {
		case gwv1.HostnameSubjectAltNameType:
			t.tls.SANs = append(t.tls.SANs, string(san.Hostname))
		case gwv1.URISubjectAltNameType:
			t.tls.SANs = append(t.tls.SANs, string(san.URI))
		}
	}
	if len(v.CACertificateRefs) == 0 {
		if known := or(v.WellKnownCACertificates, ""); known != gwv1.WellKnownCACertificatesSystem {
			t.accepted = problem(gwv1.PolicyReasonInvalid, fmt.Sprintf("wellKnownCACertificates %q is not supported: %s is", known, gwv1.WellKnownCACertificatesSystem))
			t.refs = t.accepted
		}
		return
	}
	why := reasons{string(gwv1.BackendTLSPolicyReasonInvalidCACertificateRef), string(gwv1.BackendTLSPolicyReasonInvalidKind), ""}
	var pems []string
	for _, ref := range v.CACertificateRefs {
		to := Key{Namespace: p.Namespace, Name: string(ref.Name)}
		pem, bad := x.authorities(string(ref.Group), string(ref.Kind), to, kindBackendTLSPolicy, p.Namespace, why)
		t.refs = t.refs.and(bad)
		if !bad.bad {
			pems = append(pems, pem)
		}
	}
	t.tls.CAs = strings.Join(pems, "\n")
	if len(pems) == 0 {
		t.accepted = problem(gwv1.BackendTLSPolicyReasonNoValidCACertificate, "none of caCertificateRefs is valid: "+t.refs.message)
	}
}

// tlsPolicy returns the policy of a Service's port, or nil. One for the port alone comes
// before one for the whole Service.
func (x *index) tlsPolicy(service Key, port string) *tlsPolicy {
	if port != "" {
		if t := x.tls[tlsTarget{service, port}]; t != nil {
			return t
		}
	}
	return x.tls[tlsTarget{service, ""}]
}

// policyStatuses returns the statuses of the policies for Services that gateways use.
// uses says which gateways use a Service, each once and in order.
func (x *index) policyStatuses(uses map[Key][]Key) map[Key]gwv1.PolicyStatus {
	out := map[Key]gwv1.PolicyStatus{}
	for _, t := range x.allTLS {
		var s gwv1.PolicyStatus
		seen := map[Key]bool{}
		for _, target := range t.targets {
			for _, gateway := range uses[target.service] {
				if seen[gateway] || len(s.Ancestors) == maxAncestors {
					continue
				}
				seen[gateway] = true
				s.Ancestors = append(s.Ancestors, gwv1.PolicyAncestorStatus{
					AncestorRef: gwv1.ParentReference{
						Group: ptr(gwv1.Group(gwv1.GroupName)), Kind: ptr(gwv1.Kind(kindGateway)),
						Namespace: ptr(gwv1.Namespace(gateway.Namespace)), Name: gwv1.ObjectName(gateway.Name),
					},
					ControllerName: gwv1.GatewayController(x.Controller),
					Conditions: []metav1.Condition{
						condition(gwv1.PolicyConditionAccepted, t.accepted, gwv1.PolicyReasonAccepted, t.generation),
						condition(gwv1.BackendTLSPolicyConditionResolvedRefs, t.refs, gwv1.BackendTLSPolicyReasonResolvedRefs, t.generation),
					},
				})
			}
		}
		if len(s.Ancestors) > 0 {
			out[t.key] = s
		}
	}
	return out
}
