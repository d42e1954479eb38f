package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// MaxGateway is how long the JSON of a Gateway may be, in bytes.
const MaxGateway = 64 << 20

// DecodeGateway reads one Gateway from JSON and validates it. Unknown fields are errors:
// a rule that this build does not know must not be passed over, since it could be one
// that keeps requests out.
func DecodeGateway(b []byte) (Gateway, error) {
	if len(b) > MaxGateway {
		return Gateway{}, fmt.Errorf("configuration of %d bytes; at most %d are allowed", len(b), MaxGateway)
	}
	var g Gateway
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&g); err != nil {
		return Gateway{}, fmt.Errorf("decode configuration: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Gateway{}, errors.New("decode configuration: more than one document")
	}
	return g, g.Validate()
}

// Validate returns what makes g one that no gateway can serve, all of it joined, or nil.
func (g Gateway) Validate() error {
	var errs problems
	backends := map[string]bool{}
	for _, b := range g.Backends {
		errs.check(!backends[b.Name], "backend %q: there are two of this name", b.Name)
		backends[b.Name] = true
		errs.wrap(b.Validate(), "backend %q", b.Name)
	}
	providers := map[string]bool{}
	for _, p := range g.Providers {
		errs.check(!providers[p.Name], "provider %q: there are two of this name", p.Name)
		providers[p.Name] = true
		errs.wrap(p.Validate(), "provider %q", p.Name)
	}
	if g.Limits != nil {
		errs.wrap(g.Limits.validate(), "limits")
	}
	ports := map[int]bool{}
	for _, p := range g.Ports {
		errs.check(!ports[p.Listen], "port %d: it is listed twice", p.Listen)
		ports[p.Listen] = true
		errs.wrap(p.validate(backends, providers), "port %d", p.Listen)
	}
	return errs.join()
}

func (p Port) validate(backends, providers map[string]bool) error {
	var errs problems
	errs.check(validPort(p.Listen), "%d is no port to listen on", p.Listen)
	errs.check(validPort(p.Public), "%d is no port of clients", p.Public)
	errs.check(p.Clients == nil || p.TLS, "client certificates without TLS")
	names, hostnames := map[string]bool{}, map[string]bool{}
	for _, l := range p.Listeners {
		errs.check(l.Name != "" && !names[l.Name], "listener %q: it wants a name of its own", l.Name)
		errs.check(!hostnames[l.Hostname], "listener %q: another one of the port has the hostname %q", l.Name, l.Hostname)
		names[l.Name], hostnames[l.Hostname] = true, true
		errs.wrap(l.validate(backends, providers), "listener %q", l.Name)
	}
	return errs.join()
}

func (l Listener) validate(backends, providers map[string]bool) error {
	var errs problems
	errs.wrap(validHostname(l.Hostname), "hostname")
	for i, c := range l.Certificates {
		errs.wrap(c.Validate(), "certificate %d", i)
	}
	hosts := map[string]bool{}
	for _, h := range l.Hosts {
		errs.check(!hosts[h.Hostname], "host %q: it is listed twice", h.Hostname)
		hosts[h.Hostname] = true
		errs.wrap(validHostname(h.Hostname), "host %q", h.Hostname)
		for _, r := range h.Routes {
			errs.wrap(r.Validate(), "route %q of host %q", r.Name, h.Hostname)
			errs.wrap(r.resolve(backends, providers), "route %q of host %q", r.Name, h.Hostname)
		}
	}
	return errs.join()
}

// resolve checks that what a route names is there.
func (r Route) resolve(backends, providers map[string]bool) error {
	var errs problems
	mirrors := func(filters []Filter) {
		for _, f := range filters {
			if f.Mirror != nil {
				errs.check(backends[f.Mirror.Backend], "no backend %q to mirror to", f.Mirror.Backend)
			}
		}
	}
	mirrors(r.Filters)
	for _, t := range r.Targets {
		errs.check(t.Backend == "" || backends[t.Backend], "no backend %q", t.Backend)
		mirrors(t.Filters)
	}
	if r.Token != nil {
		errs.check(providers[r.Token.Provider], "no token provider %q", r.Token.Provider)
	}
	return errs.join()
}

// Validate returns what is wrong with the key pair, or nil.
func (c Certificate) Validate() error {
	// The error of X509KeyPair says what is wrong and holds nothing of the key.
	_, err := tls.X509KeyPair([]byte(c.Chain), []byte(c.Key))
	return err
}

// Validate returns what is wrong with a backend, or nil.
func (b Backend) Validate() error {
	var errs problems
	errs.check(b.Name != "", "it has no name")
	errs.check(slices.Contains([]string{"", "h2c", "ws"}, b.Protocol), "unknown protocol %q", b.Protocol)
	errs.check(b.Identity == "" || b.TLS == nil, "TLS of the backend's own and a sidecar's exclude each other")
	errs.check(b.Identity == "" || strings.HasPrefix(b.Identity, "spiffe://"), "%q is no SPIFFE ID", b.Identity)
	for _, e := range b.Endpoints {
		_, err := netip.ParseAddr(e.Address)
		errs.check(err == nil, "%q is no IP address", e.Address)
		errs.check(validPort(e.Port), "%d is no port", e.Port)
	}
	if b.TLS != nil {
		errs.check(b.TLS.Hostname != "" && !strings.HasPrefix(b.TLS.Hostname, "*"), "TLS wants a hostname")
		errs.wrap(validHostname(b.TLS.Hostname), "TLS")
		errs.wrap(validCAs(b.TLS.CAs), "authorities")
		if b.TLS.Client != nil {
			errs.wrap(b.TLS.Client.Validate(), "client certificate")
		}
	}
	return errs.join()
}

// Validate returns what is wrong with a token provider, or nil.
func (p TokenProvider) Validate() error {
	var errs problems
	errs.check(p.Name != "", "it has no name")
	errs.check(absoluteURL(p.Issuer), "issuer %q is no http or https URL", p.Issuer)
	errs.check(p.KeysURL == "" || absoluteURL(p.KeysURL), "%q is no http or https URL", p.KeysURL)
	errs.wrap(validCAs(p.CAs), "authorities")
	return errs.join()
}

func absoluteURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func validPort(p int) bool { return p > 0 && p < 1<<16 }

func validCAs(pem string) error {
	if pem != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(pem)) {
		return errors.New("no certificate in PEM")
	}
	return nil
}

// validHostname wants what the Gateway API's Hostname is: a lower-case DNS name whose
// first label may be "*", or nothing.
func validHostname(h string) error {
	if h == "" {
		return nil
	}
	name := strings.TrimPrefix(h, "*.")
	if len(h) > 253 {
		return fmt.Errorf("%q is longer than 253 characters", h)
	}
	for label := range strings.SplitSeq(name, ".") {
		ok := label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		for _, c := range []byte(label) {
			ok = ok && (c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z')
		}
		if !ok {
			return fmt.Errorf("%q is no hostname in lower case", h)
		}
	}
	return nil
}

// problems collects errors.
type problems []error

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

func (p *problems) wrap(err error, format string, args ...any) {
	if err != nil {
		*p = append(*p, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err))
	}
}

func (p problems) join() error { return errors.Join(p...) }
