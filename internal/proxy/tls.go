package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Protocols that the two ends of a mutual TLS connection agree on by ALPN (RFC 7301).
const (
	ALPNHTTP2 = "h2"
	ALPNHTTP1 = "http/1.1"
	// ALPNTCP is a stream of bytes that the sidecar hands to the application as it is.
	ALPNTCP = "strata-tcp"
)

// ServerTLS returns the configuration of a server that shows the pod's certificate and
// takes clients that have one of the SPIFFE IDs callers, and no other. Protocols are
// offered by ALPN, the preferred one first. The error names the first ID that is none; no
// callers at all is allowed and refuses everybody.
func (c *Credentials) ServerTLS(protocols []string, callers ...string) (*tls.Config, error) {
	ids, err := parseIDs(callers)
	if err != nil {
		return nil, err
	}
	conf := tlsconfig.MTLSServerConfig(c, c, tlsconfig.AuthorizeOneOf(ids...))
	conf.MinVersion = tls.VersionTLS13
	conf.NextProtos = protocols
	// A resumed session would skip the check of the certificate, and with it a root that
	// is no longer trusted.
	conf.SessionTicketsDisabled = true
	return conf, nil
}

// ClientTLS returns the configuration of a client that shows the pod's certificate and
// talks to a server that has one of the SPIFFE IDs in servers, and to no other. What the
// server is called in DNS is of no importance. Protocols are offered by ALPN.
func (c *Credentials) ClientTLS(protocols []string, servers ...string) (*tls.Config, error) {
	ids, err := parseIDs(servers)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errors.New("no SPIFFE ID is given for the server")
	}
	conf := tlsconfig.MTLSClientConfig(c, c, tlsconfig.AuthorizeOneOf(ids...))
	conf.MinVersion = tls.VersionTLS13
	conf.NextProtos = protocols
	return conf, nil
}

// PeerID returns the SPIFFE ID that the other end of a connection has shown and proven, as
// checked by a configuration of ServerTLS or ClientTLS. It returns an error for a
// connection that has none.
func PeerID(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 {
		return "", errors.New("the other end has shown no certificate")
	}
	id, err := x509svid.IDFromCert(state.PeerCertificates[0])
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

func parseIDs(texts []string) ([]spiffeid.ID, error) {
	ids := make([]spiffeid.ID, len(texts))
	for i, text := range texts {
		id, err := spiffeid.FromString(text)
		if err != nil {
			return nil, fmt.Errorf("SPIFFE ID %q: %w", text, err)
		}
		ids[i] = id
	}
	return ids, nil
}
