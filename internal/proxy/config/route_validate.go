package config

import (
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Validate returns what is wrong with a route by itself, all of it joined, or nil. That the
// backends and the token provider exist is the business of Gateway.Validate.
func (r Route) Validate() error {
	var errs problems
	errs.check(r.Name != "", "it has no name")
	errs.wrap(r.Match.validate(), "match")
	errs.wrap(validFilters(r.Filters, r.Match), "filters")
	total := 0
	for i, t := range r.Targets {
		errs.check(t.Weight >= 0 && t.Weight <= 1_000_000, "target %d: weight %d is not within 0 and 1000000", i, t.Weight)
		errs.wrap(validFilters(t.Filters, r.Match), "target %d", i)
		for _, f := range t.Filters {
			errs.check(f.Redirect == nil && f.CORS == nil, "target %d: a filter that answers belongs to the route", i)
		}
		total += t.Weight
	}
	errs.check(total >= 0, "the weights overflow")
	errs.check(r.RequestTimeout >= 0 && r.BackendTimeout >= 0, "a negative timeout")
	if r.Retry != nil {
		errs.check(r.Retry.Attempts >= 0 && r.Retry.Attempts <= 100, "%d retries are not within 0 and 100", r.Retry.Attempts)
		errs.check(r.Retry.Backoff >= 0, "a negative backoff")
		for _, c := range r.Retry.Codes {
			errs.check(c >= 400 && c <= 599, "%d is no status to retry", c)
		}
	}
	if r.Limits != nil {
		errs.wrap(r.Limits.validate(), "limits")
	}
	return errs.join()
}

func (l Limits) validate() error {
	var errs problems
	errs.check(l.RequestsPerSecond >= 0 && !math.IsInf(l.RequestsPerSecond, 0) && !math.IsNaN(l.RequestsPerSecond), "requests per second")
	errs.check(l.Burst >= 0, "a negative burst")
	errs.check(l.BodyBytes >= 0, "a negative size of bodies")
	return errs.join()
}

func (m Match) validate() error {
	var errs problems
	if m.Path != nil {
		switch m.Path.Kind {
		case MatchExact, MatchPrefix:
			errs.check(strings.HasPrefix(m.Path.Value, "/"), "path %q does not begin with a slash", m.Path.Value)
		case MatchRegexp:
			_, err := regexp.Compile(m.Path.Value)
			errs.wrap(err, "path")
		default:
			errs.check(false, "unknown kind of path match %q", m.Path.Kind)
		}
	}
	errs.check(m.Method == "" || token(m.Method), "%q is no method", m.Method)
	for _, v := range m.Headers {
		errs.check(token(v.Name), "%q is no name of a header", v.Name)
		errs.wrap(v.validate(), "header %q", v.Name)
	}
	for _, v := range m.Query {
		errs.check(v.Name != "", "a query parameter without a name")
		errs.wrap(v.validate(), "query parameter %q", v.Name)
	}
	return errs.join()
}

func (v ValueMatch) validate() error {
	var errs problems
	switch v.Kind {
	case MatchExact:
	case MatchRegexp:
		_, err := regexp.Compile(v.Value)
		errs.wrap(err, "value")
	default:
		errs.check(false, "unknown kind of match %q", v.Kind)
	}
	return errs.join()
}

func validFilters(filters []Filter, m Match) error {
	var errs problems
	for i, f := range filters {
		set := 0
		one := func(present bool, check func() error) {
			if present {
				set++
				errs.wrap(check(), "filter %d", i)
			}
		}
		one(f.RequestHeaders != nil, func() error { return f.RequestHeaders.validate() })
		one(f.ResponseHeaders != nil, func() error { return f.ResponseHeaders.validate() })
		one(f.Redirect != nil, func() error { return f.Redirect.validate(m) })
		one(f.Rewrite != nil, func() error { return f.Rewrite.validate(m) })
		one(f.Mirror != nil, func() error { return f.Mirror.validate() })
		one(f.CORS != nil, func() error { return f.CORS.validate() })
		errs.check(set == 1, "filter %d: %d of its fields are set instead of one", i, set)
	}
	return errs.join()
}

// framing are headers that say where a message ends, how long a connection holds or
// whom it is for. They are the proxy's to write; Host is changed by Rewrite.
var framing = []string{
	"Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func (c HeaderChange) validate() error {
	var errs problems
	name := func(n string) {
		errs.check(token(n), "%q is no name of a header", n)
		errs.check(!slices.Contains(framing, http.CanonicalHeaderKey(n)), "the header %s cannot be changed", n)
	}
	for _, h := range slices.Concat(c.Set, c.Add) {
		name(h.Name)
		errs.check(fieldValue(h.Value), "the value of header %q holds control characters", h.Name)
	}
	for _, n := range c.Remove {
		name(n)
	}
	return errs.join()
}

func (p *PathChange) validate(m Match) error {
	var errs problems
	if p == nil {
		return nil
	}
	errs.check((p.Full != nil) != (p.Prefix != nil), "a path is replaced either in full or by prefix")
	errs.check(p.Full == nil || strings.HasPrefix(*p.Full, "/"), "the new path does not begin with a slash")
	if p.Prefix != nil {
		errs.check(m.Path != nil && m.Path.Kind == MatchPrefix, "a prefix is replaced where none is matched")
		errs.check(*p.Prefix == "" || strings.HasPrefix(*p.Prefix, "/"), "the new prefix does not begin with a slash")
	}
	return errs.join()
}

func (r Redirect) validate(m Match) error {
	var errs problems
	errs.check(r.Scheme == "" || r.Scheme == "http" || r.Scheme == "https", "unknown scheme %q", r.Scheme)
	errs.wrap(validHostname(r.Hostname), "redirect")
	errs.check(!strings.HasPrefix(r.Hostname, "*"), "a redirect to a wildcard")
	errs.check(r.Port == 0 || validPort(r.Port), "%d is no port", r.Port)
	errs.check(slices.Contains([]int{301, 302, 303, 307, 308}, r.Status), "%d is no status of a redirect", r.Status)
	errs.wrap(r.Path.validate(m), "redirect")
	return errs.join()
}

func (r Rewrite) validate(m Match) error {
	var errs problems
	errs.wrap(validHostname(r.Hostname), "rewrite")
	errs.check(!strings.HasPrefix(r.Hostname, "*"), "a rewrite to a wildcard")
	errs.wrap(r.Path.validate(m), "rewrite")
	return errs.join()
}

func (m Mirror) validate() error {
	var errs problems
	errs.check(m.Numerator >= 0 && m.Denominator > 0 && m.Numerator <= m.Denominator, "%d of %d requests cannot be mirrored", m.Numerator, m.Denominator)
	return errs.join()
}

func (c CORS) validate() error {
	var errs problems
	errs.check(c.MaxAge >= 0, "a negative age")
	for _, n := range slices.Concat(c.AllowMethods, c.AllowHeaders, c.ExposeHeaders) {
		errs.check(token(n), "%q is no method and no name of a header", n)
	}
	for _, o := range c.AllowOrigins {
		errs.check(fieldValue(o) && (o == "*" || strings.Contains(o, "://")), "%q is no origin", o)
	}
	return errs.join()
}

// token says whether s is a token of RFC 9110, section 5.6.2: what methods and names of
// headers are.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		letter := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		return !letter && (c > 126 || !strings.ContainsRune("!#$%&'*+-.^_`|~", c))
	})
}

// fieldValue says whether s may be the value of a header (RFC 9110, section 5.5).
func fieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
