package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/stratahq/strata/internal/proxy/config"
)

// maxLife is the longest life that the API server lets a pod's certificate have.
const maxLife = 91 * 24 * time.Hour

// Options say whose identities are given, and for how long. Zero durations and shares
// stand for the defaults.
type Options struct {
	// Platform, Environment and Domain name the trust domain, ENVIRONMENT.DOMAIN, and the
	// place of its roots in the secret store.
	Platform, Environment, Domain string
	// CertificateLife is how long a pod's certificate holds unless the pod asks for less;
	// an hour to 91 days, 24 hours by default.
	CertificateLife time.Duration
	// RefreshShare is the share of a certificate's life after which the kubelet asks for
	// a new one; a half by default.
	RefreshShare float64
	// RootLife is how long a root holds; a year by default.
	RootLife time.Duration
	// RotateShare is the share of a root's life after which it is replaced; two thirds by
	// default.
	RotateShare float64
	// Overlap is how long a new root is trusted before it signs; 30 minutes by default.
	// Until then every kubelet has to have written it into its pods.
	Overlap time.Duration
	// Interval is how often the cluster is looked at; 10 seconds by default.
	Interval time.Duration
}

// Complete fills in the defaults and returns what is wrong with the rest.
func (o *Options) Complete() error {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.CertificateLife, 24*time.Hour)
	set(&o.RootLife, 365*24*time.Hour)
	set(&o.Overlap, 30*time.Minute)
	set(&o.Interval, 10*time.Second)
	if o.RefreshShare == 0 {
		o.RefreshShare = 0.5
	}
	if o.RotateShare == 0 {
		o.RotateShare = 2.0 / 3
	}
	if o.Platform == "" || o.Environment == "" || o.Domain == "" {
		return errors.New("platform, environment and the platform's domain have to be named")
	}
	if _, err := o.trustDomain(); err != nil {
		return err
	}
	switch left := time.Duration((1 - o.RotateShare) * float64(o.RootLife)); {
	case o.CertificateLife < minLife || o.CertificateLife > maxLife:
		return fmt.Errorf("certificates cannot hold %s: Kubernetes allows %s to %s", o.CertificateLife, minLife, maxLife)
	case o.RefreshShare <= 0 || o.RefreshShare >= 1:
		return fmt.Errorf("certificates cannot be renewed after %g of their life: it is a share between 0 and 1", o.RefreshShare)
	case o.RotateShare <= 0 || o.RotateShare >= 1:
		return fmt.Errorf("roots cannot be replaced after %g of their life: it is a share between 0 and 1", o.RotateShare)
	case o.Overlap < 0 || o.Interval < 0:
		return errors.New("a time is negative")
	case left < o.Overlap+o.CertificateLife+withdrawSlack:
		return fmt.Errorf("a root that holds %s and is replaced after %.2f of that has %s left, which is too little for an overlap of %s and a last certificate of %s", o.RootLife, o.RotateShare, left.Round(time.Second), o.Overlap, o.CertificateLife)
	}
	return nil
}

func (o *Options) trustDomain() (spiffeid.TrustDomain, error) {
	name := config.TrustDomain(o.Environment, o.Domain)
	td, err := spiffeid.TrustDomainFromString(name)
	if err != nil {
		return td, fmt.Errorf("%q cannot be a trust domain: %w", name, err)
	}
	if td.Name() != name {
		return td, fmt.Errorf("%q cannot be a trust domain", name)
	}
	return td, nil
}

// rotation is when a root is to be replaced.
func (o *Options) rotation(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(time.Duration(o.RotateShare * float64(c.NotAfter.Sub(c.NotBefore))))
}
