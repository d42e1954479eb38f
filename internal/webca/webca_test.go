package webca

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

func TestIssues(t *testing.T) {
	w := newWorld(t, nil)
	w.ca.Want([]Want{want("public", "acme.example", "shop.acme.example", "eu.shop.acme.example"), want("internal", "internal.acme.example", "tool.internal.acme.example")})
	w.tend()
	w.verifies("public", "acme.example", "shop.acme.example", "new.acme.example", "eu.shop.acme.example")
	w.verifies("internal", "tool.internal.acme.example")
	roots, s := w.published()
	if len(roots) != 1 || len(s.Authorities) != 1 || s.Authorities[0].Phase != PhaseSigning || len(s.Certificates) != 2 {
		t.Fatalf("%d authorities: %+v", len(roots), s)
	}
	public, root := w.served("public"), roots[0]
	for _, host := range []string{"acme.example.net", "us.shop.acme.example", "x.internal.acme.example"} {
		if w.verify(public, host, root) == nil {
			t.Errorf("it is for %s too", host)
		}
	}
	if life := public.NotAfter.Sub(public.NotBefore); life != 30*day {
		t.Errorf("it holds %s", life)
	}
	if !slices.Equal(root.PermittedDNSDomains, []string{"acme.example"}) || !root.PermittedDNSDomainsCritical || !root.MaxPathLenZero || root.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the authority is %+v", root)
	}
	// Nothing changes when nothing is due.
	before := public.SerialNumber
	w.pass(19 * day)
	if w.served("public").SerialNumber.Cmp(before) != 0 {
		t.Error("a certificate was renewed before its time")
	}
}

// TestConstrained has the authority vouch for what it must not, as somebody with its key
// could: nobody believes it.
func TestConstrained(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	s, _, err := w.ca.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by, roots := s.Roots[0].pair, x509.NewCertPool()
	roots.AddCert(by.Cert)
	spiffe, err := url.Parse("spiffe://prod.acme.example/ns/shop/sa/cart")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*x509.Certificate){
		"another domain": func(c *x509.Certificate) { c.DNSNames = []string{"bank.example"} },
		"a workload":     func(c *x509.Certificate) { c.URIs = []*url.URL{spiffe} },
		"an address":     func(c *x509.Certificate) { c.IPAddresses = []net.IP{{10, 0, 0, 1}} },
		"a mailbox":      func(c *x509.Certificate) { c.EmailAddresses = []string{"root@acme.example"} },
		"a client": func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"acme.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		},
		"": func(c *x509.Certificate) { c.DNSNames = []string{"a.b.acme.example"} },
	} {
		key, err := keypair.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{NotBefore: w.at, NotAfter: w.at.Add(day), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		change(c)
		usage := x509.ExtKeyUsageAny
		if name == "a client" {
			usage = x509.ExtKeyUsageClientAuth
		}
		made, err := keypair.Sign(c, by.Cert, &key.PublicKey, by.Key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = made.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: w.at, KeyUsages: []x509.ExtKeyUsage{usage}})
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRenewal(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	for range 20 {
		before := w.served("public")
		w.pass(20*day + time.Hour)
		after := w.served("public")
		if after.SerialNumber.Cmp(before.SerialNumber) == 0 || !before.NotAfter.After(w.at.Add(9*day)) {
			t.Fatalf("%s: not renewed, or late: the last one ends %s", w.at, before.NotAfter)
		}
		w.verifies("public", "shop.acme.example")
	}
	roots, _ := w.published()
	if len(roots) != 1 {
		t.Errorf("%d authorities after %s", len(roots), w.at)
	}
}

// TestReplacement lives through the lives of several authorities, with a client that fetches
// what to trust only twice a year, and never just when one is made.
func TestReplacement(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	trusted, _ := w.published()
	fetched, seen, overlaps := w.at, map[string]bool{}, 0
	for range 900 {
		w.pass(6*day + 23*time.Hour)
		if w.at.Sub(fetched) > 165*day {
			trusted, _ = w.published()
			fetched = w.at
		}
		if err := w.verify(w.served("public"), "shop.acme.example", trusted...); err != nil {
			t.Fatalf("%s, by what was trusted at %s: %v", w.at, fetched, err)
		}
		roots, s := w.published()
		if len(roots) > 1 {
			overlaps++
		}
		keys, signing := 0, 0
		st, _, err := w.ca.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range s.Authorities {
			seen[r.ID] = true
			if r.Phase == PhaseSigning {
				signing++
			}
			if st.Roots[i].Key != "" {
				keys++
			}
			if (r.Phase == PhaseRetiring) != (st.Roots[i].Key == "") {
				t.Fatalf("the authority %s is %s, and has a key: %v", r.ID, r.Phase, st.Roots[i].Key != "")
			}
		}
		if signing != 1 || len(roots) > 3 {
			t.Fatalf("%s: %+v", w.at, s.Authorities)
		}
	}
	// 17 years, with a new one every two and a half.
	if len(seen) < 7 || len(seen) > 8 || overlaps == 0 {
		t.Errorf("%d authorities in %s, %d weeks with more than one", len(seen), w.at, overlaps)
	}
}

func TestHosts(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	first := w.served("public").SerialNumber
	w.ca.Want([]Want{want("public", "acme.example", "shop.acme.example", "cart.acme.example")})
	w.tend()
	if w.served("public").SerialNumber.Cmp(first) != 0 {
		t.Error("a name that the wildcard is for needs no other certificate")
	}
	w.ca.Want([]Want{want("public", "acme.example", "a.b.acme.example", "shop.bank.example", "*.c.acme.example")})
	for range 3 {
		w.tend()
	}
	w.verifies("public", "a.b.acme.example", "x.c.acme.example", "acme.example")
	if n := strings.Count(w.log.String(), "shop.bank.example"); n != 1 || !strings.Contains(w.log.String(), "is not inside of acme.example") {
		t.Errorf("said %d times:\n%s", n, &w.log)
	}
	_, s := w.published()
	if got := s.Certificates[0].LeftOut; !slices.Equal(got, []string{"shop.bank.example"}) {
		t.Errorf("left out: %v", got)
	}
	w.ca.Want([]Want{want("public", "acme.example")})
	w.tend()
	if got := w.served("public").DNSNames; !slices.Equal(got, []string{"acme.example", "*.acme.example"}) {
		t.Errorf("names are %v", got)
	}
	// One Gateway's mistake is nobody else's.
	other := want("other", "bank.example")
	elsewhere := want("elsewhere", "acme.example")
	elsewhere.Gateway.Namespace = "shop"
	w.ca.Want([]Want{other, elsewhere, want("internal", "internal.acme.example")})
	err := w.ca.tend(t.Context())
	if err == nil || !strings.Contains(err.Error(), "bank.example") || !strings.Contains(err.Error(), "only Gateways in the namespace strata-gateway") {
		t.Errorf("%v", err)
	}
	w.verifies("internal", "x.internal.acme.example")
	list, err := w.client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 3 {
		t.Errorf("%d Secrets, %v", len(list.Items), err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		domain string
		hosts  []string
		want   string
		left   string
	}{
		{"acme.example", nil, "acme.example *.acme.example", ""},
		{"acme.example", []string{"acme.example", "a.acme.example", "*.acme.example"}, "acme.example *.acme.example", ""},
		{"internal.acme.example", []string{"tool.acme.example", "a.b.internal.acme.example"}, "internal.acme.example tool.acme.example *.internal.acme.example a.b.internal.acme.example", ""},
		{"acme.example", []string{"notacme.example", "acme.example.org"}, "acme.example *.acme.example", "acme.example.org notacme.example"},
		// No client takes *.localhost.
		{"localhost", []string{"a.localhost", "b.localhost"}, "localhost a.localhost b.localhost", ""},
	} {
		got, left := names(c.domain, c.hosts, []string{"acme.example", "localhost"})
		var out []string
		for _, l := range left {
			out = append(out, l.host)
		}
		if strings.Join(got, " ") != c.want || strings.Join(out, " ") != c.left {
			t.Errorf("%s with %v: %v, without %v", c.domain, c.hosts, got, out)
		}
	}
	var many []string
	for i := range 2 * maxNames {
		many = append(many, fmt.Sprintf("a%d.b.acme.example", i))
	}
	got, left := names("acme.example", many, []string{"acme.example"})
	if len(got) != maxNames || len(left) != maxNames+2 {
		t.Errorf("%d names, %d left out", len(got), len(left))
	}
}

// TestForeign leaves a company's own certificate alone.
func TestForeign(t *testing.T) {
	w := newWorld(t, nil)
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: "public-tls"}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": []byte("theirs"), "tls.key": []byte("theirs")}}
	if _, err := w.client.CoreV1().Secrets(edge).Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		w.pass(30 * day)
	}
	s, err := w.client.CoreV1().Secrets(edge).Get(t.Context(), "public-tls", metav1.GetOptions{})
	if err != nil || string(s.Data["tls.crt"]) != "theirs" || len(s.Annotations) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	_, status := w.published()
	if c := status.Certificates; len(c) != 1 || !c[0].Foreign {
		t.Errorf("%+v", c)
	}
	// When it is gone, ours takes its place.
	if err := w.client.CoreV1().Secrets(edge).Delete(t.Context(), "public-tls", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.tend()
	w.verifies("public", "shop.acme.example")
}

// TestDomainsChange makes another authority: at once where the old one cannot vouch for
// a domain, and with an overlap where it may vouch for more than it should.
func TestDomainsChange(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	w.start(func(o *Options) { o.Domains = []string{"acme.example", "acme.test"} })
	w.ca.Want([]Want{want("public", "acme.test")})
	w.tend()
	w.verifies("public", "www.acme.test")
	if roots, s := w.published(); len(roots) != 2 || s.Authorities[0].Phase != PhaseRetiring {
		t.Errorf("%+v", s.Authorities)
	}
	w.start(func(o *Options) { o.Domains = []string{"acme.test"} })
	w.ca.Want([]Want{want("public", "acme.test")})
	w.tend()
	w.pass(31 * day)
	if roots, s := w.published(); len(roots) != 2 || s.Authorities[0].Phase != PhaseSigning || s.Authorities[1].Phase != PhasePublished {
		t.Errorf("%+v", s.Authorities)
	}
	w.pass(181 * day)
	w.pass(31 * day)
	if roots, _ := w.published(); len(roots) != 1 || !slices.Equal(roots[0].PermittedDNSDomains, []string{"acme.test"}) {
		t.Errorf("%d authorities", len(roots))
	}
	w.verifies("public", "www.acme.test")
}

// TestLost begins anew where the key is gone, which is also how a key in wrong hands is
// replaced.
func TestLost(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	before, _ := w.published()
	name := cluster.SecretName(config.WebRootsPath("acme", "prod"))
	if err := w.client.CoreV1().Secrets(cluster.SecretsNamespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.tend()
	after, _ := w.published()
	if len(after) != 1 || after[0].Equal(before[0]) || w.verify(w.served("public"), "shop.acme.example", before...) == nil {
		t.Error("the old authority is still trusted")
	}
	w.verifies("public", "shop.acme.example")
	// A cluster that was off for longer than its authority lasts.
	w.pass(3000 * day)
	w.verifies("public", "shop.acme.example")
	// What cannot be read is not written over.
	s, err := w.client.CoreV1().Secrets(cluster.SecretsNamespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Data[cluster.SecretKey] = []byte("{}")
	if _, err := w.client.CoreV1().Secrets(cluster.SecretsNamespace).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.ca.tend(t.Context()); err == nil {
		t.Error("a Secret without an authority is taken for one")
	}
}

// TestKeysStay has no key anywhere but where it belongs.
func TestKeysStay(t *testing.T) {
	w := newWorld(t, nil)
	w.tend()
	s, secret, err := w.ca.read(t.Context())
	if err != nil || secret.Namespace != cluster.SecretsNamespace || !strings.Contains(s.Roots[0].Key, "PRIVATE KEY") {
		t.Fatalf("%v, %v", secret, err)
	}
	key := strings.Split(s.Roots[0].Key, "\n")[1]
	m, err := w.client.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(m.Items) != 1 {
		t.Fatal(err)
	}
	secrets, err := w.client.CoreV1().Secrets(edge).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(m.Items, secrets.Items) + w.log.String(); strings.Contains(text, key) {
		t.Error("the authority's key is where it does not belong")
	}
	for _, x := range secrets.Items {
		if strings.Contains(string(x.Data["tls.key"]), key) {
			t.Error("the authority's key is that of a Gateway")
		}
	}
	if strings.Contains(m.Items[0].Data["ca.crt"]+m.Items[0].Data["status.json"], "PRIVATE") {
		t.Error("a key is published")
	}
}

func TestOptions(t *testing.T) {
	for says, change := range map[string]func(*Options){
		"needs the environment's domains": func(o *Options) { o.Domains = []string{""} },
		"cannot hold 744h":                func(o *Options) { o.CertificateLife = 31 * day },
		"too little left":                 func(o *Options) { o.RootLife = 200 * day },
		"have to be named":                func(o *Options) { o.Namespace = "" },
		"share of a life":                 func(o *Options) { o.RenewShare = 1 },
	} {
		o := Options{Platform: "acme", Environment: "prod", Namespace: edge, Domains: []string{"acme.example"}}
		change(&o)
		if err := o.Complete(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
	if got := outermost([]string{"b.a.example", "A.example.", "c.example", "a.example", "ba.example"}); !slices.Equal(got, []string{"a.example", "ba.example", "c.example"}) {
		t.Errorf("%v", got)
	}
}

// TestLead runs until it is told to end, and hears of other wants at once.
func TestLead(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Interval = time.Hour })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.ca.Lead(ctx) }()
	has := func(name string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if _, err := w.client.CoreV1().Secrets(edge).Get(ctx, name, metav1.GetOptions{}); err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("there is no Secret %s", name)
			}
		}
	}
	has("public-tls")
	w.ca.Want([]Want{want("internal", "internal.acme.example")})
	has("internal-tls")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
