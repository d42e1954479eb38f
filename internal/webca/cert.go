package webca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"strings"
	"time"
)

// backdate is for clocks of people's machines that are behind.
const backdate = 10 * time.Minute

// nowhere is a domain that nobody has (RFC 2606, section 2).
const nowhere = "invalid"

// pair is a certificate with its key; of an authority that signs no more, without.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newRoot makes an authority that vouches for DNS names of these domains alone. Names of
// other forms are constrained too, or they would be permitted (RFC 5280, section 4.2.1.10):
// SPIFFE IDs, which are URIs, addresses and mailboxes.
func newRoot(environment string, domains []string, now time.Time, life time.Duration) (pair, error) {
	key, serial, err := newKey()
	if err != nil {
		return pair{}, err
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
	cert, err := create(t, t, &key.PublicKey, key)
	return pair{cert, key}, err
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
func (p pair) issue(names []string, now time.Time, life time.Duration) (pair, error) {
	key, serial, err := newKey()
	if err != nil {
		return pair{}, err
	}
	// Certificates know whole seconds.
	from := now.Add(-backdate).Truncate(time.Second)
	until := from.Add(life)
	if until.After(p.cert.NotAfter) {
		until = p.cert.NotAfter
	}
	cert, err := create(&x509.Certificate{
		SerialNumber: serial, DNSNames: names, NotBefore: from, NotAfter: until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, p.cert, &key.PublicKey, p.key)
	return pair{cert, key}, err
}

func newKey() (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	// 127 bits of which the first is set: positive, of one length, and never zero.
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, nil, err
	}
	return key, n.SetBit(n, 126, 1), nil
}

func create(t, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// certPEM is a certificate as PEM.
func certPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// keyPEM is a key as PEM.
func keyPEM(k *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// parsePair reads a certificate and, unless it is empty, its key. The error never has a
// part of the key.
func parsePair(cert, key string) (pair, error) {
	b, _ := pem.Decode([]byte(cert))
	if b == nil || b.Type != "CERTIFICATE" {
		return pair{}, errors.New("it is no certificate")
	}
	c, err := x509.ParseCertificate(b.Bytes)
	if err != nil || key == "" {
		return pair{cert: c}, err
	}
	if b, _ = pem.Decode([]byte(key)); b == nil {
		return pair{}, errors.New("its key is none")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return pair{}, errors.New("its key cannot be read")
	}
	k, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !k.PublicKey.Equal(c.PublicKey) {
		return pair{}, errors.New("its key is that of another certificate")
	}
	return pair{c, k}, nil
}

// fingerprint names an authority: the first eight bytes of the SHA-256 digest of its
// certificate, in hexadecimal.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:8])
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
