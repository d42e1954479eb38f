package strata

import (
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
	"slices"
	"time"
)

// issuer is a certificate authority: its certificate and its key.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// backdate is for clocks that are behind.
const backdate = 5 * time.Minute

// newIssuer makes a certificate authority that may sign servers' certificates and
// nothing else.
func newIssuer(name string, now time.Time, life time.Duration) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := sign(t, t, key, key)
	return &issuer{cert, key}, err
}

// issue makes a server's certificate; it is returned with its key, as PEM.
func (i *issuer) issue(names []string, now time.Time, life time.Duration) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	until := now.Add(life)
	if until.After(i.cert.NotAfter) {
		until = i.cert.NotAfter
	}
	t := &x509.Certificate{
		// A common name has at most 64 characters, and nobody looks at it.
		Subject: pkix.Name{CommonName: names[0][:min(len(names[0]), 64)]}, DNSNames: names, NotBefore: now.Add(-backdate), NotAfter: until,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	c, err := sign(t, i.cert, k, i.key)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return certPEM(c), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func sign(t, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	t.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// encode returns the authority as the secret store keeps it: its certificate and its
// key.
func (i *issuer) encode() (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return "", err
	}
	return string(certPEM(i.cert)) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

func decodeIssuer(text string) (*issuer, error) {
	cert, rest := pem.Decode([]byte(text))
	if cert == nil || cert.Type != "CERTIFICATE" {
		return nil, errors.New("there is no certificate in it")
	}
	c, err := x509.ParseCertificate(cert.Bytes)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(rest)
	if block == nil {
		return nil, errors.New("there is no key in it")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(c.PublicKey) {
		return nil, errors.New("its key is not that of its certificate")
	}
	return &issuer{c, key}, nil
}

// decodeCert returns the first certificate of a PEM.
func decodeCert(b []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("it is no certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// fingerprint is a short digest of a certificate.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:8])
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
