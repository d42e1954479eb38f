package webca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxLeaf is the longest life of a Gateway's certificate.
	maxLeaf = 30 * 24 * time.Hour
	// minLeaf is the shortest: it has to outlast a control plane that is away for a while.
	minLeaf = time.Hour
	// slack is how long an authority stays published after its last certificate has ended,
	// for clocks that are behind.
	slack = time.Hour
)

// Options say for whom certificates are issued, and for how long. Zero durations and shares stand
// for the defaults.
type Options struct {
	// Platform and Environment name the place of the authorities in the secret store.
	Platform, Environment string
	// Namespace is that of the Gateways: Gateways elsewhere get no certificates.
	Namespace string
	// Domains are those of the environment. There are no certificates for other names, and
	// the authorities' own certificates say so. One that is below another is left out.
	Domains []string
	// CertificateLife is how long a Gateway's certificate holds; 30 days, which is the most,
	// by default.
	CertificateLife time.Duration
	// RenewShare is the share of its life after which it is renewed; two thirds by default.
	RenewShare float64
	// RootLife is how long an authority holds; five years by default.
	RootLife time.Duration
	// RotateShare is the share of its life after which the next one is published; a half by
	// default.
	RotateShare float64
	// Overlap is how long the next one is published before it signs; 180 days by default.
	// Until then people have to have been told.
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
	share := func(f *float64, to float64) {
		if *f == 0 {
			*f = to
		}
	}
	set(&o.CertificateLife, maxLeaf)
	set(&o.RootLife, 5*365*24*time.Hour)
	set(&o.Overlap, 180*24*time.Hour)
	set(&o.Interval, 10*time.Second)
	share(&o.RenewShare, 2.0/3)
	share(&o.RotateShare, 0.5)
	if o.Platform == "" || o.Environment == "" || o.Namespace == "" {
		return errors.New("platform, environment and the Gateways' namespace have to be named")
	}
	o.Domains = outermost(o.Domains)
	if len(o.Domains) == 0 {
		return errors.New("the authority of Gateways needs the environment's domains")
	}
	switch left := time.Duration((1 - o.RotateShare) * float64(o.RootLife)); {
	case o.CertificateLife < minLeaf || o.CertificateLife > maxLeaf:
		return fmt.Errorf("certificates of Gateways cannot hold %s: %s to %s are possible", o.CertificateLife, minLeaf, maxLeaf)
	case o.RenewShare <= 0 || o.RenewShare >= 1, o.RotateShare <= 0 || o.RotateShare >= 1:
		return errors.New("a share of a life is between 0 and 1")
	case o.Overlap < 0 || o.Interval < 0:
		return errors.New("a time is negative")
	case left < o.Overlap+o.CertificateLife+slack:
		return fmt.Errorf("an authority that holds %s and is replaced after %.2f of that has too little left for an overlap of %s and a last certificate of %s", o.RootLife, o.RotateShare, o.Overlap, o.CertificateLife)
	}
	return nil
}

// outermost returns domains in lower case and in order, without those below others.
func outermost(domains []string) []string {
	var all, out []string
	for _, d := range domains {
		if d = strings.ToLower(strings.Trim(d, ".")); d != "" {
			all = append(all, d)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, d := range all {
		if !slices.ContainsFunc(all, func(other string) bool { return other != d && inside(d, other) }) {
			out = append(out, d)
		}
	}
	return out
}

// inside reports whether a name, which may be a wildcard, is a domain or below it.
func inside(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// after is when a share of a certificate's life is over.
func after(c *x509.Certificate, share float64) time.Time {
	return c.NotBefore.Add(time.Duration(share * float64(c.NotAfter.Sub(c.NotBefore))))
}
