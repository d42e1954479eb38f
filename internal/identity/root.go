package identity

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/stratahq/strata/internal/keypair"
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

// newRoot makes a signing certificate for a trust domain, as the X509-SVID standard wants
// it: its SPIFFE ID has no path, and it signs leaves only.
func newRoot(td spiffeid.TrustDomain, now time.Time, life time.Duration) (keypair.Pair, error) {
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
		// Names differ from root to root, so that a chain has one way up.
		Subject:   pkix.Name{Organization: []string{"Strata"}, CommonName: "workload root " + serial.Text(16)[:8]},
		URIs:      []*url.URL{td.ID().URL()},
		NotBefore: now.Add(-rootBackdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	cert, err := keypair.Sign(t, t, &key.PublicKey, key)
	return keypair.Pair{Cert: cert, Key: key}, err
}

// issue makes an X.509-SVID, signed by a root: a leaf with one URI and no subject. It begins
// at now, less leafBackdate, and lasts life, or until the root ends where that is sooner.
func issue(by keypair.Pair, id spiffeid.ID, key crypto.PublicKey, now time.Time, life time.Duration) (*x509.Certificate, error) {
	// Certificates know whole seconds.
	from := now.Add(-leafBackdate).Truncate(time.Second)
	until := from.Add(life)
	if until.After(by.Cert.NotAfter) {
		until = by.Cert.NotAfter
	}
	if until.Sub(from) < minLife {
		return nil, fmt.Errorf("the root %s ends at %s, which is too soon to sign with", keypair.Fingerprint(by.Cert), by.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return keypair.Sign(&x509.Certificate{
		URIs: []*url.URL{id.URL()}, NotBefore: from, NotAfter: until, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, by.Cert, key, by.Key)
}
