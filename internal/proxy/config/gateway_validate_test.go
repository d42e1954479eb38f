package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// sample uses most of what a gateway can be told.
func sample() Gateway {
	prefix := "/v2"
	return Gateway{
		Version: "1", TrustDomain: "test.acme.example",
		Ports: []Port{{Listen: 8080, Public: 80, Listeners: []Listener{{
			Name: "http", Hostname: "*.example.com",
			Hosts: []Host{{Hostname: "shop.example.com", Routes: []Route{{
				Name: "shop/web",
				Match: Match{
					Path: &PathMatch{Kind: MatchPrefix, Value: "/v1"}, Method: "GET",
					Headers: []ValueMatch{{Kind: MatchExact, Name: "X-A", Value: "1"}},
					Query:   []ValueMatch{{Kind: MatchRegexp, Name: "q", Value: "a+"}},
				},
				Filters: []Filter{
					{RequestHeaders: &HeaderChange{Set: []Header{{Name: "X-B", Value: "2"}}, Remove: []string{"X-C"}}},
					{Rewrite: &Rewrite{Hostname: "web.local", Path: &PathChange{Prefix: &prefix}}},
					{Mirror: &Mirror{Backend: "shop/web:80", Numerator: 1, Denominator: 2}},
					{CORS: &CORS{AllowOrigins: []string{"https://*.example.com", "*"}, AllowMethods: []string{"*"}}},
				},
				Targets:        []Target{{Backend: "shop/web:80", Weight: 1}, {Weight: 1}},
				RequestTimeout: Duration(time.Second),
				Retry:          &Retry{Codes: []int{503}, Attempts: 2},
				Limits:         &Limits{RequestsPerSecond: 1, Burst: 2, BodyBytes: 3},
				Token:          &TokenRule{Provider: "idp", Audiences: []string{"shop"}},
			}}}},
		}}}},
		Backends:  []Backend{{Name: "shop/web:80", Endpoints: []Endpoint{{Address: "10.0.0.1", Port: 15100}}, Identity: "spiffe://test.acme.example/ns/shop/sa/web"}},
		Providers: []TokenProvider{{Name: "idp", Issuer: "https://idp.example.com"}},
	}
}

func TestSampleIsValid(t *testing.T) {
	b, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeGateway(b); err != nil {
		t.Error(err)
	}
}

func TestValidateRefuses(t *testing.T) {
	slash := "x"
	for name, tt := range map[string]struct {
		change func(g *Gateway, p *Port, l *Listener, r *Route)
		want   string
	}{
		"port":             {func(_ *Gateway, p *Port, _ *Listener, _ *Route) { p.Listen = 0 }, "no port to listen on"},
		"public port":      {func(_ *Gateway, p *Port, _ *Listener, _ *Route) { p.Public = 65536 }, "no port of clients"},
		"port twice":       {func(g *Gateway, p *Port, _ *Listener, _ *Route) { g.Ports = append(g.Ports, *p) }, "listed twice"},
		"listener twice":   {func(_ *Gateway, p *Port, l *Listener, _ *Route) { p.Listeners = append(p.Listeners, *l) }, "a name of its own"},
		"hostname":         {func(_ *Gateway, _ *Port, l *Listener, _ *Route) { l.Hostname = "Shop.example.com" }, "no hostname"},
		"wildcard within":  {func(_ *Gateway, _ *Port, l *Listener, _ *Route) { l.Hostname = "a.*.example.com" }, "no hostname"},
		"host twice":       {func(_ *Gateway, _ *Port, l *Listener, _ *Route) { l.Hosts = append(l.Hosts, l.Hosts[0]) }, "listed twice"},
		"client TLS":       {func(_ *Gateway, p *Port, _ *Listener, _ *Route) { p.Clients = &ClientTLS{} }, "without TLS"},
		"certificate":      {func(_ *Gateway, _ *Port, l *Listener, _ *Route) { l.Certificates = []Certificate{{Chain: "x"}} }, "certificate 0"},
		"backend missing":  {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Targets[0].Backend = "x" }, `no backend "x"`},
		"mirror missing":   {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[2].Mirror.Backend = "x" }, "to mirror to"},
		"mirror fraction":  {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[2].Mirror.Denominator = 0 }, "cannot be mirrored"},
		"provider missing": {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Providers = nil }, "no token provider"},
		"provider":         {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Providers[0].Issuer = "ftp://x" }, "no http or https URL"},
		"address":          {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Backends[0].Endpoints[0].Address = "web" }, "no IP address"},
		"identity":         {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Backends[0].Identity = "web" }, "no SPIFFE ID"},
		"two kinds of TLS": {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Backends[0].TLS = &BackendTLS{Hostname: "a"} }, "exclude each other"},
		"backend twice":    {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Backends = append(g.Backends, g.Backends[0]) }, "two of this name"},
		"protocol":         {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Backends[0].Protocol = "h3" }, "unknown protocol"},
		"path":             {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Match.Path.Value = "v1" }, "does not begin with a slash"},
		"path kind":        {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Match.Path.Kind = "Prefix" }, "unknown kind of path"},
		"expression":       {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Match.Query[0].Value = "(" }, "missing closing"},
		"method":           {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Match.Method = "GE T" }, "no method"},
		"header injected": {func(_ *Gateway, _ *Port, _ *Listener, r *Route) {
			r.Filters[0].RequestHeaders.Set[0].Value = "a\r\nX: y"
		}, "control characters"},
		"header name": {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[0].RequestHeaders.Remove[0] = "a:b" }, "no name of a header"},
		"framing": {func(_ *Gateway, _ *Port, _ *Listener, r *Route) {
			r.Filters[0].RequestHeaders.Set[0].Name = "transfer-encoding"
		}, "cannot be changed"},
		"two filters in one": {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[0].CORS = &CORS{} }, "instead of one"},
		"empty filter":       {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[0] = Filter{} }, "instead of one"},
		"rewrite path":       {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[1].Rewrite.Path.Prefix = &slash }, "begin with a slash"},
		"rewrite twice":      {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[1].Rewrite.Path.Full = &slash }, "either in full or by prefix"},
		"prefix unmatched":   {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Match.Path.Kind = MatchExact }, "where none is matched"},
		"redirect status": {func(_ *Gateway, _ *Port, _ *Listener, r *Route) {
			r.Filters[0] = Filter{Redirect: &Redirect{Status: 200}}
		}, "no status of a redirect"},
		"weight":  {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Targets[0].Weight = -1 }, "not within"},
		"retry":   {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Retry.Codes[0] = 200 }, "no status to retry"},
		"timeout": {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.BackendTimeout = -1 }, "negative timeout"},
		"origin":  {func(_ *Gateway, _ *Port, _ *Listener, r *Route) { r.Filters[3].CORS.AllowOrigins[0] = "example.com" }, "no origin"},
		"limits":  {func(g *Gateway, _ *Port, _ *Listener, _ *Route) { g.Limits = &Limits{BodyBytes: -1} }, "negative size"},
	} {
		t.Run(name, func(t *testing.T) {
			g := sample()
			p := &g.Ports[0]
			l := &p.Listeners[0]
			tt.change(&g, p, l, &l.Hosts[0].Routes[0])
			err := g.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDecodeIsStrict(t *testing.T) {
	for _, doc := range []string{``, `[]`, `{"version":"1","unknown":true}`, `{} {}`, `{"ports":[{"listen":"80"}]}`} {
		if _, err := DecodeGateway([]byte(doc)); err == nil {
			t.Errorf("%s: no error", doc)
		}
	}
}

// FuzzDecodeGateway looks for documents that the decoder lets in and that change when
// they are written again, and for panics.
func FuzzDecodeGateway(f *testing.F) {
	b, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"ports":[{"listen":1,"public":1,"listeners":[]}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		g, err := DecodeGateway(doc)
		if err != nil {
			return
		}
		once, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeGateway(once)
		if err != nil {
			t.Fatalf("valid at first, then: %v", err)
		}
		if twice, _ := json.Marshal(again); string(once) != string(twice) {
			t.Errorf("%s became %s", once, twice)
		}
	})
}
