package node

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/stratahq/strata/internal/keypair"
)

// Lifetimes of certificates. Components read their files anew when they change, so
// what is short-lived is renewed while everything runs.
const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 7 * 24 * time.Hour
)

// life is how long certificates of components hold.
func (c Config) life() time.Duration {
	if c.CertificateLife > 0 {
		return c.CertificateLife
	}
	return leafLife
}

// authority signs the certificates of a node.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// identity is a certificate that a component has.
type identity struct {
	name   string // of the files
	user   string // common name
	groups []string
	hosts  []string // for servers
	ips    []net.IP
}

// identities are all certificates of a node. The admin's lets people do everything
// through RBAC; the root's, which goes past it, is the init process's own.
func (c Config) identities() []identity {
	node := net.IP(c.Addr().AsSlice())
	loop := net.IPv4(127, 0, 0, 1)
	return []identity{
		{name: "etcd", user: "etcd", hosts: []string{"localhost"}, ips: []net.IP{loop}},
		{name: "apiserver", user: "kube-apiserver", ips: []net.IP{node, loop, net.ParseIP(serviceIP)},
			hosts: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}},
		{name: "apiserver-etcd", user: "kube-apiserver"},
		{name: "apiserver-kubelet", user: "kube-apiserver-kubelet-client", groups: []string{"strata:kubelet-clients"}},
		{name: "front-proxy", user: "front-proxy-client"},
		{name: "root", user: "strata:root", groups: []string{"system:masters"}},
		{name: "admin", user: "strata:admin", groups: []string{"strata:admins"}},
		{name: "controller-manager", user: "system:kube-controller-manager", hosts: []string{"localhost"}, ips: []net.IP{loop}},
		{name: "scheduler", user: "system:kube-scheduler", hosts: []string{"localhost"}, ips: []net.IP{loop}},
		{name: "proxy", user: "system:kube-proxy"},
		{name: "kubelet", user: "system:node:" + c.Hostname(), groups: []string{"system:nodes"}, hosts: []string{c.Hostname()}, ips: []net.IP{node, loop}},
		{name: "coredns", user: "system:coredns"},
		{name: "metrics", user: "system:metrics-server", hosts: []string{"metrics-server.kube-system.svc"}, ips: []net.IP{node, net.ParseIP(metricsIP)}},
		{name: "agent", user: "strata:agent"},
	}
}

// certificates makes what is missing and renews what has less than half of its life
// left, and writes a kubeconfig for each identity. It reports whether anything changed.
func (c Config) certificates(now time.Time) (bool, error) {
	if err := os.MkdirAll(c.path("pki"), 0o700); err != nil {
		return false, err
	}
	ca, changed, err := c.authority("ca", "strata-"+c.Name, now)
	if err != nil {
		return false, err
	}
	front, more, err := c.authority("front-proxy-ca", "strata-"+c.Name+"-front-proxy", now)
	if err != nil {
		return false, err
	}
	changed = changed || more
	for _, id := range c.identities() {
		by := ca
		if id.name == "front-proxy" {
			by = front
		}
		fresh, err := c.leaf(by, id, now)
		if err != nil {
			return false, fmt.Errorf("certificate of %s: %w", id.name, err)
		}
		changed = changed || fresh
	}
	return changed, errors.Join(c.signingKey(), c.kubeconfigs())
}

func (c Config) authority(name, subject string, now time.Time) (*authority, bool, error) {
	if cert, key, err := c.read(name); err == nil && now.Before(cert.NotAfter.Add(-2*c.life())) {
		return &authority{cert, key}, false, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("certificate authority %s: %w", name, err)
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: subject}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(authorityLife),
	}
	cert, key, err := c.sign(name, t, nil)
	if err != nil {
		return nil, false, err
	}
	return &authority{cert, key}, true, nil
}

// leaf makes a certificate unless there is a good one.
func (c Config) leaf(by *authority, id identity, now time.Time) (bool, error) {
	have, _, err := c.read(id.name)
	if err == nil && now.Before(have.NotAfter.Add(-c.life()/2)) && have.CheckSignatureFrom(by.cert) == nil && sameIPs(have.IPAddresses, id.ips) {
		return false, nil
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: id.user, Organization: id.groups}, DNSNames: id.hosts, IPAddresses: id.ips,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(c.life()),
	}
	if len(id.hosts)+len(id.ips) > 0 {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	_, _, err = c.sign(id.name, t, by)
	return err == nil, err
}

func sameIPs(a, b []net.IP) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// sign makes a key and a certificate, signed by itself where there is no authority,
// and writes both.
func (c Config) sign(name string, t *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := keypair.NewKey()
	if err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = &authority{t, key}
	}
	cert, err := keypair.Sign(t, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, nil, err
	}
	private, err := keyPEM(key)
	if err != nil {
		return nil, nil, err
	}
	public := []byte(keypair.CertPEM(cert))
	if c.cert(name) == c.key(name) {
		return cert, key, write(c.cert(name), append(public, private...), 0o600)
	}
	return cert, key, errors.Join(write(c.key(name), private, 0o600), write(c.cert(name), public, 0o644))
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	// SEC 1 rather than PKCS #8: the API server reads nothing else for service accounts.
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

// public reports whether a certificate is of those that others read too.
func public(name string) bool { return name == "ca" || name == "front-proxy-ca" }

// cert and key are the files of an identity: one for both, so that nobody ever reads a
// new certificate with an old key. Authorities' certificates lie apart from their keys.
func (c Config) cert(name string) string {
	if public(name) {
		return c.path("pki", name+".crt")
	}
	return c.path("pki", name+".pem")
}

func (c Config) key(name string) string {
	if public(name) || name == "service-accounts" {
		return c.path("pki", name+".key")
	}
	return c.path("pki", name+".pem")
}

func (c Config) read(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(c.cert(name))
	if err != nil {
		return nil, nil, err
	}
	k, err := os.ReadFile(c.key(name))
	if err != nil {
		return nil, nil, err
	}
	der, kder := block(b, "CERTIFICATE"), block(k, "EC PRIVATE KEY")
	if der == nil || kder == nil {
		return nil, nil, fmt.Errorf("there is no certificate in %s, or no key in %s", c.cert(name), c.key(name))
	}
	cert, err := x509.ParseCertificate(der.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(kder.Bytes)
	return cert, key, err
}

// block returns the first block of a kind; nil where there is none.
func block(b []byte, kind string) *pem.Block {
	for {
		var out *pem.Block
		if out, b = pem.Decode(b); out == nil || out.Type == kind {
			return out
		}
	}
}

// signingKey makes the key that signs service account tokens, and the one that
// encrypts secrets in etcd. Neither is ever replaced: what they signed or encrypted
// would be lost.
func (c Config) signingKey() error {
	if _, err := os.Stat(c.key("service-accounts")); errors.Is(err, fs.ErrNotExist) {
		key, err := keypair.NewKey()
		if err != nil {
			return err
		}
		b, err := keyPEM(key)
		if err != nil {
			return err
		}
		if err := write(c.key("service-accounts"), b, 0o600); err != nil {
			return err
		}
	}
	file := c.path("pki", "encryption.yaml")
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	return write(file, fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox: {keys: [{name: key1, secret: %s}]}
  - identity: {}
`, base64.StdEncoding.EncodeToString(key)), 0o600)
}

// kubeconfigs writes a kubeconfig for each identity. They name the files of the
// certificates, so that a renewed one is used at once; that of people holds them, so
// that it can be copied.
func (c Config) kubeconfigs() error {
	for _, id := range c.identities() {
		text := fmt.Sprintf(kubeconfig, c.Name, "certificate-authority: "+c.cert("ca"), c.inside(), id.user,
			"client-certificate: "+c.cert(id.name), "client-key: "+c.key(id.name))
		if err := write(c.path("pki", id.name+".kubeconfig"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	ca, err := os.ReadFile(c.cert("ca"))
	if err != nil {
		return err
	}
	admin, err := os.ReadFile(c.cert("admin"))
	if err != nil {
		return err
	}
	b64 := base64.StdEncoding.EncodeToString
	return write(c.Kubeconfig(), fmt.Appendf(nil, kubeconfig, c.Name, "certificate-authority-data: "+b64(ca), c.Server(), "strata:admin",
		"client-certificate-data: "+b64(pem.EncodeToMemory(block(admin, "CERTIFICATE"))), "client-key-data: "+b64(pem.EncodeToMemory(block(admin, "EC PRIVATE KEY")))), 0o600)
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: strata-%[1]s
  cluster: {%[2]s, server: "%[3]s"}
users:
- name: "%[4]s"
  user: {%[5]s, %[6]s}
contexts:
- name: strata-%[1]s
  context: {cluster: strata-%[1]s, user: "%[4]s"}
current-context: strata-%[1]s
`
