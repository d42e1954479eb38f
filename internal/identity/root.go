package identity

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
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	// rootBackdate is for clocks that are behind when a root is new.
	rootBackdate = 5 * time.Minute
	// leafBackdate is the same for pods. The API server refuses certificates that begin
	// five minutes before its own clock.
	leafBackdate = time.Minute
	// minLife is the shortest life that the API server lets a pod's certificate have.
	minLife = time.Hour
	// refreshMargin is how far from both ends of a certificate's life the API server
	// wants its renewal to be.
	refreshMargin = 10 * time.Minute
)

// pair is a certificate with its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newRoot makes a signing certificate for a trust domain, as the X509-SVID standard wants
// it: its SPIFFE ID has no path, and it signs leaves only.
func newRoot(td spiffeid.TrustDomain, now time.Time, life time.Duration) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	serial, err := newSerial()
	if err != nil {
		return pair{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		// Names differ from root to root, so that a chain has one way up.
		Subject:   pkix.Name{Organization: []string{"Strata"}, CommonName: "workload root " + serial.Text(16)[:8]},
		URIs:      []*url.URL{td.ID().URL()},
		NotBefore: now.Add(-rootBackdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	cert, err := create(t, t, &key.PublicKey, key)
	return pair{cert, key}, err
}

// issue makes an X.509-SVID: a leaf with one URI and no subject. It begins at now, less
// leafBackdate, and lasts life, or until its root ends where that is sooner.
func (p pair) issue(id spiffeid.ID, key crypto.PublicKey, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	// Certificates know whole seconds.
	from := now.Add(-leafBackdate).Truncate(time.Second)
	until := from.Add(life)
	if until.After(p.cert.NotAfter) {
		until = p.cert.NotAfter
	}
	if until.Sub(from) < minLife {
		return nil, fmt.Errorf("the root %s ends at %s, which is too soon to sign with", fingerprint(p.cert), p.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return create(&x509.Certificate{
		SerialNumber: serial, URIs: []*url.URL{id.URL()}, NotBefore: from, NotAfter: until, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, p.cert, key, p.key)
}

func newSerial() (*big.Int, error) {
	// 128 bits of which the first is set: positive, of one length, and never zero.
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.SetBit(n, 126, 1), nil
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

// parseCert returns the one certificate of a PEM.
func parseCert(text string) (*x509.Certificate, error) {
	b, rest := pem.Decode([]byte(text))
	if b == nil || b.Type != "CERTIFICATE" {
		return nil, errors.New("it is no certificate")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, errors.New("it is more than one certificate")
	}
	return x509.ParseCertificate(b.Bytes)
}

// keyPEM is a key as PEM.
func keyPEM(k *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// parsePair reads a certificate and its key. The error never has a part of the key.
func parsePair(cert, key string) (pair, error) {
	c, err := parseCert(cert)
	if err != nil {
		return pair{}, err
	}
	b, _ := pem.Decode([]byte(key))
	if b == nil {
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

// fingerprint names a root: the first eight bytes of the SHA-256 digest of its
// certificate, in hexadecimal.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:8])
}
