// Package proxytest helps to test the data plane: a certificate authority that signs
// X.509-SVIDs, and folders that hold credentials as the kubelet writes them. It is for
// tests and benchmarks alone; what signs certificates of real pods is elsewhere.
package proxytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Domain is the trust domain of tests that need only one.
const Domain = "test.acme.example"

// ID returns the SPIFFE ID of the service account in the namespace "apps" of Domain.
func ID(account string) string { return "spiffe://" + Domain + "/ns/apps/sa/" + account }

var serial atomic.Int64

// Authority signs certificates. Use NewAuthority.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority returns an authority with a new key and a root certificate of an hour.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)),
		// Roots need names of their own: a chain is built by names first.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("test root %d", serial.Load())},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert: cert, key: key}, err
}

// Root returns the authority's certificate, in PEM.
func (a *Authority) Root() []byte { return block("CERTIFICATE", a.cert.Raw) }

// Issue returns a key and a certificate of an hour for a SPIFFE ID, in PEM and in one
// piece, as config.CredentialsFile has it. Change, if it is not nil, alters the certificate
// before it is signed.
func (a *Authority) Issue(id string, change func(*x509.Certificate)) ([]byte, error) {
	uri, err := url.Parse(id)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)),
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		URIs:         []*url.URL{uri},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(block("PRIVATE KEY", private), block("CERTIFICATE", der)...), nil
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Volume is a folder that changes as a projected volume of the kubelet does: its names are
// links through "..data", which is exchanged as a whole.
type Volume struct {
	dir        string
	generation int
}

// NewVolume makes the folder dir, with nothing in it.
func NewVolume(dir string) (*Volume, error) { return &Volume{dir: dir}, os.MkdirAll(dir, 0o755) }

// Key and Trust are the files for proxy.CredentialFiles.
func (v *Volume) Key() string { return filepath.Join(v.dir, "credentials.pem") }

// Trust is the file with the roots.
func (v *Volume) Trust() string { return filepath.Join(v.dir, "trust.pem") }

// Write replaces both files at once. Roots of several authorities are joined.
func (v *Volume) Write(key []byte, roots ...[]byte) error {
	v.generation++
	now := fmt.Sprintf("..%06d", v.generation)
	if err := os.Mkdir(filepath.Join(v.dir, now), 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"credentials.pem": key, "trust.pem": bytes.Join(roots, nil)} {
		if err := os.WriteFile(filepath.Join(v.dir, now, name), content, 0o600); err != nil {
			return err
		}
	}
	next := filepath.Join(v.dir, "..data_tmp")
	if err := os.Symlink(now, next); err != nil {
		return err
	}
	if err := os.Rename(next, filepath.Join(v.dir, "..data")); err != nil {
		return err
	}
	for _, name := range []string{"credentials.pem", "trust.pem"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	if v.generation == 1 {
		return nil
	}
	return os.RemoveAll(filepath.Join(v.dir, fmt.Sprintf("..%06d", v.generation-1)))
}
