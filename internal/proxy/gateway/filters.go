package gateway

import (
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/reqpath"
)

// filters are config.Filters made ready. They never change.
type filters struct {
	request, response []config.HeaderChange
	host              string // instead of the request's; empty: the same
	path              *pathChange
	redirect          *redirect
	mirrors           []mirror
	cors              *cors
}

// pathChange is what becomes of a path.
type pathChange struct {
	full   *reqpath.Path
	prefix string       // what is replaced
	with   reqpath.Path // by what
}

type redirect struct {
	config.Redirect
	path *pathChange
}

type mirror struct {
	backend                *backend
	numerator, denominator int
}

// filters returns base with more added to it. Prefix is what the route matches, if it
// matches by prefix.
func (t *table) filters(base filters, more []config.Filter, prefix string) (filters, error) {
	out := base
	// The base's own must not be written to: other targets share it.
	out.request, out.response, out.mirrors = slices.Clip(base.request), slices.Clip(base.response), slices.Clip(base.mirrors)
	var err error
	for _, f := range more {
		switch {
		case f.RequestHeaders != nil:
			out.request = append(out.request, *f.RequestHeaders)
		case f.ResponseHeaders != nil:
			out.response = append(out.response, *f.ResponseHeaders)
		case f.Redirect != nil:
			out.redirect = &redirect{Redirect: *f.Redirect}
			if out.redirect.path, err = newPathChange(f.Redirect.Path, prefix); err != nil {
				return out, err
			}
		case f.Rewrite != nil:
			if f.Rewrite.Hostname != "" {
				out.host = f.Rewrite.Hostname
			}
			if f.Rewrite.Path != nil {
				if out.path, err = newPathChange(f.Rewrite.Path, prefix); err != nil {
					return out, err
				}
			}
		case f.Mirror != nil:
			out.mirrors = append(out.mirrors, mirror{t.backends[f.Mirror.Backend], f.Mirror.Numerator, f.Mirror.Denominator})
		case f.CORS != nil:
			out.cors = newCORS(*f.CORS)
		}
	}
	return out, nil
}

func newPathChange(c *config.PathChange, prefix string) (*pathChange, error) {
	if c == nil {
		return nil, nil
	}
	if c.Full != nil {
		p, err := normal(*c.Full)
		return &pathChange{full: &p}, err
	}
	out := &pathChange{prefix: prefix}
	var err error
	if *c.Prefix != "" {
		out.with, err = normal(*c.Prefix)
	}
	return out, err
}

// apply returns what becomes of p; nil changes nothing.
func (c *pathChange) apply(p reqpath.Path) reqpath.Path {
	switch {
	case c == nil:
		return p
	case c.full != nil:
		return *c.full
	}
	return p.ReplacePrefix(c.prefix, c.with)
}

// change changes headers: first what is set, then what is added, then what is removed.
func change(h http.Header, changes []config.HeaderChange) {
	for _, c := range changes {
		for _, s := range c.Set {
			h.Set(s.Name, s.Value)
		}
		for _, a := range c.Add {
			h.Add(a.Name, a.Value)
		}
		for _, name := range c.Remove {
			h.Del(name)
		}
	}
}

// location returns where a request is redirected to, by the rules of the Gateway API's
// HTTPRequestRedirectFilter.
func (d *redirect) location(r *http.Request, p *port, path reqpath.Path) string {
	scheme, number := "http", p.public
	if p.tls {
		scheme = "https"
	}
	if d.Scheme != "" {
		scheme, number = d.Scheme, wellKnown[d.Scheme]
	}
	if d.Port != 0 {
		number = d.Port
	}
	host := d.Hostname
	if host == "" {
		host = hostname(r.Host)
	}
	if number != wellKnown[scheme] {
		host = net.JoinHostPort(host, strconv.Itoa(number))
	} else if net.ParseIP(host) != nil && net.ParseIP(host).To4() == nil {
		host = "[" + host + "]"
	}
	out := scheme + "://" + host + d.path.apply(path).Escaped
	if r.URL.RawQuery != "" {
		out += "?" + r.URL.RawQuery
	}
	return out
}

var wellKnown = map[string]int{"http": 80, "https": 443}
