package scaling

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/stratahq/strata/internal/proxy/config"
)

// workload is whose requests an autoscaler asks for.
type workload struct{ namespace, name string }

// queue is a queue whose messages an autoscaler asks for.
type queue struct{ broker, name string }

// asked is what autoscalers ask for.
type asked struct {
	workloads map[workload]bool
	queues    map[queue]bool
}

// askedBy collects the metrics of ours that autoscalers name.
func askedBy(list []*autoscalingv2.HorizontalPodAutoscaler) asked {
	a := asked{workloads: map[workload]bool{}, queues: map[queue]bool{}}
	for _, h := range list {
		for _, m := range h.Spec.Metrics {
			if m.External == nil || m.External.Metric.Selector == nil {
				continue
			}
			labels := m.External.Metric.Selector.MatchLabels
			switch m.External.Metric.Name {
			case config.RequestsMetric:
				if name := labels[config.LabelWorkload]; name != "" {
					a.workloads[workload{h.Namespace, name}] = true
				}
			case config.QueueMetric:
				if name := labels[config.LabelQueue]; name != "" {
					a.queues[queue{labels[config.LabelBroker], name}] = true
				}
			}
		}
	}
	return a
}
