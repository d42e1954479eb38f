package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

var serial atomic.Int64

// signed returns a certificate of an hour for DNS names and URIs, by its own key.
func signed(t *testing.T, names ...string) config.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if strings.Contains(n, ":") {
			template.URIs = append(template.URIs, must(neturl.Parse(n)))
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return config.Certificate{
		Chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})),
	}
}

func pair(c config.Certificate) tls.Certificate {
	return must(tls.X509KeyPair([]byte(c.Chain), []byte(c.Key)))
}

func pool(certs ...config.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AppendCertsFromPEM([]byte(c.Chain))
	}
	return p
}

// secured is a configuration of a port with TLS.
func secured(port int, b config.Backend, listeners ...config.Listener) config.Gateway {
	for i := range listeners {
		listeners[i].Name = fmt.Sprint("https-", i)
		if listeners[i].Hosts == nil {
			listeners[i].Hosts = []config.Host{{Routes: []config.Route{{Name: "apps/" + listeners[i].Name, Match: prefix("/"), Targets: to(b)}}}}
		}
	}
	return config.Gateway{Backends: []config.Backend{b}, Ports: []config.Port{{Listen: port, Public: 443, TLS: true, Listeners: listeners}}}
}

// served returns the name of the certificate that a server shows, or the error.
func served(port int, name string) (string, error) {
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestCertificates(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	one, two, wild := signed(t, "one.org"), signed(t, "two.org"), signed(t, "*.wild.org")
	port := freePort(t)
	newGateway(t, nil).apply(secured(port, b,
		config.Listener{Hostname: "one.org", Certificates: []config.Certificate{one}},
		config.Listener{Hostname: "*.wild.org", Certificates: []config.Certificate{wild}},
		config.Listener{Hostname: "*.org", Certificates: []config.Certificate{one, two}},
		config.Listener{Hostname: "none.org"},
	))
	for name, want := range map[string]string{
		"one.org": "one.org", "ONE.org": "one.org", "a.wild.org": "*.wild.org", "a.b.wild.org": "*.wild.org",
		"two.org": "two.org", "three.org": "one.org", "wild.org": "one.org",
		"none.org": "", "other.net": "", "": "",
	} {
		got, err := served(port, name)
		if got != want || want == "" && (err == nil || !strings.Contains(err.Error(), "unrecognized name")) {
			t.Errorf("%q: got %q, %v, want %q", name, got, err, want)
		}
	}
	// TLS 1.1 is refused, plain text too.
	_, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{ServerName: "one.org", RootCAs: pool(one), MaxVersion: tls.VersionTLS11})
	if err == nil {
		t.Error("TLS 1.1 is accepted")
	}
	if got := raw(t, port, "GET / HTTP/1.1\r\nHost: one.org\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.0 400") {
		t.Errorf("plain text: %q", got)
	}
}

// TestMisdirected has the cases of the Gateway API's test
// HTTPRouteHTTPSListenerDetectMisdirectedRequests.
func TestMisdirected(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	cert := signed(t, "example.org", "second-example.org", "unknown-example.org", "*.wildcard.org")
	host := func(h string) []config.Host {
		return []config.Host{{Hostname: h, Routes: []config.Route{{Name: "apps/r", Match: prefix("/"), Targets: to(b)}}}}
	}
	certs := []config.Certificate{cert}
	port := freePort(t)
	newGateway(t, nil).apply(secured(port, b,
		config.Listener{Certificates: certs, Hosts: host("example.org")},
		config.Listener{Hostname: "second-example.org", Certificates: certs},
		config.Listener{Hostname: "*.wildcard.org", Certificates: certs},
		config.Listener{Hostname: "fourth-example.wildcard.org", Certificates: certs},
	))
	alone := freePort(t)
	newGateway(t, nil).apply(secured(alone, b, config.Listener{Hostname: "second-example.org", Certificates: certs}))
	for _, tt := range []struct {
		port         int
		server, host string
		want         int
	}{
		{port, "example.org", "example.org", 200},
		{port, "example.org", "second-example.org", 421},
		{port, "example.org", "unknown-example.org", 404},
		{port, "second-example.org", "second-example.org", 200},
		{port, "second-example.org", "example.org", 421},
		{port, "second-example.org", "unknown-example.org", 421},
		{port, "third-example.wildcard.org", "third-example.wildcard.org", 200},
		{port, "third-example.wildcard.org", "fith-example.wildcard.org", 200},
		{port, "third-example.wildcard.org", "fourth-example.wildcard.org", 421},
		{port, "third-example.wildcard.org", "second-example.org", 421},
		{port, "third-example.wildcard.org", "unknown-example.org", 421},
		{port, "fourth-example.wildcard.org", "fourth-example.wildcard.org", 200},
		{port, "fourth-example.wildcard.org", "fith-example.wildcard.org", 421},
		{port, "unknown-example.org", "example.org", 200},
		{port, "unknown-example.org", "unknown-example.org", 404},
		{alone, "second-example.org", "second-example.org:8443", 200},
		{alone, "second-example.org", "other.org", 421},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			conf := &tls.Config{RootCAs: pool(cert), ServerName: tt.server}
			c := over(t, tt.port, conf)
			if protocol == "HTTP/1.1" {
				c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
			}
			got := do(t, c, http.MethodGet, "https://"+tt.server+"/", "", func(r *http.Request) { r.Host = tt.host })
			if got.code != tt.want {
				t.Errorf("%s to %s by %s: got %d, want %d", tt.host, tt.server, protocol, got.code, tt.want)
			}
			if got.code == 200 && got.seen.Headers.Get("X-Forwarded-Proto") != "https" {
				t.Error("the backend is not told of TLS")
			}
		}
	}
}

func TestClientCertificates(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	cert, good, bad := signed(t, "example.org"), signed(t, "client"), signed(t, "stranger")
	for name, tt := range map[string]struct {
		clients *config.ClientTLS
		want    [3]bool // with none, a good one, a bad one
	}{
		"not asked for": {nil, [3]bool{true, true, true}},
		"required":      {&config.ClientTLS{CAs: good.Chain}, [3]bool{false, true, false}},
		"optional":      {&config.ClientTLS{CAs: good.Chain, Optional: true}, [3]bool{true, true, true}},
		"nobody":        {&config.ClientTLS{}, [3]bool{false, false, false}},
	} {
		port := freePort(t)
		c := secured(port, b, config.Listener{Certificates: []config.Certificate{cert}})
		c.Ports[0].Clients = tt.clients
		newGateway(t, nil).apply(c)
		for i, shown := range []*config.Certificate{nil, &good, &bad} {
			conf := &tls.Config{RootCAs: pool(cert), ServerName: "example.org"}
			if shown != nil {
				conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return ptr(pair(*shown)), nil }
			}
			a, err := try(over(t, port, conf), http.MethodGet, "https://example.org/", "", nil)
			if got := err == nil && a.code == 200; got != tt.want[i] {
				t.Errorf("%s, certificate %d: got %d, %v", name, i, a.code, err)
			}
		}
	}
}

// TestSessionsEndWithAuthority makes sure that a client does not come back by a resumed
// session when its authority has been taken out.
func TestSessionsEndWithAuthority(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	cert, good, other := signed(t, "example.org"), signed(t, "client"), signed(t, "other")
	port := freePort(t)
	f := newGateway(t, nil)
	c := secured(port, b, config.Listener{Certificates: []config.Certificate{cert}})
	f.apply(c)
	shown := pair(good)
	conf := &tls.Config{RootCAs: pool(cert), ServerName: "example.org", Certificates: []tls.Certificate{shown}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	ask := func() error {
		cl := over(t, port, conf)
		defer cl.CloseIdleConnections()
		_, err := try(cl, http.MethodGet, "https://example.org/", "", nil)
		return err
	}
	check(t, ask())
	c.Ports[0].Clients = &config.ClientTLS{CAs: good.Chain}
	f.apply(c)
	check(t, ask())
	c.Ports[0].Clients = &config.ClientTLS{CAs: other.Chain}
	f.apply(c)
	if err := ask(); err == nil {
		t.Error("a client whose authority is gone gets in")
	}
}

// tlsBackend serves h by TLS.
func tlsBackend(t *testing.T, name string, h http.Handler, conf *tls.Config) config.Backend {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = conf
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return config.Backend{Name: name, Endpoints: []config.Endpoint{endpoint(s.Listener.Addr())}}
}

func TestBackendTLS(t *testing.T) {
	cert, other, mine := signed(t, "abc.example.com", "spiffe://abc.example.com/ns/a/sa/b"), signed(t, "other"), signed(t, "the gateway")
	var name atomic.Value
	server := &tls.Config{Certificates: []tls.Certificate{pair(cert)}, ClientAuth: tls.RequestClientCert, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name.Store(h.ServerName)
		return nil, nil
	}}
	base := tlsBackend(t, "apps/web:443", echo("web"), server)
	for what, tt := range map[string]struct {
		tls  config.BackendTLS
		want int
	}{
		"hostname":             {config.BackendTLS{Hostname: "abc.example.com", CAs: cert.Chain}, 200},
		"other hostname":       {config.BackendTLS{Hostname: "def.example.com", CAs: cert.Chain}, 502},
		"other authority":      {config.BackendTLS{Hostname: "abc.example.com", CAs: other.Chain}, 502},
		"system's authorities": {config.BackendTLS{Hostname: "abc.example.com"}, 502},
		"DNS name":             {config.BackendTLS{Hostname: "x.example.com", CAs: cert.Chain, SANs: []string{"no.example.com", "abc.example.com"}}, 200},
		"URI":                  {config.BackendTLS{Hostname: "x.example.com", CAs: cert.Chain, SANs: []string{"spiffe://abc.example.com/ns/a/sa/b"}}, 200},
		"no such DNS name":     {config.BackendTLS{Hostname: "abc.example.com", CAs: cert.Chain, SANs: []string{"no.example.com"}}, 502},
		"no such URI":          {config.BackendTLS{Hostname: "abc.example.com", CAs: cert.Chain, SANs: []string{"spiffe://abc.example.com/ns/a/sa/c"}}, 502},
		"name, not authority":  {config.BackendTLS{Hostname: "abc.example.com", CAs: other.Chain, SANs: []string{"abc.example.com"}}, 502},
		"own certificate":      {config.BackendTLS{Hostname: "abc.example.com", CAs: cert.Chain, Client: &mine}, 200},
	} {
		t.Run(what, func(t *testing.T) {
			b := base
			b.TLS = &tt.tls
			port := freePort(t)
			newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
			got := get(t, port, "front.example.com", "/")
			if got.code != tt.want || got.code == 200 && got.seen.Host != "front.example.com" {
				t.Errorf("got %d of host %q, want %d", got.code, got.seen.Host, tt.want)
			}
			if name.Load() != tt.tls.Hostname {
				t.Errorf("the server is called %q, want %q", name.Load(), tt.tls.Hostname)
			}
			if tt.tls.Client != nil && got.seen.Peer != "the gateway" {
				t.Errorf("the backend has seen the certificate of %q", got.seen.Peer)
			}
		})
	}
}

// credentials returns those of an account, of an authority.
func credentials(t *testing.T, ca *proxytest.Authority, id string) *proxy.Credentials {
	t.Helper()
	v := must(proxytest.NewVolume(t.TempDir()))
	check(t, v.Write(must(ca.Issue(id, nil)), ca.Root()))
	c, err := proxy.OpenCredentials(t.Context(), proxy.CredentialFiles{Key: v.Key(), Trust: v.Trust(), TrustDomain: proxytest.Domain}, slog.New(slog.DiscardHandler))
	check(t, err)
	return c
}

// sidecarOf serves h as a sidecar does: by mutual TLS, for one caller.
func sidecarOf(t *testing.T, c *proxy.Credentials, identity, caller string, h http.Handler) config.Backend {
	t.Helper()
	conf, err := c.ServerTLS([]string{proxy.ALPNHTTP2, proxy.ALPNHTTP1}, caller)
	check(t, err)
	l, err := proxy.Listen(context.Background(), "127.0.0.1:0", proxy.ListenOptions{})
	check(t, err)
	s := proxy.NewServer(h, conf, slog.New(slog.DiscardHandler))
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	return config.Backend{Name: "apps/web:80", Identity: identity, Endpoints: []config.Endpoint{endpoint(l.Addr())}}
}

func TestMesh(t *testing.T) {
	ca, strange := must(proxytest.NewAuthority()), must(proxytest.NewAuthority())
	me, web := proxytest.ID("public-gateway"), proxytest.ID("web")
	mine := credentials(t, ca, me)
	both := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			speak(w, r)
			return
		}
		echo("web").ServeHTTP(w, r)
	})
	good := sidecarOf(t, credentials(t, ca, web), web, me, both)
	port := freePort(t)
	ask := func(b config.Backend, c gateway.Credentials) answer {
		f := newGateway(t, func(o *gateway.Options) { o.Credentials = c })
		f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
		defer f.Close()
		return do(t, client, http.MethodPost, url(port, "/"), "hello", nil)
	}
	f := newGateway(t, func(o *gateway.Options) { o.Credentials = mine })
	f.apply(simple(port, []config.Backend{good}, config.Route{Match: prefix("/"), Targets: to(good)}))
	got := do(t, client, http.MethodPost, url(port, "/"), "hello", nil)
	if got.code != 200 || got.seen.Peer != me || got.seen.Proto != "HTTP/2.0" || got.seen.Body != "hello" {
		t.Errorf("got %d, %+v", got.code, got.seen)
	}
	c := must(dialLine(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
	defer c.Close()
	buf := make([]byte, 12)
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "HTTP/1.1 101" {
		t.Errorf("an upgrade through the mesh: %q, %v", buf, err)
	}
	f.Close()
	for what, tt := range map[string]struct {
		b config.Backend
		c gateway.Credentials
	}{
		"another's identity":  {sidecarOf(t, credentials(t, ca, proxytest.ID("pay")), web, me, both), mine},
		"another authority":   {sidecarOf(t, credentials(t, strange, web), web, me, both), mine},
		"not let in":          {sidecarOf(t, credentials(t, ca, web), web, proxytest.ID("other"), both), mine},
		"plain text":          {func() config.Backend { b := backend(t, "apps/web:80", both); b.Identity = web; return b }(), mine},
		"without credentials": {good, nil},
	} {
		if a := ask(tt.b, tt.c); a.code != http.StatusBadGateway {
			t.Errorf("%s: got %d %q", what, a.code, a.body)
		}
	}
}
