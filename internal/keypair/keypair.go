// Package keypair makes certificates with their keys, and writes and reads them as PEM:
// what all of Strata's authorities do in the same way. What a certificate is for, whom it
// names and how long it lasts belongs to who issues it.
package keypair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"k8s.io/client-go/util/cert"
)

// Pair is a certificate with its key. The key is nil where only the certificate is kept.
type Pair struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey
}

// NewKey makes a key on the curve P-256.
func NewKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// Sign makes a certificate like t of the public key, with a serial number of its own,
// signed by the holder of parent; parent is t for an authority that signs itself.
func Sign(t, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	if t.SerialNumber == nil {
		var err error
		if t.SerialNumber, err = NewSerial(); err != nil {
			return nil, err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// NewSerial returns a serial number of 127 bits of which the first is set: it is
// positive, never zero, and always of the same length (RFC 5280, section 4.1.2.2).
func NewSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.SetBit(n, 126, 1), nil
}

const certificateBlock = "CERTIFICATE"

// CertPEM returns a certificate as PEM.
func CertPEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw}))
}

// KeyPEM returns a key as PEM, in PKCS #8.
func KeyPEM(k *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// ParseCert reads the certificate of a PEM that holds no other.
func ParseCert(text string) (*x509.Certificate, error) {
	list, err := cert.ParseCertsPEM([]byte(text))
	if err != nil {
		return nil, errors.New("it is no certificate")
	}
	if len(list) > 1 {
		return nil, errors.New("it is more than one certificate")
	}
	return list[0], nil
}

// Parse reads a certificate and its key, each a PEM; blocks of other kinds are passed over,
// so that both may be the same text. The error never has a part of the key.
func Parse(certificate, key string) (Pair, error) {
	c, err := ParseCert(certificate)
	if err != nil {
		return Pair{}, err
	}
	both, err := tls.X509KeyPair([]byte(CertPEM(c)), []byte(key))
	if err != nil {
		return Pair{}, fmt.Errorf("its key: %w", err)
	}
	k, ok := both.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return Pair{}, errors.New("its key is of another kind than ours")
	}
	return Pair{c, k}, nil
}

// Fingerprint names a certificate for people: the first eight bytes of its SHA-256 digest,
// in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:8])
}
