package translate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/proxy/config"
)

// action collects what is done with the requests that a rule matches.
type action struct {
	x     *index
	route *route
	out   config.Route
	// invalid says why the rule cannot be used; broken, that requests must get an error
	// since a filter cannot be found.
	invalid string
	broken  bool
	// provider is that of out.Token.
	provider config.TokenProvider
}

func (x *index) newAction(r *route) *action { return &action{x: x, route: r} }

// finish adds the rule to the route.
func (a *action) finish(rule int, matches []entry) {
	if a.invalid != "" {
		a.route.drop(rule, a.invalid)
		return
	}
	if a.broken {
		a.out = config.Route{}
	}
	if err := a.route.add(rule, matches, a.out); err != nil {
		a.route.drop(rule, err.Error())
		return
	}
	if a.out.Token != nil {
		a.route.providers[a.provider.Name] = a.provider
	}
}

// filters adds the filters of the rule.
func (a *action) filters(list []gwv1.HTTPRouteFilter) {
	for _, f := range list {
		if f.Type == gwv1.HTTPRouteFilterExtensionRef {
			a.extension(f.ExtensionRef)
			continue
		}
		if out, ok := a.filter(f); ok {
			a.out.Filters = append(a.out.Filters, out)
		}
	}
	redirects := slices.ContainsFunc(a.out.Filters, func(f config.Filter) bool { return f.Redirect != nil })
	if redirects && slices.ContainsFunc(a.out.Filters, func(f config.Filter) bool { return f.Rewrite != nil }) {
		a.invalid = "RequestRedirect and URLRewrite cannot be used together"
	}
}

// target adds a backend.
func (a *action) target(ref gwv1.BackendRef, filters []gwv1.HTTPRouteFilter) {
	t := config.Target{Backend: a.x.use(a.route, ref.BackendObjectReference), Weight: int(or(ref.Weight, 1))}
	for _, f := range filters {
		if f.Type == gwv1.HTTPRouteFilterExtensionRef {
			// Nothing can be limited at a single backend.
			a.unresolved(f.ExtensionRef, "is not supported at a backend")
			t.Backend = ""
			continue
		}
		if out, ok := a.filter(f); ok {
			t.Filters = append(t.Filters, out)
		}
	}
	a.out.Targets = append(a.out.Targets, t)
}

// filter translates a filter; false means that it is left out.
func (a *action) filter(f gwv1.HTTPRouteFilter) (config.Filter, bool) {
	var out config.Filter
	switch {
	case f.Type == gwv1.HTTPRouteFilterRequestHeaderModifier && f.RequestHeaderModifier != nil:
		out.RequestHeaders = headerChange(f.RequestHeaderModifier)
	case f.Type == gwv1.HTTPRouteFilterResponseHeaderModifier && f.ResponseHeaderModifier != nil:
		out.ResponseHeaders = headerChange(f.ResponseHeaderModifier)
	case f.Type == gwv1.HTTPRouteFilterRequestRedirect && f.RequestRedirect != nil:
		out.Redirect = a.redirect(f.RequestRedirect)
	case f.Type == gwv1.HTTPRouteFilterURLRewrite && f.URLRewrite != nil:
		out.Rewrite = &config.Rewrite{Hostname: string(or(f.URLRewrite.Hostname, "")), Path: a.pathChange(f.URLRewrite.Path)}
	case f.Type == gwv1.HTTPRouteFilterRequestMirror && f.RequestMirror != nil:
		out.Mirror = a.mirror(f.RequestMirror)
		return out, out.Mirror != nil
	case f.Type == gwv1.HTTPRouteFilterCORS && f.CORS != nil:
		out.CORS = cors(f.CORS)
	default:
		a.invalid = fmt.Sprintf("filters of type %s are not supported", f.Type)
		return out, false
	}
	return out, true
}

func headerChange(f *gwv1.HTTPHeaderFilter) *config.HeaderChange {
	headers := func(list []gwv1.HTTPHeader) []config.Header {
		var out []config.Header
		for _, h := range list {
			if !slices.ContainsFunc(out, func(o config.Header) bool { return strings.EqualFold(o.Name, string(h.Name)) }) {
				out = append(out, config.Header{Name: string(h.Name), Value: h.Value})
			}
		}
		return out
	}
	return &config.HeaderChange{Set: headers(f.Set), Add: headers(f.Add), Remove: f.Remove}
}

func (a *action) redirect(f *gwv1.HTTPRequestRedirectFilter) *config.Redirect {
	out := &config.Redirect{
		Scheme: or(f.Scheme, ""), Hostname: string(or(f.Hostname, "")), Port: int(or(f.Port, 0)), Path: a.pathChange(f.Path), Status: or(f.StatusCode, 302),
	}
	if !slices.Contains([]string{"", "http", "https"}, out.Scheme) {
		a.invalid = fmt.Sprintf("redirects to the scheme %s are not supported", out.Scheme)
	}
	if !slices.Contains([]int{301, 302, 303, 307, 308}, out.Status) {
		a.invalid = fmt.Sprintf("redirects with status %d are not supported", out.Status)
	}
	return out
}

func (a *action) pathChange(p *gwv1.HTTPPathModifier) *config.PathChange {
	switch {
	case p == nil:
		return nil
	case p.Type == gwv1.FullPathHTTPPathModifier:
		return &config.PathChange{Full: ptr(or(p.ReplaceFullPath, ""))}
	case p.Type == gwv1.PrefixMatchHTTPPathModifier:
		return &config.PathChange{Prefix: ptr(or(p.ReplacePrefixMatch, ""))}
	}
	a.invalid = fmt.Sprintf("changes of paths of type %s are not supported", p.Type)
	return nil
}

// mirror translates a mirror; nil where its backend cannot be used.
func (a *action) mirror(f *gwv1.HTTPRequestMirrorFilter) *config.Mirror {
	name := a.x.use(a.route, f.BackendRef)
	if name == "" {
		return nil
	}
	out := &config.Mirror{Backend: name, Numerator: 100, Denominator: 100}
	switch {
	case f.Percent != nil:
		out.Numerator = int(*f.Percent)
	case f.Fraction != nil:
		out.Numerator, out.Denominator = int(f.Fraction.Numerator), int(or(f.Fraction.Denominator, 100))
	}
	return out
}

func cors(f *gwv1.HTTPCORSFilter) *config.CORS {
	out := &config.CORS{AllowCredentials: or(f.AllowCredentials, false), MaxAge: int(cmp.Or(f.MaxAge, 5))}
	for _, o := range f.AllowOrigins {
		out.AllowOrigins = append(out.AllowOrigins, string(o))
	}
	for _, m := range f.AllowMethods {
		out.AllowMethods = append(out.AllowMethods, string(m))
	}
	for _, h := range f.AllowHeaders {
		out.AllowHeaders = append(out.AllowHeaders, string(h))
	}
	for _, h := range f.ExposeHeaders {
		out.ExposeHeaders = append(out.ExposeHeaders, string(h))
	}
	return out
}

// extension applies a RoutePolicy. Where there is none, or the reference is to another
// kind, requests get an error: the filter must not be skipped.
func (a *action) extension(ref *gwv1.LocalObjectReference) {
	if ref == nil || string(ref.Group) != routepolicy.Group || string(ref.Kind) != routepolicy.Kind {
		a.broken = true
		a.unresolved(ref, "is not of kind "+kindName(routepolicy.Group, routepolicy.Kind))
		return
	}
	p, ok := a.x.policies[Key{Namespace: a.route.key.Namespace, Name: string(ref.Name)}]
	if !ok {
		a.broken = true
		a.route.refs = a.route.refs.and(problem(gwv1.RouteReasonBackendNotFound, fmt.Sprintf("there is no RoutePolicy %s", ref.Name)))
		return
	}
	limits := or(a.out.Limits, config.Limits{})
	if r := p.Spec.RateLimit; r != nil {
		limits.RequestsPerSecond, limits.Burst = float64(r.RequestsPerSecond), int(cmp.Or(r.Burst, r.RequestsPerSecond))
	}
	if n := p.Spec.MaxRequestBytes; n > 0 {
		limits.BodyBytes = n
	}
	if limits != (config.Limits{}) {
		a.out.Limits = &limits
	}
	if t := p.Spec.Token; t != nil {
		provider, v := a.x.provider(Key{Namespace: p.Namespace, Name: p.Name}, t)
		if v.bad {
			// Without this rule another one, that asks for no token, could match.
			a.broken = true
			a.route.refs = a.route.refs.and(v)
			return
		}
		a.provider = provider
		a.out.Token = &config.TokenRule{Provider: provider.Name, Audiences: t.Audiences}
	}
}

// provider returns the provider of the tokens that a policy asks for.
func (x *index) provider(policy Key, t *routepolicy.Token) (config.TokenProvider, verdict) {
	p := config.TokenProvider{Name: t.Issuer, Issuer: t.Issuer}
	if ref := t.CACertificateRef; ref != nil {
		why := reasons{reasonInvalidPolicy, reasonInvalidPolicy, reasonInvalidPolicy}
		pem, v := x.authorities("", "ConfigMap", Key{Namespace: policy.Namespace, Name: ref.Name}, routepolicy.Kind, policy.Namespace, why)
		if v.bad {
			v.message = fmt.Sprintf("RoutePolicy %s: %s", policy, v.message)
			return p, v
		}
		// The same issuer may be trusted by other authorities elsewhere.
		sum := sha256.Sum256([]byte(pem))
		p.CAs, p.Name = pem, p.Name+" "+hex.EncodeToString(sum[:4])
	}
	if err := p.Validate(); err != nil {
		return p, problem(gwv1.RouteConditionReason(reasonInvalidPolicy), fmt.Sprintf("RoutePolicy %s: %v", policy, err))
	}
	return p, verdict{}
}

func (a *action) unresolved(ref *gwv1.LocalObjectReference, why string) {
	name := "the filter's extensionRef"
	if ref != nil {
		name = fmt.Sprintf("the filter %s %s", kindName(string(ref.Group), string(ref.Kind)), ref.Name)
	}
	a.route.refs = a.route.refs.and(problem(gwv1.RouteReasonInvalidKind, name+" "+why))
}

func (a *action) timeouts(t *gwv1.HTTPRouteTimeouts) {
	if t != nil {
		a.out.RequestTimeout, a.out.BackendTimeout = duration(t.Request), duration(t.BackendRequest)
	}
}

func (a *action) retry(r *gwv1.HTTPRouteRetry) {
	if r == nil {
		return
	}
	out := &config.Retry{Attempts: or(r.Attempts, 1), Backoff: duration(r.Backoff)}
	for _, c := range r.Codes {
		out.Codes = append(out.Codes, int(c))
	}
	a.out.Retry = out
}
