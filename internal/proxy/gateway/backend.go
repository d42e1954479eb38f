package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/balance"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Credentials make the TLS with which backends in the mesh are called;
// *proxy.Credentials do.
type Credentials interface {
	ClientTLS(protocols []string, servers ...string) (*tls.Config, error)
}

// Limits of connections to backends.
const (
	dialTimeout       = 5 * time.Second
	handshakeTimeout  = 5 * time.Second
	idleBackend       = time.Minute
	maxIdlePerBackend = 256
	maxResponseHeader = 256 << 10
)

// backend is a config.Backend made ready. Tables share it as long as only its endpoints
// change.
type backend struct {
	name      string
	scheme    string
	pool      balance.Pool
	transport *transport
	key       string // of transport
}

// transport are the connections to backends that are reached in the same way.
type transport struct {
	// plain carries requests; upgrade those that ask for another protocol, which HTTP/2
	// cannot.
	plain, upgrade *http.Transport
}

func (t *transport) close() {
	t.plain.CloseIdleConnections()
	t.upgrade.CloseIdleConnections()
}

// backend returns a backend of the next table: was, if it still is what b says.
func (g *Gateway) backend(b config.Backend, was *backend, next, old *table) (*backend, error) {
	key, err := transportKey(b)
	if err != nil {
		return nil, err
	}
	if was != nil && was.key == key {
		return was, nil
	}
	made := &backend{name: b.Name, key: key, scheme: "http"}
	if b.Identity != "" || b.TLS != nil {
		made.scheme = "https"
	}
	made.pool.Ejected = func(address string) {
		g.metrics.ejections.WithLabelValues(b.Name).Inc()
		g.opts.Log.Warn("an endpoint is left out for a while", "backend", b.Name, "address", address)
	}
	for _, t := range []*table{next, old} {
		for _, other := range t.backends {
			if other.key == key {
				made.transport = other.transport
				return made, nil
			}
		}
	}
	made.transport, err = g.newTransport(b)
	return made, err
}

// transportKey is the same for backends that can share connections.
func transportKey(b config.Backend) (string, error) {
	key, err := json.Marshal([]any{b.Identity, b.Protocol == "h2c", b.TLS})
	return string(key), err
}

func (b *backend) set(endpoints []config.Endpoint) {
	addresses := make([]string, len(endpoints))
	for i, e := range endpoints {
		addresses[i] = net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
	}
	b.pool.Set(addresses)
}

func (g *Gateway) newTransport(b config.Backend) (*transport, error) {
	t := &transport{plain: newHTTPTransport(), upgrade: newHTTPTransport()}
	t.upgrade.Protocols.SetHTTP1(true)
	switch {
	case b.Identity != "":
		if err := g.meshTLS(t, b.Identity); err != nil {
			return nil, err
		}
		t.plain.Protocols.SetHTTP2(true)
		t.plain.Protocols.SetHTTP1(true)
	case b.TLS != nil:
		conf, err := backendTLS(b.TLS)
		if err != nil {
			return nil, err
		}
		t.plain.TLSClientConfig, t.upgrade.TLSClientConfig = conf, conf.Clone()
		t.plain.Protocols.SetHTTP2(true)
		t.plain.Protocols.SetHTTP1(true)
	case b.Protocol == "h2c":
		t.plain.Protocols.SetUnencryptedHTTP2(true)
	default:
		t.plain.Protocols.SetHTTP1(true)
	}
	return t, nil
}

func newHTTPTransport() *http.Transport {
	return &http.Transport{
		Protocols:              &http.Protocols{},
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:    handshakeTimeout,
		IdleConnTimeout:        idleBackend,
		MaxIdleConnsPerHost:    maxIdlePerBackend,
		MaxResponseHeaderBytes: maxResponseHeader,
		ExpectContinueTimeout:  time.Second,
		// What the client has asked for is passed on as it is.
		DisableCompression: true,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: proxy.WriteTimeout,
			// So much of a response waits for a client that reads slowly.
			MaxReceiveBufferPerStream: streamBuffer,
		},
	}
}

// errCredentials is for backends in the mesh where the gateway has no identity.
var errCredentials = errors.New("the gateway has no credentials for the mesh")

func (g *Gateway) meshTLS(t *transport, identity string) error {
	if g.opts.Credentials == nil {
		fail := func(context.Context, string, string) (net.Conn, error) { return nil, errCredentials }
		t.plain.DialContext, t.upgrade.DialContext = fail, fail
		return nil
	}
	var err error
	if t.plain.TLSClientConfig, err = g.opts.Credentials.ClientTLS([]string{proxy.ALPNHTTP2, proxy.ALPNHTTP1}, identity); err != nil {
		return err
	}
	t.upgrade.TLSClientConfig, err = g.opts.Credentials.ClientTLS([]string{proxy.ALPNHTTP1}, identity)
	return err
}

// backendTLS is for backends that have certificates of their own (the Gateway API's
// BackendTLSPolicy).
func backendTLS(b *config.BackendTLS) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: b.Hostname}
	if b.CAs != "" {
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM([]byte(b.CAs))
	}
	if b.Client != nil {
		pair, err := tls.X509KeyPair([]byte(b.Client.Chain), []byte(b.Client.Key))
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if len(b.SANs) > 0 {
		// The name of the server is not what its certificate has to be for, so the
		// library's check is done here, without it.
		conf.InsecureSkipVerify = true
		conf.VerifyConnection = func(s tls.ConnectionState) error { return verifySANs(s, conf.RootCAs, b.SANs) }
	}
	return conf, nil
}

func verifySANs(s tls.ConnectionState, roots *x509.CertPool, sans []string) error {
	leaf := s.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates}); err != nil {
		return err
	}
	for _, san := range sans {
		if !strings.Contains(san, ":") {
			if leaf.VerifyHostname(san) == nil {
				return nil
			}
		} else if slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == san }) {
			return nil
		}
	}
	return errors.New("the certificate has none of the names that it must have")
}
