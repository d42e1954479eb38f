package scaling

import (
	"context"
	"fmt"
	"math"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/stratahq/strata/internal/proxy/config"
)

var _ provider.ExternalMetricsProvider = (*API)(nil)

// ListAllExternalMetrics implements provider.ExternalMetricsProvider.
func (a *API) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	return []provider.ExternalMetricInfo{{Metric: config.RequestsMetric}, {Metric: config.QueueMetric}}
}

// GetExternalMetric implements provider.ExternalMetricsProvider. The selector has to name
// one workload, or one queue of one broker.
func (a *API) GetExternalMetric(_ context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	exactly := func(name string) (string, error) {
		v, ok := selector.RequiresExactMatch(name)
		if !ok {
			return "", apierrors.NewBadRequest(fmt.Sprintf("the metric %s wants a selector with the label %q", info.Metric, name))
		}
		return v, nil
	}
	now := time.Now()
	var n float64
	var of map[string]string
	var missing error
	switch info.Metric {
	case config.RequestsMetric:
		name, err := exactly(config.LabelWorkload)
		if err != nil {
			return nil, err
		}
		of = map[string]string{config.LabelWorkload: name}
		n, missing = a.figures.rate(workload{namespace, name}, now)
	case config.QueueMetric:
		name, err := exactly(config.LabelQueue)
		if err != nil {
			return nil, err
		}
		broker, err := exactly(config.LabelBroker)
		if err != nil {
			return nil, err
		}
		of = map[string]string{config.LabelQueue: name, config.LabelBroker: broker}
		n, missing = a.figures.depth(queue{broker, name}, now)
	default:
		return nil, apierrors.NewNotFound(external_metrics.Resource("metrics"), info.Metric)
	}
	if missing != nil {
		return nil, apierrors.NewServiceUnavailable(missing.Error())
	}
	return &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{{
		MetricName: info.Metric, MetricLabels: of, Timestamp: metav1.NewTime(now),
		Value: *resource.NewMilliQuantity(int64(math.Round(n*1000)), resource.DecimalSI),
	}}}, nil
}
