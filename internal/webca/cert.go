package webca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/keypair"
)

// backdate is for clocks of people's machines that are behind.
const backdate = 10 * time.Minute

// nowhere is a domain that nobody has (RFC 2606, section 2).
const nowhere = "invalid"

// newRoot makes an authority that vouches for DNS names of these domains alone. Names of
// other forms are constrained too, or they would be permitted (RFC 5280, section 4.2.1.10):
// SPIFFE IDs, which are URIs, addresses and mailboxes.
func newRoot(environment string, domains []string, now time.Time, life time.Duration) (keypair.Pair, error) {
	key, err := keypair.NewKey()
	if err != nil {
		return keypair.Pair{}, err
	}
	serial, err := keypair.NewSerial()
	if err != nil {
		return keypair.Pair{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		// Names differ from one to the next, so that a chain has one way up, and people find
		// it in the list of what they trust.
		Subject:   pkix.Name{Organization: []string{"Strata"}, OrganizationalUnit: []string{domains[0]}, CommonName: commonName(environment, serial)},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: domains,
		ExcludedIPRanges:    []*net.IPNet{{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}},
		PermittedURIDomains: []string{nowhere}, PermittedEmailAddresses: []string{nowhere},
	}
	if len(domains[0]) > 64 {
		t.Subject.OrganizationalUnit = nil // longer than X.520 lets it be
	}
	cert, err := keypair.Sign(t, t, &key.PublicKey, key)
	return keypair.Pair{Cert: cert, Key: key}, err
}

func commonName(environment string, serial *big.Int) string {
	name := environment
	if len(name) > 40 {
		name = name[:40]
	}
	return name + " platform CA " + serial.Text(16)[:8]
}

// issue makes a certificate of a server with these names. It lasts life, or until its
// authority ends where that is sooner.
func issue(by keypair.Pair, names []string, now time.Time, life time.Duration) (keypair.Pair, error) {
	key, err := keypair.NewKey()
	if err != nil {
		return keypair.Pair{}, err
	}
	// Certificates know whole seconds.
	from := now.Add(-backdate).Truncate(time.Second)
	until := from.Add(life)
	if until.After(by.Cert.NotAfter) {
		until = by.Cert.NotAfter
	}
	cert, err := keypair.Sign(&x509.Certificate{
		DNSNames: names, NotBefore: from, NotAfter: until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, by.Cert, &key.PublicKey, by.Key)
	return keypair.Pair{Cert: cert, Key: key}, err
}

// covers reports whether an authority may vouch for all names of these domains.
func covers(c *x509.Certificate, domains []string) bool {
	for _, d := range domains {
		ok := false
		for _, p := range c.PermittedDNSDomains {
			ok = ok || inside(d, strings.ToLower(p))
		}
		if !ok {
			return false
		}
	}
	return true
}
