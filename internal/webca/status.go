package webca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stratahq/strata/internal/proxy/config"
)

// Status is what people are told of the authorities and the Gateways' certificates. It has no keys.
type Status struct {
	// Authorities are those that people have to trust, oldest first.
	Authorities []AuthorityStatus `json:"authorities"`
	// Certificates are those of the Gateways.
	Certificates []CertificateStatus `json:"certificates"`
}

// AuthorityStatus is one authority.
type AuthorityStatus struct {
	ID    string `json:"id"`
	Phase Phase  `json:"phase"`
	// Domains are those that it may vouch for.
	Domains   []string  `json:"domains"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Replaced is when the next one is published, after the newest one.
	Replaced time.Time `json:"replaced,omitzero"`
	// Signs is when one that is published begins to sign, Withdrawn when nobody has to trust
	// one any more that retires.
	Signs     time.Time `json:"signs,omitzero"`
	Withdrawn time.Time `json:"withdrawn,omitzero"`
}

// CertificateStatus is the certificate of a Gateway.
type CertificateStatus struct {
	Gateway string `json:"gateway"`
	Secret  string `json:"secret"`
	// Foreign says that somebody else has made it. It is used as it is.
	Foreign bool     `json:"foreign,omitempty"`
	Names   []string `json:"names"`
	// NotAfter is when it ends, Renewal when it is renewed.
	NotAfter time.Time `json:"notAfter,omitzero"`
	Renewal  time.Time `json:"renewal,omitzero"`
	// Authority is the ID of the one that has signed it.
	Authority string `json:"authority,omitempty"`
	// LeftOut are hosts of routes that it could not be for.
	LeftOut []string `json:"leftOut,omitempty"`
}

// status is what people are told of a state; of no certificates yet.
func (a *Authority) status(s *state) *Status {
	out := &Status{Authorities: []AuthorityStatus{}, Certificates: []CertificateStatus{}}
	signing := s.signing(a.now(), a.options.Domains)
	for i := range s.Roots {
		r := &s.Roots[i]
		x := AuthorityStatus{ID: r.id(), Phase: s.phase(i, signing), Domains: r.pair.Cert.PermittedDNSDomains, NotBefore: r.pair.Cert.NotBefore, NotAfter: r.pair.Cert.NotAfter, Withdrawn: r.Withdraw}
		if x.Phase == PhasePublished {
			x.Signs = r.Signs
		}
		if i == len(s.Roots)-1 {
			x.Replaced = after(r.pair.Cert, a.options.RotateShare)
		}
		out.Authorities = append(out.Authorities, x)
	}
	return out
}

// ErrNone says that a cluster has no authority of its Gateways.
var ErrNone = errors.New("the cluster has no authority for its Gateways' certificates yet")

// Read reads what was last published: the certificates that people have to trust, in PEM,
// and the status. The error is ErrNone where nothing was.
func Read(ctx context.Context, c kubernetes.Interface, namespace string) (pems string, _ *Status, _ error) {
	m, err := c.CoreV1().ConfigMaps(namespace).Get(ctx, config.WebAuthorities, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil, ErrNone
	}
	if err != nil {
		return "", nil, fmt.Errorf("read the authority of Gateways: %w", err)
	}
	var s Status
	if err := json.Unmarshal([]byte(m.Data[config.WebStatusKey]), &s); err != nil {
		return "", nil, fmt.Errorf("the status of the Gateways' certificates cannot be read: %w", err)
	}
	return m.Data[config.WebAuthoritiesKey], &s, nil
}

// metrics are what Prometheus is told.
type metrics struct {
	issued, failures prometheus.Counter
	ends             *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		issued: prometheus.NewCounter(prometheus.CounterOpts{Name: "strata_web_certificates_issued_total", Help: "Certificates of Gateways that this replica has issued."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strata_web_failures_total", Help: "How often the certificates of Gateways could not be looked after.",
		}),
		ends: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "strata_web_not_after_seconds", Help: "When an authority or a Gateway's certificate ends, in Unix seconds.",
		}, []string{"kind", "name"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.issued), reg.Register(m.failures), reg.Register(m.ends))
}

func (m *metrics) set(s *Status) {
	m.ends.Reset()
	for _, x := range s.Authorities {
		m.ends.WithLabelValues("authority", x.ID).Set(float64(x.NotAfter.Unix()))
	}
	for _, x := range s.Certificates {
		m.ends.WithLabelValues("certificate", x.Gateway).Set(float64(x.NotAfter.Unix()))
	}
}
