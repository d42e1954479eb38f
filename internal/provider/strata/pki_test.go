package strata

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/keypair"
)

func TestIssue(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ca, err := newIssuer("acme local platform", now, 100*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	text, err := encode(ca)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = decode(text); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	b, _, err := issue(ca, []string{"db.strata-data.svc", "localhost"}, now, 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := keypair.ParseCert(string(b))
	if err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"db.strata-data.svc": true, "localhost": true, "other.strata-data.svc": false} {
		_, err := c.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: now.Add(time.Hour)})
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.IsCA || ca.Cert.MaxPathLen != 0 || !ca.Cert.MaxPathLenZero {
		t.Error("a server may issue certificates")
	}
	// It never outlasts its authority.
	b, _, err = issue(ca, []string{"x"}, now.Add(90*24*time.Hour), 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if last, err := keypair.ParseCert(string(b)); err != nil || last.NotAfter.After(ca.Cert.NotAfter) {
		t.Errorf("%v, %v", last, err)
	}
}

func TestOutdated(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ca, err := newIssuer("one", now, 1000*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newIssuer("one", now, 1000*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := issue(ca, []string{"a", "b"}, now, 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := keypair.ParseCert(string(b))
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]struct {
		by    keypair.Pair
		names []string
		after time.Duration
		stale bool
	}{
		"fresh":              {ca, []string{"b", "a"}, time.Hour, false},
		"before two thirds":  {ca, []string{"a", "b"}, 19 * 24 * time.Hour, false},
		"after two thirds":   {ca, []string{"a", "b"}, 21 * 24 * time.Hour, true},
		"other names":        {ca, []string{"a"}, time.Hour, true},
		"another authority":  {other, []string{"a", "b"}, time.Hour, true},
		"long after its end": {ca, []string{"a", "b"}, 300 * 24 * time.Hour, true},
	} {
		if why := outdated(c, k.by.Cert, k.names, now.Add(k.after)); (why != "") != k.stale {
			t.Errorf("%s: %q", name, why)
		}
	}
}

func TestDecodeIssuerRefuses(t *testing.T) {
	a, err := newIssuer("a", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newIssuer("b", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := encode(keypair.Pair{Cert: a.Cert, Key: b.Key})
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"nothing": "", "a certificate alone": keypair.CertPEM(a.Cert), "the key of another": mixed} {
		if _, err := decode(text); err == nil {
			t.Errorf("%s passes for an authority", what)
		}
	}
}
