package identity

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what Prometheus is told.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	failures prometheus.Counter
}

var (
	rootExpiry = prometheus.NewDesc("strata_identity_root_not_after_seconds", "When a root of workloads ends, in Unix seconds.", []string{"root", "phase"}, nil)
	rootIssued = prometheus.NewDesc("strata_identity_root_certificates", "Certificates that a root has signed for pods, as far as this leader knows.", []string{"root", "phase"}, nil)
)

// collector tells of the roots when it is asked.
type collector struct{ a *Authority }

// Describe implements prometheus.Collector.
func (collector) Describe(c chan<- *prometheus.Desc) {
	c <- rootExpiry
	c <- rootIssued
}

// Collect implements prometheus.Collector.
func (x collector) Collect(c chan<- prometheus.Metric) {
	k := x.a.known.Load()
	if k == nil {
		return
	}
	for i := range k.state.Roots {
		r := &k.state.Roots[i]
		c <- prometheus.MustNewConstMetric(rootExpiry, prometheus.GaugeValue, float64(r.pair.Cert.NotAfter.Unix()), r.id(), string(r.Phase))
		n, _ := x.a.issued.of(r.id())
		c <- prometheus.MustNewConstMetric(rootIssued, prometheus.GaugeValue, float64(n), r.id(), string(r.Phase))
	}
}

func newMetrics(reg prometheus.Registerer, a *Authority) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strata_identity_requests_total", Help: "Requests for pods' certificates, by what came of them: issued, denied with a reason, or failed, which is tried again.",
		}, []string{"result", "reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "strata_identity_request_seconds", Help: "How long it took to answer a request, from when it was looked at.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strata_identity_roots_failures_total", Help: "How often the roots could not be looked after.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.requests), reg.Register(m.seconds), reg.Register(m.failures), reg.Register(collector{a}))
}
