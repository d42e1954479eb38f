package gateway

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/reqpath"
)

// matcher is a config.Match made ready.
type matcher struct {
	never   bool   // no request has such a path
	kind    string // of path; empty: any path
	path    string // plain
	pattern *regexp.Regexp
	method  string
	headers []valueMatcher
	query   []valueMatcher
}

// valueMatcher matches by pattern, or exactly where that is nil.
type valueMatcher struct {
	name, value string
	pattern     *regexp.Regexp
}

func newMatcher(m config.Match) (matcher, error) {
	out := matcher{method: m.Method}
	if m.Path != nil {
		out.kind = m.Path.Kind
		if out.kind == config.MatchRegexp {
			var err error
			if out.pattern, err = whole(m.Path.Value); err != nil {
				return out, err
			}
		} else {
			p, err := reqpath.Parse(m.Path.Value)
			out.path, out.never = p.Plain, err != nil
		}
	}
	var err error
	if out.headers, err = values(m.Headers, http.CanonicalHeaderKey); err != nil {
		return out, err
	}
	out.query, err = values(m.Query, func(s string) string { return s })
	return out, err
}

// whole compiles an expression that has to match the whole of what it is tried with.
func whole(expr string) (*regexp.Regexp, error) { return regexp.Compile(`^(?:` + expr + `)$`) }

// values takes the first match of each name: the Gateway API ignores others.
func values(in []config.ValueMatch, canonical func(string) string) ([]valueMatcher, error) {
	var out []valueMatcher
	seen := map[string]bool{}
	for _, v := range in {
		m := valueMatcher{name: canonical(v.Name), value: v.Value}
		if seen[m.name] {
			continue
		}
		seen[m.name] = true
		if v.Kind == config.MatchRegexp {
			var err error
			if m.pattern, err = whole(v.Value); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func (v valueMatcher) matches(value string) bool {
	if v.pattern != nil {
		return v.pattern.MatchString(value)
	}
	return v.value == value
}

// query is the query of a request, read when a match asks for it.
type query struct {
	raw    string
	read   bool
	bad    bool // parts of it cannot be read
	values url.Values
}

// get returns the first value of a parameter and whether there is one. Parameters that
// cannot be read count as absent; they are not sent on either.
func (q *query) get(name string) (string, bool) {
	if !q.read {
		var err error
		q.values, err = url.ParseQuery(q.raw)
		q.read, q.bad = true, err != nil
	}
	v, ok := q.values[name]
	if !ok {
		return "", false
	}
	return v[0], true
}

// matches says whether a request is what m wants. Method is the request's, or the one that
// a preflight request asks for.
func (m *matcher) matches(r *http.Request, method string, p reqpath.Path, q *query) bool {
	if m.never || m.method != "" && m.method != method {
		return false
	}
	switch m.kind {
	case config.MatchExact:
		if p.Plain != m.path {
			return false
		}
	case config.MatchPrefix:
		if !p.HasPrefix(m.path) {
			return false
		}
	case config.MatchRegexp:
		if !m.pattern.MatchString(p.Plain) {
			return false
		}
	}
	for _, h := range m.headers {
		v, ok := header(r, h.name)
		if !ok || !h.matches(v) {
			return false
		}
	}
	for _, h := range m.query {
		v, ok := q.get(h.name)
		if !ok || !h.matches(v) {
			return false
		}
	}
	return true
}

// header returns the value of a header of a request: several are joined by commas (RFC
// 9110, section 5.3).
func header(r *http.Request, name string) (string, bool) {
	if name == "Host" {
		return r.Host, true
	}
	v, ok := r.Header[name]
	if !ok {
		return "", false
	}
	return strings.Join(v, ","), true
}

// find returns the first route for a request, by the most specific of the hosts that have
// one.
func (l *listener) find(host string, r *http.Request, p reqpath.Path, q *query) (found *route) {
	l.hosts.each(host, func(routes []*route) bool {
		for _, route := range routes {
			method := r.Method
			if route.filters.cors != nil && preflight(r) {
				method = r.Header.Get(requestMethod)
			}
			if route.match.matches(r, method, p, q) || method != r.Method && route.match.matches(r, r.Method, p, q) {
				found = route
				return false
			}
		}
		return true
	})
	return found
}
