package scaling

import (
	"fmt"
	"io"
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxText is how long a page of metrics may be: a broker with ten thousand queues has a
// few megabytes.
const maxText = 32 << 20

// families reads a page in Prometheus' text format.
func families(r io.Reader) (map[string]*dto.MetricFamily, error) {
	limited := &io.LimitedReader{R: r, N: maxText + 1}
	p := expfmt.NewTextParser(model.UTF8Validation)
	out, err := p.TextToMetricFamilies(limited)
	if limited.N <= 0 {
		return nil, fmt.Errorf("the metrics are longer than %d bytes", maxText)
	}
	return out, err
}

// value is the number of a metric of any kind but a histogram's.
func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	default:
		return m.Untyped.GetValue()
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// requests is how many requests a sidecar has let in: the sum over
// strata_requests_total{direction="inbound"}.
func requests(r io.Reader) (float64, error) {
	all, err := families(r)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	// A sidecar that has had no request has no such family yet.
	for _, m := range all["strata_requests_total"].GetMetric() {
		if label(m, "direction") == "inbound" {
			sum += value(m)
		}
	}
	if sum < 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return 0, fmt.Errorf("%v requests is no count", sum)
	}
	return sum, nil
}

// messages is how many messages RabbitMQ has in each queue, those included that a
// consumer has and has not acknowledged: /metrics/detailed?family=queue_coarse_metrics.
func messages(r io.Reader) (map[string]float64, error) {
	all, err := families(r)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, m := range all["rabbitmq_detailed_queue_messages"].GetMetric() {
		out[label(m, "queue")] += value(m)
	}
	return out, nil
}
