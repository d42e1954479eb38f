package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/stratahq/strata/internal/proxy/config"
)

var alpn = []string{"h2", "http/1.1"}

// serverTLS returns the configuration of a port with TLS. It holds nothing itself: each
// handshake goes by the table of its moment.
func (g *Gateway) serverTLS(number int) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: alpn,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if p := g.table.Load().ports[number]; p != nil {
				if l, ok := p.listeners.best(hostname(hello.ServerName)); ok && l.tls != nil {
					return l.tls, nil
				}
			}
			return unrecognized, nil
		},
	}
}

// unrecognized is for server names that no listener is for: without certificates, the
// handshake ends with the alert of that name (RFC 6066, section 3).
var unrecognized = &tls.Config{MinVersion: tls.VersionTLS12}

// listenerTLS returns the configuration for handshakes with the names of a listener.
func listenerTLS(p config.Port, l config.Listener) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: alpn}
	for i, c := range l.Certificates {
		pair, err := tls.X509KeyPair([]byte(c.Chain), []byte(c.Key))
		if err != nil {
			return nil, fmt.Errorf("certificate %d of listener %s: %w", i, l.Name, err)
		}
		conf.Certificates = append(conf.Certificates, pair)
	}
	if p.Clients != nil {
		conf.ClientAuth = tls.RequireAndVerifyClientCert
		if p.Clients.Optional {
			conf.ClientAuth = tls.RequestClientCert
		}
		conf.ClientCAs = x509.NewCertPool()
		conf.ClientCAs.AppendCertsFromPEM([]byte(p.Clients.CAs))
		// A resumed session would keep a client in whose authority has been taken out.
		conf.SessionTicketsDisabled = true
	}
	return conf, nil
}
