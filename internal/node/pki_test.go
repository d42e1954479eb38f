package node

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// serials are the numbers of all certificates of a node.
func serials(t *testing.T, c Config) map[string]string {
	t.Helper()
	out := map[string]string{}
	names := []string{"ca", "front-proxy-ca"}
	for _, id := range c.identities() {
		names = append(names, id.name)
	}
	for _, name := range names {
		cert, _, err := c.read(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = cert.SerialNumber.String()
	}
	return out
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	c := Config{Name: "a", Dir: t.TempDir(), Link: 1, API: 6443}
	now := time.Now()
	made, err := c.certificates(now)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	first := serials(t, c)
	key, err := os.ReadFile(c.key("service-accounts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what    string
		node    Config
		at      time.Duration
		renewed []string // nil: none; "all": the authorities' too
	}{
		{"at once", c, 0, nil},
		{"before half of the life", c, leafLife/2 - time.Hour, nil},
		{"at another address", Config{Name: "a", Dir: c.Dir, Link: 2, API: 6443}, 0, []string{"apiserver", "kubelet", "metrics"}},
		{"back at the first", c, 0, []string{"apiserver", "kubelet", "metrics"}},
		{"after half of the life", c, leafLife/2 + time.Hour, []string{"leaves"}},
		{"after a year without", c, 365 * 24 * time.Hour, []string{"leaves"}},
		{"before the authorities end", c, authorityLife - leafLife, []string{"all"}},
	} {
		changed, err := tt.node.certificates(now.Add(tt.at))
		if err != nil {
			t.Fatal(tt.what, err)
		}
		if changed != (tt.renewed != nil) {
			t.Errorf("%s: changed %v", tt.what, changed)
		}
		second := serials(t, tt.node)
		for name := range first {
			want := slices.Contains(tt.renewed, name) || slices.Contains(tt.renewed, "all") || slices.Contains(tt.renewed, "leaves") && !public(name)
			if got := first[name] != second[name]; got != want {
				t.Errorf("%s: %s renewed: %v, want %v", tt.what, name, got, want)
			}
		}
		first = second
	}
	if again, err := os.ReadFile(c.key("service-accounts")); err != nil || string(again) != string(key) {
		t.Errorf("the key of service accounts was replaced: %v", err)
	}
}

// Components read certificate and key of one file; people's kubeconfig has both in it.
func TestCertificatesLoad(t *testing.T) {
	t.Parallel()
	c := Config{Name: "a", Dir: t.TempDir(), Link: 1, API: 6443}
	if _, err := c.certificates(time.Now()); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(c.cert("ca"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	for _, id := range c.identities() {
		pair, err := tls.LoadX509KeyPair(c.cert(id.name), c.key(id.name))
		if err != nil {
			t.Errorf("%s: %v", id.name, err)
			continue
		}
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if (err != nil) != (id.name == "front-proxy") {
			t.Errorf("%s against the cluster's authority: %v", id.name, err)
		}
	}
	rc, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(rc.CertData, rc.KeyData); err != nil || rc.Host != "https://127.0.0.1:6443" {
		t.Errorf("%s: %v", rc.Host, err)
	}
	for _, file := range []string{c.Kubeconfig(), c.key("ca"), c.cert("admin"), c.path("pki", "encryption.yaml"), c.path("pki", "root.kubeconfig")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
}
