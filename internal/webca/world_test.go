package webca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	edge = "strata-gateway"
	day  = 24 * time.Hour
)

// world is a cluster that is played by client-go's fakes, with a clock that tests set.
type world struct {
	t      *testing.T
	client *fake.Clientset
	ca     *Authority
	at     time.Time
	log    bytes.Buffer
}

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, client: fake.NewClientset(), at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.start(change)
	return w
}

// start is what a replica does that begins to lead.
func (w *world) start(change func(*Options)) {
	w.t.Helper()
	o := Options{Platform: "acme", Environment: "prod", Namespace: edge, Domains: []string{"acme.example", "internal.acme.example"}}
	if change != nil {
		change(&o)
	}
	var err error
	w.ca, err = New(Deps{Client: w.client, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Events: &record.FakeRecorder{}, Metrics: prometheus.NewRegistry()}, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ca.now = func() time.Time { return w.at }
	w.ca.Want([]Want{want("public", "acme.example", "shop.acme.example")})
}

func want(gateway, domain string, hosts ...string) Want {
	return Want{Gateway: types.NamespacedName{Namespace: edge, Name: gateway}, UID: "1", Secret: gateway + "-tls", Domain: domain, Hosts: hosts}
}

func (w *world) tend() {
	w.t.Helper()
	if err := w.ca.tend(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.at = w.at.Add(d)
	w.tend()
}

// served is the certificate of a Gateway.
func (w *world) served(gateway string) *x509.Certificate {
	w.t.Helper()
	s, err := w.client.CoreV1().Secrets(edge).Get(w.t.Context(), gateway+"-tls", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	if s.Type != corev1.SecretTypeTLS || s.Annotations[config.IssuerAnnotation] != config.IssuerPlatform {
		w.t.Errorf("the Secret is of type %s and has the annotations %v", s.Type, s.Annotations)
	}
	c, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Leaf
}

// published are the authorities that people are told to trust, as their programs see them.
func (w *world) published() ([]*x509.Certificate, *Status) {
	w.t.Helper()
	text, s, err := Read(w.t.Context(), w.client, edge)
	if err != nil {
		w.t.Fatal(err)
	}
	return parse(w.t, text), s
}

func parse(t *testing.T, text string) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for b, rest := pem.Decode([]byte(text)); b != nil; b, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// verify is what a client does that trusts these authorities.
func (w *world) verify(c *x509.Certificate, host string, roots ...*x509.Certificate) error {
	pool := x509.NewCertPool()
	for _, r := range roots {
		pool.AddCert(r)
	}
	_, err := c.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: w.at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func (w *world) verifies(gateway string, hosts ...string) {
	w.t.Helper()
	roots, _ := w.published()
	for _, h := range hosts {
		if err := w.verify(w.served(gateway), h, roots...); err != nil {
			w.t.Errorf("%s: %v", h, err)
		}
	}
}
