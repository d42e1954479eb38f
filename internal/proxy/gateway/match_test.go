package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/proxy/config"
)

// named returns a route that an echo server of that name answers.
func named(t *testing.T, name string, m config.Match) (config.Backend, config.Route) {
	t.Helper()
	b := backend(t, "apps/"+name+":80", echo(name))
	return b, config.Route{Name: "apps/" + name, Match: m, Targets: to(b)}
}

func TestMatches(t *testing.T) {
	path := func(kind, value string) *config.PathMatch { return &config.PathMatch{Kind: kind, Value: value} }
	value := func(kind, name, value string) []config.ValueMatch {
		return []config.ValueMatch{{Kind: kind, Name: name, Value: value}}
	}
	var backends []config.Backend
	var routes []config.Route
	for _, r := range []struct {
		name string
		m    config.Match
	}{
		{"exact", config.Match{Path: path(config.MatchExact, "/exact")}},
		{"escaped", config.Match{Path: path(config.MatchExact, "/caf%C3%A9")}},
		{"method", config.Match{Path: path(config.MatchPrefix, "/method"), Method: "POST"}},
		{"header", config.Match{Path: path(config.MatchPrefix, "/header"), Headers: []config.ValueMatch{
			{Kind: config.MatchExact, Name: "version", Value: "two"}, {Kind: config.MatchExact, Name: "VERSION", Value: "ignored"}, {Kind: config.MatchRegexp, Name: "color", Value: "red|blue"}}}},
		{"query", config.Match{Path: path(config.MatchPrefix, "/query"), Query: []config.ValueMatch{
			{Kind: config.MatchExact, Name: "animal", Value: "whale"}, {Kind: config.MatchRegexp, Name: "n", Value: "[0-9]+"}}}},
		{"empty", config.Match{Path: path(config.MatchPrefix, "/empty"), Query: value(config.MatchExact, "q", "")}},
		{"authority", config.Match{Path: path(config.MatchPrefix, "/authority"), Headers: value(config.MatchExact, "host", "a.example")}},
		{"regexp", config.Match{Path: path(config.MatchRegexp, "/r/[a-z]+|/s")}},
		{"longer", config.Match{Path: path(config.MatchPrefix, "/v2/a")}},
		{"prefix", config.Match{Path: path(config.MatchPrefix, "/v2/")}},
		{"second", config.Match{Path: path(config.MatchPrefix, "/v2")}}, // never reached
	} {
		b, route := named(t, r.name, r.m)
		backends, routes = append(backends, b), append(routes, route)
	}
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, backends, routes...))
	for _, tt := range []struct {
		method, path, headers, want string // "": 404
	}{
		{"GET", "/exact", "", "exact"},
		{"GET", "/exact/", "", ""},
		{"GET", "/exact?x=1", "", "exact"},
		{"GET", "/Exact", "", ""},
		{"GET", "/%65xact", "", "exact"},
		{"GET", "/a/../exact", "", "exact"},
		{"GET", "/caf%c3%a9", "", "escaped"},
		{"POST", "/method", "", "method"},
		{"GET", "/method", "", ""},
		{"post", "/method", "", ""},
		{"GET", "/header", "Version: two\nColor: blue", "header"},
		{"GET", "/header", "version: two\ncolor: red", "header"},
		{"GET", "/header", "Version: two", ""},
		{"GET", "/header", "Version: two\nColor: reddish", ""},
		{"GET", "/header", "Version: two\nVersion: two\nColor: red", ""}, // "two,two"
		{"GET", "/query?animal=whale&n=12&more", "", "query"},
		{"GET", "/query?n=12&animal=whale&animal=dog", "", "query"},
		{"GET", "/query?animal=dog&animal=whale&n=1", "", ""},
		{"GET", "/query?ANIMAL=whale&n=1", "", ""},
		{"GET", "/query?animal=whal%65&n=1", "", "query"},
		{"GET", "/query?animal=whale&n=1x", "", ""},
		{"GET", "/empty?q", "", "empty"},
		{"GET", "/empty?p", "", ""},
		{"GET", "/authority", "Host: a.example", "authority"},
		{"GET", "/authority", "Host: b.example", ""},
		{"GET", "/r/abc", "", "regexp"},
		{"GET", "/s", "", "regexp"},
		{"GET", "/r/abc/d", "", ""},
		{"GET", "/x/s", "", ""},
		{"GET", "/v2", "", "prefix"},
		{"GET", "/v2/", "", "prefix"},
		{"GET", "/v2/example", "", "prefix"},
		{"GET", "/v2example", "", ""},
		{"GET", "/v2;p=1/example", "", "prefix"},
		{"GET", "//v2//a//b", "", "longer"},
		{"GET", "/v2/ab", "", "prefix"},
		{"GET", "/", "", ""},
	} {
		t.Run(tt.method+" "+tt.path+" "+tt.headers, func(t *testing.T) {
			got := do(t, client, tt.method, url(port, tt.path), "", func(r *http.Request) {
				for line := range strings.Lines(tt.headers) {
					k, v, _ := strings.Cut(strings.TrimSpace(line), ": ")
					if k == "Host" {
						r.Host = v
						continue
					}
					r.Header.Add(k, v)
				}
			})
			if got.seen.Name != tt.want || tt.want == "" && got.code != http.StatusNotFound {
				t.Errorf("got %q (%d), want %q", got.seen.Name, got.code, tt.want)
			}
		})
	}
}

// TestHosts has the listeners of the Gateway API's tests for hostnames: the port has
// several listeners, and a request belongs to the one whose name is nearest.
func TestHosts(t *testing.T) {
	var backends []config.Backend
	route := func(name string) []config.Route {
		b, r := named(t, name, prefix("/"+strings.TrimRight(name, "0123456789")))
		backends = append(backends, b)
		return []config.Route{r}
	}
	all := config.Listener{Name: "all", Hosts: []config.Host{
		{Hostname: "one.org", Routes: route("a1")}, {Hostname: "*.org", Routes: route("a2")}, {Routes: route("a3")},
	}}
	exact := config.Listener{Name: "exact", Hostname: "very.specific.com", Hosts: []config.Host{{Hostname: "*.specific.com", Routes: route("a4")}}}
	wild := config.Listener{Name: "wild", Hostname: "*.wildcard.io", Hosts: []config.Host{
		{Hostname: "foo.wildcard.io", Routes: route("a5")}, {Hostname: "*.bar.wildcard.io", Routes: route("a6")}, {Hostname: "*.wildcard.io", Routes: route("b7")},
	}}
	empty := config.Listener{Name: "empty", Hostname: "empty.wildcard.io"}
	port := freePort(t)
	newGateway(t, nil).apply(config.Gateway{Backends: backends, Ports: []config.Port{{Listen: port, Public: 80, Listeners: []config.Listener{all, wild, exact, empty}}}})
	for _, tt := range []struct{ host, path, want string }{
		{"one.org", "/a", "a1"},
		{"one.org:8080", "/a", "a1"},
		{"ONE.org", "/a", "a1"},
		{"one.org.", "/a", "a1"},
		{"two.org", "/a", "a2"},
		{"x.two.org", "/a", "a2"},
		{"org", "/a", "a3"},
		{"other.net", "/a", "a3"},
		{"127.0.0.1", "/a", "a3"},
		{"[::1]:80", "/a", "a3"},
		{"very.specific.com", "/a", "a4"},
		{"other.specific.com", "/a", "a3"},
		{"foo.wildcard.io", "/a", "a5"},
		{"foo.wildcard.io", "/b", "b7"}, // of a less specific host
		{"x.bar.wildcard.io", "/a", "a6"},
		{"bar.wildcard.io", "/b", "b7"},
		{"bar.wildcard.io", "/a", ""},
		{"wildcard.io", "/a", "a3"},
		{"empty.wildcard.io", "/a", ""}, // not of another listener
		{"empty.wildcard.io", "/b", ""},
	} {
		got := get(t, port, tt.host, tt.path)
		if got.seen.Name != tt.want || tt.want == "" && got.code != http.StatusNotFound {
			t.Errorf("%s%s: got %q (%d), want %q", tt.host, tt.path, got.seen.Name, got.code, tt.want)
		}
	}
	// Without a listener for all names.
	other := freePort(t)
	newGateway(t, nil).apply(config.Gateway{Backends: backends, Ports: []config.Port{{Listen: other, Public: 80, Listeners: []config.Listener{wild}}}})
	for _, host := range []string{"other.net", "wildcard.io"} {
		if got := get(t, other, host, "/a"); got.code != http.StatusNotFound {
			t.Errorf("%s: got %d", host, got.code)
		}
	}
	if got := raw(t, other, "GET /a HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 404") {
		t.Errorf("without host: %q", got)
	}
}
