package identity

import (
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/stratahq/strata/internal/keypair"
)

var (
	_ x509svid.Source   = (*Authority)(nil)
	_ x509bundle.Source = (*Authority)(nil)
)

// own is the control plane's own identity. It is in memory alone, and made straight from
// the root: who gives the identities cannot wait for one.
type own struct {
	mu      sync.Mutex
	svid    *x509svid.SVID
	root    string
	refresh time.Time
}

// GetX509SVID implements x509svid.Source: the identity of the control plane itself. It is
// made anew when its time has come or another root signs.
func (a *Authority) GetX509SVID() (*x509svid.SVID, error) {
	a.own.mu.Lock()
	defer a.own.mu.Unlock()
	r, err := a.signing()
	if err != nil {
		return nil, err
	}
	now := a.now()
	if a.own.svid != nil && a.own.root == r.id() && now.Before(a.own.refresh) {
		return a.own.svid, nil
	}
	key, err := keypair.NewKey()
	if err != nil {
		return nil, err
	}
	cert, err := issue(r.pair, a.self, &key.PublicKey, now, min(a.options.CertificateLife, r.Longest))
	if err != nil {
		return nil, err
	}
	a.own.svid = &x509svid.SVID{ID: a.self, Certificates: []*x509.Certificate{cert}, PrivateKey: key}
	a.own.root, a.own.refresh = r.id(), a.options.refresh(cert)
	a.log.Info("the control plane gave itself an identity", "id", a.self.String(), "serial", cert.SerialNumber.Text(16), "root", r.id(), "notAfter", cert.NotAfter)
	return a.own.svid, nil
}

// GetX509BundleForTrustDomain implements x509bundle.Source: what pods are to trust.
func (a *Authority) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	if td != a.td {
		return nil, fmt.Errorf("nothing vouches for the trust domain %s: this is %s", td, a.td)
	}
	k := a.known.Load()
	if k == nil {
		return nil, ErrNoRoots
	}
	return k.bundle, nil
}

// refresh is when a certificate is to be renewed. The API server wants it to be some way
// from both ends.
func (o *Options) refresh(c *x509.Certificate) time.Time {
	at := c.NotBefore.Add(time.Duration(o.RefreshShare * float64(c.NotAfter.Sub(c.NotBefore)))).Truncate(time.Second)
	if first := c.NotBefore.Add(refreshMargin); at.Before(first) {
		return first
	}
	if last := c.NotAfter.Add(-refreshMargin); at.After(last) {
		return last
	}
	return at
}
