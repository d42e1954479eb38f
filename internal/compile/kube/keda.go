package kube

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// QueueVariable has, in a workload whose replicas follow a queue, the URL of the queue's
// broker with the credentials that the workload has. KEDA reads it from the pod template.
const QueueVariable = "STRATA_QUEUE_URL"

// queueSeconds is how often KEDA asks the broker.
const queueSeconds = 15

// ScaledObject asks KEDA for a HorizontalPodAutoscaler that goes by more than the cluster
// knows. It is the part of keda.sh/v1alpha1 that Strata writes; KEDA does not publish its
// types apart from itself.
type ScaledObject struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ScaledObjectSpec `json:"spec"`
}

// ScaledObjectSpec says what is scaled, between which bounds, and on what.
type ScaledObjectSpec struct {
	ScaleTargetRef  ScaleTarget    `json:"scaleTargetRef"`
	PollingInterval int32          `json:"pollingInterval,omitempty"` // seconds
	MinReplicaCount int32          `json:"minReplicaCount"`
	MaxReplicaCount int32          `json:"maxReplicaCount"`
	Advanced        ScalerAdvanced `json:"advanced"`
	Triggers        []Trigger      `json:"triggers"`
}

// ScaleTarget is a Deployment. A container of its pods has the variables that triggers
// name.
type ScaleTarget struct {
	Name                   string `json:"name"`
	EnvSourceContainerName string `json:"envSourceContainerName,omitempty"`
}

// ScalerAdvanced is how the HorizontalPodAutoscaler is made.
type ScalerAdvanced struct {
	HorizontalPodAutoscalerConfig ScalerConfig `json:"horizontalPodAutoscalerConfig"`
}

// ScalerConfig is the name and the behaviour of the HorizontalPodAutoscaler.
type ScalerConfig struct {
	Name     string                                         `json:"name"`
	Behavior *autoscalingv2.HorizontalPodAutoscalerBehavior `json:"behavior,omitempty"`
}

// Trigger is a metric.
type Trigger struct {
	Type       string                         `json:"type"` // cpu, memory or rabbitmq
	MetricType autoscalingv2.MetricTargetType `json:"metricType,omitempty"`
	Metadata   map[string]string              `json:"metadata"`
}

// DeepCopyObject returns a copy that shares nothing with the original.
func (in *ScaledObject) DeepCopyObject() runtime.Object {
	if in == nil {
		return nil
	}
	out := *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior = in.Spec.Advanced.HorizontalPodAutoscalerConfig.Behavior.DeepCopy()
	out.Spec.Triggers = slices.Clone(in.Spec.Triggers)
	for i, t := range out.Spec.Triggers {
		out.Spec.Triggers[i].Metadata = maps.Clone(t.Metadata)
	}
	return &out
}

func addKEDA(s *runtime.Scheme) {
	s.AddKnownTypes(schema.GroupVersion{Group: "keda.sh", Version: "v1alpha1"}, &ScaledObject{})
}

// scaledObject returns the ScaledObject of a workload that goes by the depth of a queue
// where no control plane of ours serves that to autoscalers. Nobody counts requests
// there.
func (r *renderer) scaledObject(least int, behavior *autoscalingv2.HorizontalPodAutoscalerBehavior) Object {
	a := r.w.Autoscaler
	triggers := []Trigger{{Type: "rabbitmq", MetricType: autoscalingv2.AverageValueMetricType, Metadata: map[string]string{
		"hostFromEnv": QueueVariable, "protocol": "amqp", "queueName": a.Queue, "mode": "QueueLength", "value": strconv.Itoa(a.QueueDepth),
	}}}
	for _, t := range []struct {
		name    string
		percent int
	}{{"cpu", a.CPU}, {"memory", a.Memory}} {
		if t.percent > 0 {
			triggers = append(triggers, Trigger{Type: t.name, MetricType: autoscalingv2.UtilizationMetricType, Metadata: map[string]string{"value": strconv.Itoa(t.percent)}})
		}
	}
	target := ScaleTarget{Name: r.w.Name}
	if len(r.w.Containers) > 0 {
		target.EnvSourceContainerName = r.w.Containers[0].Name
	}
	slices.SortFunc(triggers, func(a, b Trigger) int { return cmp.Compare(a.Type, b.Type) })
	return &ScaledObject{
		TypeMeta: gvk("keda.sh/v1alpha1", "ScaledObject"), ObjectMeta: r.meta(r.w.Name),
		Spec: ScaledObjectSpec{
			ScaleTargetRef: target, PollingInterval: queueSeconds, MinReplicaCount: int32(least), MaxReplicaCount: int32(a.Max),
			Advanced: ScalerAdvanced{ScalerConfig{Name: r.w.Name, Behavior: behavior}}, Triggers: triggers,
		},
	}
}
