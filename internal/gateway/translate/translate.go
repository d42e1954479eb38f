package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// Translate makes the gateways and the statuses of all objects.
func Translate(o *Objects, opts Options) *Result {
	x := newIndex(o, opts)
	out := &Result{
		Classes: map[string]gwv1.GatewayClassStatus{}, HTTPRoutes: map[Key]gwv1.RouteStatus{}, GRPCRoutes: map[Key]gwv1.RouteStatus{},
	}
	ours := map[string]bool{}
	for _, c := range o.Classes {
		if string(c.Spec.ControllerName) != opts.Controller {
			continue
		}
		status, accepted := classStatus(c)
		out.Classes[c.Name], ours[c.Name] = status, accepted
	}
	gateways := slices.Clone(o.Gateways)
	slices.SortFunc(gateways, func(a, b *gwv1.Gateway) int {
		return strings.Compare(keyOf(a).String(), keyOf(b).String())
	})
	routes := x.routes(o)
	uses := map[Key][]Key{}
	for _, g := range gateways {
		if !ours[string(g.Spec.GatewayClassName)] {
			continue
		}
		out.Gateways = append(out.Gateways, x.gateway(g, routes, uses))
	}
	for _, r := range routes {
		if len(r.parents) == 0 {
			continue
		}
		status := gwv1.RouteStatus{Parents: r.parents}
		if r.kind == kindHTTPRoute {
			out.HTTPRoutes[r.key] = status
		} else {
			out.GRPCRoutes[r.key] = status
		}
	}
	out.Policies = x.policyStatuses(uses)
	return out
}

// classStatus returns the status of a class of ours, and whether it is accepted.
func classStatus(c *gwv1.GatewayClass) (gwv1.GatewayClassStatus, bool) {
	var v verdict
	if c.Spec.ParametersRef != nil {
		v = problem(gwv1.GatewayClassReasonInvalidParameters, "there are no parameters for this class: leave out spec.parametersRef")
	}
	s := gwv1.GatewayClassStatus{Conditions: []metav1.Condition{
		condition(gwv1.GatewayClassConditionStatusAccepted, v, gwv1.GatewayClassReasonAccepted, c.Generation),
	}}
	for _, f := range Features() {
		s.SupportedFeatures = append(s.SupportedFeatures, gwv1.SupportedFeature{Name: gwv1.FeatureName(f)})
	}
	return s, !v.bad
}

// gateway translates a gateway, and notes in uses which Services it uses.
func (x *index) gateway(g *gwv1.Gateway, routes []*route, uses map[Key][]Key) Gateway {
	key := keyOf(g)
	all := x.listeners(g)
	services := map[Key]bool{}
	for _, r := range routes {
		x.attach(key, all, r)
	}
	client, clientRef := x.clientCertificate(g)
	out := Gateway{Object: g, Ports: ports(all), listeners: all, accepted: x.accepted(g, all), refs: clientRef}
	used := map[backendID]bool{}
	providers := map[string]config.TokenProvider{}
	for _, l := range all {
		for _, a := range l.attached {
			maps.Copy(services, a.services)
			if l.serves() {
				maps.Copy(used, a.backends)
				maps.Copy(providers, a.providers)
			}
		}
	}
	for s := range services {
		uses[s] = append(uses[s], key)
	}
	out.Config = config.Gateway{TrustDomain: x.TrustDomain}
	if !out.accepted.bad {
		out.Config.Ports = portConfigs(all, out.Ports)
		out.Config.Backends = x.backendConfigs(used, client)
		for _, name := range slices.Sorted(maps.Keys(providers)) {
			out.Config.Providers = append(out.Config.Providers, providers[name])
		}
	}
	out.Config.Version = version(&out.Config)
	return out
}

// version returns a digest of a configuration.
func version(c *config.Gateway) string {
	// Strings, numbers and lists of them are always JSON.
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// clientCertificate returns the certificate that the gateway shows to backends.
func (x *index) clientCertificate(g *gwv1.Gateway) (*config.Certificate, verdict) {
	if g.Spec.TLS == nil || g.Spec.TLS.Backend == nil || g.Spec.TLS.Backend.ClientCertificateRef == nil {
		return nil, verdict{}
	}
	invalid := string(gwv1.GatewayReasonInvalidClientCertificateRef)
	c, v := x.keyPair(g.Namespace, *g.Spec.TLS.Backend.ClientCertificateRef, reasons{invalid, invalid, string(gwv1.GatewayReasonRefNotPermitted)})
	if v.bad {
		return nil, v
	}
	return &c, v
}

func (x *index) backendConfigs(used map[backendID]bool, client *config.Certificate) []config.Backend {
	var out []config.Backend
	for id := range used {
		b := x.backends[id]
		if b.TLS != nil && client != nil {
			with := *b.TLS
			with.Client = client
			b.TLS = &with
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b config.Backend) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// accepted says whether anything of the gateway can be configured. The message of a
// good verdict names what cannot.
func (x *index) accepted(g *gwv1.Gateway, all []*listener) verdict {
	if i := g.Spec.Infrastructure; i != nil && i.ParametersRef != nil {
		return problem(gwv1.GatewayReasonInvalidParameters, "there are no parameters for Gateways: leave out spec.infrastructure.parametersRef")
	}
	for _, a := range g.Spec.Addresses {
		if kind := or(a.Type, gwv1.IPAddressType); kind != gwv1.IPAddressType {
			return problem(gwv1.GatewayReasonUnsupportedAddress, fmt.Sprintf("addresses of type %s are not supported: %s is", kind, gwv1.IPAddressType))
		}
	}
	var bad []string
	good := 0
	for _, l := range all {
		if v := l.accepted.and(l.conflicted); v.bad {
			bad = append(bad, fmt.Sprintf("listener %q: %s", l.spec.Name, v.message))
		} else {
			good++
		}
	}
	v := verdict{message: strings.Join(bad, "; ")}
	if len(bad) > 0 {
		v.reason = string(gwv1.GatewayReasonListenersNotValid)
		v.bad = good == 0
	}
	return v
}

// Accepted reports whether the gateway is to run.
func (g *Gateway) Accepted() bool { return !g.accepted.bad && len(g.Ports) > 0 }

// Status returns the status of a gateway that runs as d says.
func (g *Gateway) Status(d Deployed) gwv1.GatewayStatus {
	generation := g.Object.Generation
	deployed := running(d)
	programmed := g.accepted
	switch {
	case g.accepted.bad:
		programmed.reason = string(gwv1.GatewayReasonInvalid)
	case !slices.ContainsFunc(g.listeners, (*listener).serves):
		programmed = problem(gwv1.GatewayReasonInvalid, "no listener can be served")
	default:
		programmed = deployed
	}
	good := gwv1.GatewayReasonAccepted
	if g.accepted.reason != "" {
		good = gwv1.GatewayConditionReason(g.accepted.reason)
	}
	s := gwv1.GatewayStatus{Addresses: d.Addresses}
	refs, insecure := g.refs, false
	for _, l := range g.listeners {
		s.Listeners = append(s.Listeners, l.status(generation, listenerVerdict(g.accepted, deployed)))
		if l.refs.bad {
			refs = refs.and(problem(gwv1.GatewayReasonListenersNotResolved, fmt.Sprintf("listener %q: %s", l.spec.Name, l.refs.message)))
		}
		insecure = insecure || l.clients != nil && l.clients.Optional
	}
	s.Conditions = []metav1.Condition{
		condition(gwv1.GatewayConditionAccepted, g.accepted, good, generation),
		condition(gwv1.GatewayConditionProgrammed, programmed, gwv1.GatewayReasonProgrammed, generation),
		condition(gwv1.GatewayConditionResolvedRefs, refs, gwv1.GatewayReasonResolvedRefs, generation),
	}
	if insecure {
		s.Conditions = append(s.Conditions, condition(gwv1.GatewayConditionInsecureFrontendValidationMode,
			verdict{message: "clients without a valid certificate are let in"}, gwv1.GatewayReasonConfigurationChanged, generation))
	}
	return s
}

// running says whether a gateway runs.
func running(d Deployed) verdict {
	switch {
	case d.Unusable != "":
		return problem(gwv1.GatewayReasonAddressNotUsable, d.Unusable)
	case d.Problem != "":
		return problem(gwv1.GatewayReasonNoResources, d.Problem)
	case len(d.Addresses) == 0:
		return problem(gwv1.GatewayReasonAddressNotAssigned, "the Service has no address yet")
	case !d.Ready:
		return problem(gwv1.GatewayReasonPending, "no pod of the gateway is ready yet")
	}
	return verdict{}
}

// listenerVerdict says in a listener's words whether its gateway runs.
func listenerVerdict(accepted, deployed verdict) verdict {
	switch {
	case accepted.bad:
		return problem(gwv1.ListenerReasonInvalid, accepted.message)
	case deployed.bad:
		return problem(gwv1.ListenerReasonPending, deployed.message)
	}
	return verdict{}
}
