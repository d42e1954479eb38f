package translate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	kindGateway   = "Gateway"
	kindHTTPRoute = "HTTPRoute"
	kindGRPCRoute = "GRPCRoute"
)

// listener is a listener of a gateway with what is known about it.
type listener struct {
	spec     *gwv1.Listener
	hostname string
	// kinds are the kinds of routes that it takes.
	kinds []gwv1.RouteGroupKind
	// accepted, conflicted and refs become conditions; overlaps names the listeners whose
	// hostnames overlap with this one's.
	accepted, conflicted, refs verdict
	overlaps                   []string
	certificates               []config.Certificate
	clients                    *config.ClientTLS
	// unusable says that there is nothing to serve it with, although it is accepted.
	unusable bool
	attached []attachment
	names    map[string]*namesOf // by kind of route
}

// attachment is a route with the names that it has at a listener.
type attachment struct {
	*route
	hosts []hostMatch
}

// hostMatch is a hostname of a route (empty: it has none) and what it has in common with
// the listener's.
type hostMatch struct{ route, common string }

// tls reports whether clients begin with TLS.
func (l *listener) tls() bool { return l.spec.Protocol == gwv1.HTTPSProtocolType }

func (l *listener) supported() bool { return l.spec.Protocol == gwv1.HTTPProtocolType || l.tls() }

// serves reports whether it is part of the gateway's configuration.
func (l *listener) serves() bool {
	return !l.accepted.bad && !l.conflicted.bad && !l.unusable && len(l.kinds) > 0
}

// listeners returns the listeners of a gateway, each checked for itself and against the
// others.
func (x *index) listeners(g *gwv1.Gateway) []*listener {
	out := make([]*listener, len(g.Spec.Listeners))
	for i := range g.Spec.Listeners {
		out[i] = x.listener(g, &g.Spec.Listeners[i])
	}
	conflicts(out)
	overlapping(out)
	return out
}

func (x *index) listener(g *gwv1.Gateway, spec *gwv1.Listener) *listener {
	l := &listener{spec: spec, hostname: string(or(spec.Hostname, ""))}
	if l.supported() {
		l.takes()
	} else {
		l.accepted = problem(gwv1.ListenerReasonUnsupportedProtocol, fmt.Sprintf("protocol %s is not supported: HTTP and HTTPS are", spec.Protocol))
	}
	if l.tls() {
		x.certificates(g, l)
		x.clients(g, l)
	}
	return l
}

// takes finds the kinds of routes that a listener takes.
func (l *listener) takes() {
	supported := []gwv1.RouteGroupKind{
		{Group: ptr(gwv1.Group(gwv1.GroupName)), Kind: kindHTTPRoute},
		{Group: ptr(gwv1.Group(gwv1.GroupName)), Kind: kindGRPCRoute},
	}
	if l.spec.AllowedRoutes == nil || len(l.spec.AllowedRoutes.Kinds) == 0 {
		l.kinds = supported
		return
	}
	for _, k := range l.spec.AllowedRoutes.Kinds {
		group := or(k.Group, gwv1.GroupName)
		i := slices.IndexFunc(supported, func(s gwv1.RouteGroupKind) bool { return *s.Group == group && s.Kind == k.Kind })
		if i < 0 {
			l.refs = l.refs.and(problem(gwv1.ListenerReasonInvalidRouteKinds, fmt.Sprintf("routes of kind %s are not supported: %s and %s are", kindName(string(group), string(k.Kind)), kindHTTPRoute, kindGRPCRoute)))
			continue
		}
		if !slices.ContainsFunc(l.kinds, func(s gwv1.RouteGroupKind) bool { return s.Kind == k.Kind }) {
			l.kinds = append(l.kinds, supported[i])
		}
	}
}

// allows reports whether a route may be attached, by its kind and namespace.
func (x *index) allows(gateway string, l *listener, r *route) bool {
	if !slices.ContainsFunc(l.kinds, func(k gwv1.RouteGroupKind) bool { return string(k.Kind) == r.kind }) {
		return false
	}
	var from *gwv1.RouteNamespaces
	if l.spec.AllowedRoutes != nil {
		from = l.spec.AllowedRoutes.Namespaces
	}
	if from == nil {
		return r.key.Namespace == gateway
	}
	switch or(from.From, gwv1.NamespacesFromSame) {
	case gwv1.NamespacesFromAll:
		return true
	case gwv1.NamespacesFromSame:
		return r.key.Namespace == gateway
	case gwv1.NamespacesFromSelector:
		return x.selects(from.Selector, r.key.Namespace)
	}
	return false
}

// selects reports whether a selector is for a namespace. One that is no valid selector is
// for none.
func (x *index) selects(s *metav1.LabelSelector, namespace string) bool {
	if s == nil {
		return false
	}
	sel, err := metav1.LabelSelectorAsSelector(s)
	set, known := x.namespaces[namespace]
	return err == nil && known && sel.Matches(set)
}

// conflicts finds listeners that cannot be told apart. Those whose protocol is not
// supported take no part.
func conflicts(all []*listener) {
	for i, a := range all {
		for _, b := range all[:i] {
			if !a.supported() || !b.supported() || a.spec.Port != b.spec.Port {
				continue
			}
			reason := gwv1.ListenerConditionReason("")
			switch {
			case a.spec.Protocol != b.spec.Protocol:
				reason = gwv1.ListenerReasonProtocolConflict
			case a.hostname == b.hostname:
				reason = gwv1.ListenerReasonHostnameConflict
			default:
				continue
			}
			conflict := func(l, other *listener) {
				l.conflicted = l.conflicted.and(problem(reason, fmt.Sprintf("conflicts with listener %q on port %d", other.spec.Name, l.spec.Port)))
			}
			conflict(a, b)
			conflict(b, a)
		}
	}
}

// overlapping finds listeners with TLS whose hostnames have one in common: clients may
// use a connection to one of them for a name of another (GEP-3567).
func overlapping(all []*listener) {
	for i, a := range all {
		for _, b := range all[:i] {
			if !a.tls() || !b.tls() || a.spec.Port != b.spec.Port || a.conflicted.bad || b.conflicted.bad {
				continue
			}
			if _, ok := intersect(a.hostname, b.hostname); ok {
				a.overlaps = append(a.overlaps, string(b.spec.Name))
				b.overlaps = append(b.overlaps, string(a.spec.Name))
			}
		}
	}
}

// status returns the listener's status. deployed says whether the gateway runs.
func (l *listener) status(generation int64, deployed verdict) gwv1.ListenerStatus {
	accepted := l.accepted.and(l.conflicted)
	programmed := accepted
	switch {
	case programmed.bad:
		programmed.reason = string(gwv1.ListenerReasonInvalid)
	case !l.serves():
		programmed = problem(gwv1.ListenerReasonInvalid, l.refs.message)
	default:
		programmed = deployed
	}
	s := gwv1.ListenerStatus{
		Name: l.spec.Name, SupportedKinds: l.kinds, AttachedRoutes: int32(len(l.attached)),
		Conditions: []metav1.Condition{
			condition(gwv1.ListenerConditionAccepted, accepted, gwv1.ListenerReasonAccepted, generation),
			condition(gwv1.ListenerConditionProgrammed, programmed, gwv1.ListenerReasonProgrammed, generation),
			condition(gwv1.ListenerConditionResolvedRefs, l.refs, gwv1.ListenerReasonResolvedRefs, generation),
			conflictCondition(l.conflicted, generation),
		},
	}
	if s.SupportedKinds == nil {
		s.SupportedKinds = []gwv1.RouteGroupKind{}
	}
	if len(l.overlaps) > 0 {
		s.Conditions = append(s.Conditions, condition(gwv1.ListenerConditionOverlappingTLSConfig,
			verdict{message: "the hostname overlaps with that of " + strings.Join(l.overlaps, ", ")}, gwv1.ListenerReasonOverlappingHostnames, generation))
	}
	return s
}

// conflictCondition is true where there is a problem, other than all others.
func conflictCondition(v verdict, generation int64) metav1.Condition {
	c := condition(gwv1.ListenerConditionConflicted, v, gwv1.ListenerReasonNoConflicts, generation)
	if v.bad {
		c.Status = metav1.ConditionTrue
	} else {
		c.Status = metav1.ConditionFalse
	}
	return c
}
