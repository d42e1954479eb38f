package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stratahq/strata/internal/proxy/config"
)

// NewHealth returns the server for probes: config.LivePath answers 200 while the process
// serves, config.ReadyPath 200 when ready returns nil and 503 with the error's text
// when it does not. It has nothing else, since it is open to everybody.
func NewHealth(ready func() error, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+config.LivePath, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET "+config.ReadyPath, func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	return small(NewServer(mux, nil, log))
}

// NewMetrics returns the server for metrics in Prometheus' text format, at "/metrics" and
// by mutual TLS, for the control plane of the credentials' trust domain alone. It adds
// strata_certificate_expires_timestamp_seconds, the end of the pod's certificate in
// seconds since 1970. It is called once for a Telemetry.
func NewMetrics(c *Credentials, t *Telemetry, log *slog.Logger) (*http.Server, error) {
	conf, err := c.ServerTLS([]string{ALPNHTTP2, ALPNHTTP1}, config.ID(c.TrustDomain().Name(), config.ControlNamespace, config.ControlAccount))
	if err != nil {
		return nil, err
	}
	expires := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "strata_certificate_expires_timestamp_seconds", Help: "End of the pod's certificate.",
	}, func() float64 {
		svid, err := c.GetX509SVID()
		if err != nil {
			return 0
		}
		return float64(svid.Certificates[0].NotAfter.Unix())
	})
	if err := t.Registry.Register(expires); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{
		DisableCompression: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	return small(NewServer(mux, conf, log)), nil
}

// small bounds a server that answers short questions.
func small(s *http.Server) *http.Server {
	s.ReadTimeout, s.WriteTimeout, s.MaxHeaderBytes = ReadHeaderTimeout, 2*ReadHeaderTimeout, 8<<10
	return s
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n") // a probe that has gone needs no answer
}
