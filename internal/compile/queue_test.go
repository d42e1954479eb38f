package compile_test

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
)

// TestQueueOfAcme: the worker's replicas follow its queue in every environment: by our own
// metrics API where our control plane runs, elsewhere by KEDA, which gets the URL of the
// broker from the worker's variables.
func TestQueueOfAcme(t *testing.T) {
	r := open(t, acme(t))
	for env, keda := range map[string]bool{"local": false, "dev": false, "prod": true, "staging": true} {
		c := compiled(t, r, env)
		url, want := variablesOf(t, c, "fulfilment")[kube.QueueVariable], ""
		if keda {
			want = "amqps://$(STRATA_ORDERS_USERNAME):$(STRATA_ORDERS_PASSWORD)@$(STRATA_ORDERS_HOST):$(STRATA_ORDERS_PORT)/$(STRATA_ORDERS_VHOST)"
		}
		if url != want {
			t.Errorf("%s: the queue's URL is %q, want %q", env, url, want)
		}
		u, _ := c.Graph.Unit(addr.Workload(env, "fulfilment"))
		objs, err := c.Objects(u)
		if err != nil {
			t.Fatal(err)
		}
		var queues []string
		for _, o := range objs {
			switch a := o.(type) {
			case *autoscalingv2.HorizontalPodAutoscaler:
				for _, m := range a.Spec.Metrics {
					if m.External != nil {
						queues = append(queues, "own: "+m.External.Metric.Selector.MatchLabels["queue"])
					}
				}
			case *kube.ScaledObject:
				for _, trigger := range a.Spec.Triggers {
					if trigger.Type == "rabbitmq" {
						queues = append(queues, "KEDA: "+trigger.Metadata["queueName"]+" of "+trigger.Metadata["hostFromEnv"])
					}
				}
			}
		}
		want = "own: orders"
		if keda {
			want = "KEDA: orders of " + kube.QueueVariable
		}
		if len(queues) != 1 || queues[0] != want {
			t.Errorf("%s: replicas go by %q, want %q", env, queues, want)
		}
	}
}
