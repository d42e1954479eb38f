package strata

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"time"

	"github.com/stratahq/strata/internal/keypair"
)

// backdate is for clocks that are behind.
const backdate = 5 * time.Minute

// newIssuer makes a certificate authority that may sign servers' certificates and
// nothing else.
func newIssuer(name string, now time.Time, life time.Duration) (keypair.Pair, error) {
	key, err := keypair.NewKey()
	if err != nil {
		return keypair.Pair{}, err
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := keypair.Sign(t, t, &key.PublicKey, key)
	return keypair.Pair{Cert: cert, Key: key}, err
}

// issue makes a server's certificate; it is returned with its key, as PEM.
func issue(by keypair.Pair, names []string, now time.Time, life time.Duration) (cert, key []byte, err error) {
	k, err := keypair.NewKey()
	if err != nil {
		return nil, nil, err
	}
	until := now.Add(life)
	if until.After(by.Cert.NotAfter) {
		until = by.Cert.NotAfter
	}
	t := &x509.Certificate{
		// A common name has at most 64 characters, and nobody looks at it.
		Subject: pkix.Name{CommonName: names[0][:min(len(names[0]), 64)]}, DNSNames: names, NotBefore: now.Add(-backdate), NotAfter: until,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	c, err := keypair.Sign(t, by.Cert, &k.PublicKey, by.Key)
	if err != nil {
		return nil, nil, err
	}
	text, err := keypair.KeyPEM(k)
	return []byte(keypair.CertPEM(c)), []byte(text), err
}

// encode returns an authority as the secret store keeps it: its certificate and its key.
func encode(i keypair.Pair) (string, error) {
	key, err := keypair.KeyPEM(i.Key)
	if err != nil {
		return "", err
	}
	return keypair.CertPEM(i.Cert) + key, nil
}

// decode reads an authority as encode wrote it.
func decode(text string) (keypair.Pair, error) {
	return keypair.Parse(text, text)
}

// renewal is when two thirds of a certificate's life are over.
func renewal(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) * 2 / 3).UTC()
}

// outdated says why a certificate has to be issued anew; empty where it has not.
func outdated(c *x509.Certificate, by *x509.Certificate, names []string, now time.Time) string {
	have, want := slices.Sorted(slices.Values(c.DNSNames)), slices.Sorted(slices.Values(names))
	switch {
	case !slices.Equal(have, want):
		return "it is for other names"
	case c.CheckSignatureFrom(by) != nil:
		return "the authority is another"
	case !now.Before(renewal(c)):
		return "two thirds of its life are over"
	}
	return ""
}
