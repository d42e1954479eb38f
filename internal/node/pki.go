package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
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
		fresh, err := c.leaf(by, id, now, changed)
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
func (c Config) leaf(by *authority, id identity, now time.Time, force bool) (bool, error) {
	have, _, err := c.read(id.name)
	if err == nil && !force && now.Before(have.NotAfter.Add(-c.life()/2)) && have.CheckSignatureFrom(by.cert) == nil && sameIPs(have.IPAddresses, id.ips) {
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
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = &authority{t, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	if err := c.writeKey(name, key); err != nil {
		return nil, nil, err
	}
	return cert, key, write(c.cert(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func (c Config) writeKey(name string, key *ecdsa.PrivateKey) error {
	// SEC 1 rather than PKCS #8: the API server reads nothing else for service accounts.
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return write(c.key(name), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func (c Config) cert(name string) string { return c.path("pki", name+".crt") }
func (c Config) key(name string) string  { return c.path("pki", name+".key") }

func (c Config) read(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(c.cert(name))
	if err != nil {
		return nil, nil, err
	}
	k, err := os.ReadFile(c.key(name))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(b)
	kblock, _ := pem.Decode(k)
	if block == nil || kblock == nil {
		return nil, nil, fmt.Errorf("%s or its key is not PEM", c.cert(name))
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(kblock.Bytes)
	return cert, key, err
}

// signingKey makes the key that signs service account tokens, and the one that
// encrypts secrets in etcd. Neither is ever replaced: what they signed or encrypted
// would be lost.
func (c Config) signingKey() error {
	if _, err := os.Stat(c.key("service-accounts")); errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		if err := c.writeKey("service-accounts", key); err != nil {
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
	data := map[string]string{}
	for key, file := range map[string]string{"ca": c.cert("ca"), "cert": c.cert("admin"), "key": c.key("admin")} {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		data[key] = base64.StdEncoding.EncodeToString(b)
	}
	return write(c.Kubeconfig(), fmt.Appendf(nil, kubeconfig, c.Name, "certificate-authority-data: "+data["ca"], c.Server(), "strata:admin",
		"client-certificate-data: "+data["cert"], "client-key-data: "+data["key"]), 0o600)
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
