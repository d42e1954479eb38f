package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// reasonHostnameConflict: a route of the other kind has the name at the listener.
const reasonHostnameConflict = "HostnameConflict"

// route is an HTTPRoute or a GRPCRoute.
type route struct {
	kind       string
	key        Key
	created    time.Time
	generation int64
	parentRefs []gwv1.ParentReference
	hostnames  []gwv1.Hostname

	// entries are the matches of the valid rules.
	entries []entry
	// refs says whether all references are resolved; dropped, by rule, what is wrong with
	// rules that are left out.
	refs    verdict
	dropped []string
	rules   int
	// services are the Services that it refers to, and backends those that it leads to.
	services  map[Key]bool
	backends  map[backendID]bool
	providers map[string]config.TokenProvider // by name

	parents []gwv1.RouteParentStatus
}

// entry is one match of a rule.
type entry struct {
	// rank is how it compares to others; higher ones go first, from left to right.
	rank        [5]int
	rule, match int
	route       config.Route
}

func (r *route) name() string { return r.key.String() }

// routes returns all routes, the oldest first, with their rules made ready. Routes
// of both kinds are in one order, since one may keep out the other.
func (x *index) routes(o *Objects) []*route {
	var out []*route
	for _, h := range o.HTTPRoutes {
		r := newRoute(kindHTTPRoute, h, h.Generation, h.Spec.ParentRefs, h.Spec.Hostnames)
		x.httpRules(r, h.Spec.Rules)
		out = append(out, r)
	}
	for _, g := range o.GRPCRoutes {
		r := newRoute(kindGRPCRoute, g, g.Generation, g.Spec.ParentRefs, g.Spec.Hostnames)
		x.grpcRules(r, g.Spec.Rules)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *route) int {
		return cmp.Or(compareAge(a.created, a.key, b.created, b.key), strings.Compare(a.kind, b.kind))
	})
	return out
}

func newRoute(kind string, o object, generation int64, parents []gwv1.ParentReference, hostnames []gwv1.Hostname) *route {
	return &route{
		kind: kind, key: keyOf(o), created: o.GetCreationTimestamp().Time, generation: generation, parentRefs: parents, hostnames: hostnames,
		services: map[Key]bool{}, backends: map[backendID]bool{}, providers: map[string]config.TokenProvider{},
	}
}

// drop leaves out a rule that is not valid.
func (r *route) drop(rule int, why string) {
	r.dropped = append(r.dropped, fmt.Sprintf("rule %d: %s", rule, why))
}

// add adds the matches of a rule, or says why no gateway would take them.
func (r *route) add(rule int, matches []entry, action config.Route) error {
	ready := make([]entry, len(matches))
	for i, m := range matches {
		e := &ready[i]
		*e = entry{rank: m.rank, rule: rule, match: i, route: action}
		e.route.Name, e.route.Match, e.route.GRPC = r.name(), m.route.Match, r.kind == kindGRPCRoute
		if err := e.route.Validate(); err != nil {
			return err
		}
	}
	r.entries = append(r.entries, ready...)
	return nil
}

// use notes that a reference leads to a Service; it returns the backend's name, empty
// where it cannot be used.
func (x *index) use(r *route, ref gwv1.BackendObjectReference) string {
	id, v := x.backend(r, ref)
	if id.service.Name != "" {
		r.services[id.service] = true
	}
	if v.bad {
		r.refs = r.refs.and(v)
		return ""
	}
	r.backends[id] = true
	return id.name()
}

// refersTo reports whether a reference to a parent is one to this gateway.
func (r *route) refersTo(p gwv1.ParentReference, gateway Key) bool {
	return or(p.Group, gwv1.GroupName) == gwv1.GroupName && or(p.Kind, kindGateway) == kindGateway &&
		string(p.Name) == gateway.Name && string(or(p.Namespace, gwv1.Namespace(r.key.Namespace))) == gateway.Namespace
}

// attach attaches a route to the listeners of a gateway that it refers to, and writes
// down how that went.
func (x *index) attach(gateway Key, all []*listener, r *route) {
	for _, p := range r.parentRefs {
		if !r.refersTo(p, gateway) {
			continue
		}
		accepted := r.validity()
		if v, hosts := x.candidates(gateway, all, r, p); v.bad {
			accepted = accepted.and(v)
		} else if !accepted.bad {
			for _, l := range all {
				if m, ok := hosts[l]; ok {
					l.attach(r, m)
				}
			}
		}
		conditions := []metav1.Condition{
			condition(gwv1.RouteConditionAccepted, accepted, gwv1.RouteReasonAccepted, r.generation),
			condition(gwv1.RouteConditionResolvedRefs, r.refs, gwv1.RouteReasonResolvedRefs, r.generation),
		}
		if len(r.dropped) > 0 && !accepted.bad {
			conditions = append(conditions, condition(gwv1.RouteConditionPartiallyInvalid, verdict{message: "Dropped Rule: " + strings.Join(r.dropped, "; ")}, gwv1.RouteReasonUnsupportedValue, r.generation))
		}
		r.parents = append(r.parents, gwv1.RouteParentStatus{ParentRef: p, ControllerName: gwv1.GatewayController(x.Controller), Conditions: conditions})
	}
}

// validity says whether at least one rule can be used.
func (r *route) validity() verdict {
	if r.rules > 0 && len(r.dropped) == r.rules {
		return problem(gwv1.RouteReasonUnsupportedValue, strings.Join(r.dropped, "; "))
	}
	return verdict{}
}

// candidates returns the listeners that a route can be attached to by one of its
// references, with the names that it has at each, or says why there is none.
func (x *index) candidates(gateway Key, all []*listener, r *route, p gwv1.ParentReference) (verdict, map[*listener][]hostMatch) {
	none := problem(gwv1.RouteReasonNoMatchingParent, "the Gateway has no listener with this name and port")
	out := map[*listener][]hostMatch{}
	for _, l := range all {
		if p.SectionName != nil && *p.SectionName != "" && *p.SectionName != l.spec.Name || p.Port != nil && *p.Port != 0 && *p.Port != l.spec.Port {
			continue
		}
		if !x.allows(gateway.Namespace, l, r) {
			none = further(none, problem(gwv1.RouteReasonNotAllowedByListeners, "no listener allows routes of this kind from this namespace"))
			continue
		}
		hosts := r.hostsAt(l.hostname)
		if len(hosts) == 0 {
			none = further(none, problem(gwv1.RouteReasonNoMatchingListenerHostname, "no listener has a hostname in common with the route"))
			continue
		}
		if other := l.taken(r, hosts); other != nil {
			none = further(none, problem(gwv1.RouteConditionReason(reasonHostnameConflict), fmt.Sprintf("%s %s has the same hostname at the listener, and is older or first by name", other.kind, other.key)))
			continue
		}
		out[l] = hosts
	}
	if len(out) > 0 {
		return verdict{}, out
	}
	return none, nil
}

// further returns the verdict of the later one of two steps of attaching.
func further(a, b verdict) verdict {
	steps := []string{string(gwv1.RouteReasonNoMatchingParent), string(gwv1.RouteReasonNotAllowedByListeners), string(gwv1.RouteReasonNoMatchingListenerHostname), reasonHostnameConflict}
	if slices.Index(steps, a.reason) > slices.Index(steps, b.reason) {
		return a
	}
	return b
}

// hostsAt returns the hostnames of a route at a listener.
func (r *route) hostsAt(listener string) []hostMatch {
	if len(r.hostnames) == 0 {
		return []hostMatch{{"", listener}}
	}
	var out []hostMatch
	for _, h := range r.hostnames {
		common, ok := intersect(listener, string(h))
		if !ok {
			continue
		}
		// Of several with the same name in common the most specific one counts.
		if i := slices.IndexFunc(out, func(m hostMatch) bool { return m.common == common }); i < 0 {
			out = append(out, hostMatch{string(h), common})
		} else if bySpecificity(string(h), out[i].route) < 0 {
			out[i].route = string(h)
		}
	}
	return out
}

// attach attaches a route, once.
func (l *listener) attach(r *route, hosts []hostMatch) {
	if n := len(l.attached); n > 0 && l.attached[n-1].route == r {
		return // by another of its references
	}
	l.attached = append(l.attached, attachment{r, hosts})
	names := l.names[r.kind]
	if names == nil {
		names = &namesOf{exact: map[string]*route{}}
		if l.names == nil {
			l.names = map[string]*namesOf{}
		}
		l.names[r.kind] = names
	}
	for _, h := range hosts {
		names.add(h.common, r)
	}
}

// taken returns the route of the other kind that has a hostname at the listener already:
// routes of both kinds are not mixed.
func (l *listener) taken(r *route, hosts []hostMatch) *route {
	for kind, names := range l.names {
		if kind == r.kind {
			continue
		}
		for _, h := range hosts {
			if other := names.owner(h.common); other != nil {
				return other
			}
		}
	}
	return nil
}

// namesOf are the hostnames of the routes of a kind at a listener. There are few with
// wildcards.
type namesOf struct {
	exact map[string]*route
	wild  []wildName
}

type wildName struct {
	name string
	*route
}

func (n *namesOf) add(name string, r *route) {
	if name == "" || strings.HasPrefix(name, "*") {
		n.wild = append(n.wild, wildName{name, r})
	} else if n.exact[name] == nil {
		n.exact[name] = r
	}
}

// owner returns a route with a hostname that has something in common with name.
func (n *namesOf) owner(name string) *route {
	for _, w := range n.wild {
		if _, ok := intersect(w.name, name); ok {
			return w.route
		}
	}
	if name != "" && !strings.HasPrefix(name, "*") {
		return n.exact[name]
	}
	// The oldest, so that the same objects give the same answer.
	var first *route
	for other, r := range n.exact {
		if _, ok := intersect(other, name); ok && (first == nil || compareAge(r.created, r.key, first.created, first.key) < 0) {
			first = r
		}
	}
	return first
}

// hosts returns the routes attached to a listener by name, in the order of precedence.
func (l *listener) hosts() []config.Host {
	type candidate struct {
		*entry
		*route
		hostname string // of the route
	}
	byName := map[string][]candidate{}
	for _, a := range l.attached {
		for _, h := range a.hosts {
			for i := range a.entries {
				byName[h.common] = append(byName[h.common], candidate{&a.entries[i], a.route, h.route})
			}
		}
	}
	var out []config.Host
	for name, list := range byName {
		slices.SortFunc(list, func(a, b candidate) int {
			ae, aa := weight(a.hostname)
			be, ba := weight(b.hostname)
			return cmp.Or(cmp.Compare(be, ae), cmp.Compare(ba, aa), slices.Compare(b.rank[:], a.rank[:]),
				compareAge(a.created, a.key, b.created, b.key), cmp.Compare(a.rule, b.rule), cmp.Compare(a.match, b.match))
		})
		host := config.Host{Hostname: name, Routes: make([]config.Route, len(list))}
		for i, c := range list {
			host.Routes[i] = c.entry.route
		}
		out = append(out, host)
	}
	slices.SortFunc(out, func(a, b config.Host) int { return bySpecificity(a.Hostname, b.Hostname) })
	return out
}
