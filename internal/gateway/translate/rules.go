package translate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/proxy/config"
)

// httpRules makes the rules of an HTTPRoute ready.
func (x *index) httpRules(r *route, rules []gwv1.HTTPRouteRule) {
	r.rules = len(rules)
	for i, rule := range rules {
		matches, err := httpMatches(rule.Matches)
		if err != nil {
			r.drop(i, err.Error())
			continue
		}
		a := x.newAction(r)
		a.filters(rule.Filters)
		for _, b := range rule.BackendRefs {
			a.target(b.BackendRef, b.Filters)
		}
		a.timeouts(rule.Timeouts)
		a.retry(rule.Retry)
		a.finish(i, matches)
	}
}

// grpcRules makes the rules of a GRPCRoute ready. Their filters are a subset of those of
// HTTPRoutes.
func (x *index) grpcRules(r *route, rules []gwv1.GRPCRouteRule) {
	r.rules = len(rules)
	for i, rule := range rules {
		matches, err := grpcMatches(rule.Matches)
		if err != nil {
			r.drop(i, err.Error())
			continue
		}
		a := x.newAction(r)
		a.filters(grpcFilters(rule.Filters))
		for _, b := range rule.BackendRefs {
			a.target(b.BackendRef, grpcFilters(b.Filters))
		}
		a.finish(i, matches)
	}
}

func grpcFilters(list []gwv1.GRPCRouteFilter) []gwv1.HTTPRouteFilter {
	var out []gwv1.HTTPRouteFilter
	for _, f := range list {
		out = append(out, gwv1.HTTPRouteFilter{
			Type: gwv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier, ResponseHeaderModifier: f.ResponseHeaderModifier,
			RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef,
		})
	}
	return out
}

// How kinds of path matches compare. The Gateway API leaves open where regular
// expressions are.
const (
	rankPrefix = iota
	rankRegexp
	rankExact
)

// httpMatches returns the matches of a rule. No match is a match of everything.
func httpMatches(list []gwv1.HTTPRouteMatch) ([]entry, error) {
	if len(list) == 0 {
		list = []gwv1.HTTPRouteMatch{{}}
	}
	var out []entry
	for _, m := range list {
		var e entry
		p := or(m.Path, gwv1.HTTPPathMatch{})
		path, err := pathMatch(or(p.Type, gwv1.PathMatchPathPrefix), or(p.Value, "/"))
		if err != nil {
			return nil, err
		}
		e.rank = [5]int{rankPrefix, len(path.Value)}
		switch path.Kind {
		case config.MatchExact:
			// Only one exact path matches a request.
			e.rank = [5]int{rankExact}
		case config.MatchRegexp:
			e.rank[0] = rankRegexp
		}
		e.route.Match.Path = path
		if m.Method != nil {
			e.route.Match.Method, e.rank[2] = string(*m.Method), 1
		}
		for _, h := range m.Headers {
			if err := e.header(string(or(h.Type, gwv1.HeaderMatchExact)), string(h.Name), h.Value); err != nil {
				return nil, err
			}
		}
		for _, q := range m.QueryParams {
			v, err := valueMatch(string(or(q.Type, gwv1.QueryParamMatchExact)), string(q.Name), q.Value)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(e.route.Match.Query, func(o config.ValueMatch) bool { return o.Name == v.Name }) {
				e.route.Match.Query = append(e.route.Match.Query, v)
			}
		}
		e.rank[3], e.rank[4] = len(e.route.Match.Headers), len(e.route.Match.Query)
		out = append(out, e)
	}
	return out, nil
}

// header adds a match of a header; of several with the same name the first counts.
func (e *entry) header(kind, name, value string) error {
	v, err := valueMatch(kind, name, value)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(e.route.Match.Headers, func(o config.ValueMatch) bool { return strings.EqualFold(o.Name, name) }) {
		e.route.Match.Headers = append(e.route.Match.Headers, v)
	}
	return nil
}

// pathMatch returns the match of a path. Its percent encoding is left to the gateway, which
// reads it as it does that of requests.
func pathMatch(kind gwv1.PathMatchType, value string) (*config.PathMatch, error) {
	switch kind {
	case gwv1.PathMatchExact:
		return &config.PathMatch{Kind: config.MatchExact, Value: value}, nil
	case gwv1.PathMatchPathPrefix:
		if value = strings.TrimRight(value, "/"); value == "" {
			value = "/"
		}
		return &config.PathMatch{Kind: config.MatchPrefix, Value: value}, nil
	case gwv1.PathMatchRegularExpression:
		if err := validRegexp(value); err != nil {
			return nil, err
		}
		return &config.PathMatch{Kind: config.MatchRegexp, Value: value}, nil
	}
	return nil, fmt.Errorf("path matches of type %s are not supported", kind)
}

func valueMatch(kind, name, value string) (config.ValueMatch, error) {
	switch kind {
	case config.MatchExact:
	case config.MatchRegexp:
		if err := validRegexp(value); err != nil {
			return config.ValueMatch{}, err
		}
	default:
		return config.ValueMatch{}, fmt.Errorf("matches of type %s are not supported", kind)
	}
	return config.ValueMatch{Kind: kind, Name: name, Value: value}, nil
}

func validRegexp(text string) error {
	if _, err := regexp.Compile(text); err != nil {
		return fmt.Errorf("%q is no regular expression (RE2): %w", text, err)
	}
	return nil
}

// grpcMatches returns the matches of a rule of a GRPCRoute: a method is a path of HTTP
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
func grpcMatches(list []gwv1.GRPCRouteMatch) ([]entry, error) {
	if len(list) == 0 {
		list = []gwv1.GRPCRouteMatch{{}}
	}
	var out []entry
	for _, m := range list {
		var e entry
		if m.Method != nil {
			service, method := or(m.Method.Service, ""), or(m.Method.Method, "")
			e.rank[0], e.rank[1] = len(service), len(method)
			var err error
			if e.route.Match.Path, err = grpcPath(or(m.Method.Type, gwv1.GRPCMethodMatchExact), service, method); err != nil {
				return nil, err
			}
		}
		for _, h := range m.Headers {
			if err := e.header(string(or(h.Type, gwv1.GRPCHeaderMatchExact)), string(h.Name), h.Value); err != nil {
				return nil, err
			}
		}
		e.rank[2] = len(e.route.Match.Headers)
		out = append(out, e)
	}
	return out, nil
}

func grpcPath(kind gwv1.GRPCMethodMatchType, service, method string) (*config.PathMatch, error) {
	if service == "" && method == "" {
		return nil, nil
	}
	part := func(text string) string {
		if text == "" {
			return "[^/]+"
		}
		if kind == gwv1.GRPCMethodMatchExact {
			return regexp.QuoteMeta(text)
		}
		return "(?:" + text + ")"
	}
	switch {
	case kind != gwv1.GRPCMethodMatchExact && kind != gwv1.GRPCMethodMatchRegularExpression:
		return nil, fmt.Errorf("method matches of type %s are not supported", kind)
	case kind == gwv1.GRPCMethodMatchExact && service != "" && method != "":
		return &config.PathMatch{Kind: config.MatchExact, Value: "/" + service + "/" + method}, nil
	case kind == gwv1.GRPCMethodMatchExact && service != "":
		return &config.PathMatch{Kind: config.MatchPrefix, Value: "/" + service}, nil
	}
	return pathMatch(gwv1.PathMatchRegularExpression, "/"+part(service)+"/"+part(method))
}

// duration reads a duration of the Gateway API (GEP-2257), which the API server has
// checked.
func duration(d *gwv1.Duration) config.Duration {
	if d == nil {
		return 0
	}
	v, err := time.ParseDuration(string(*d))
	if err != nil {
		return 0
	}
	return config.Duration(v)
}
