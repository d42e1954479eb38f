package kube

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stratahq/strata/internal/proxy/config"
)

// defaultCPUTarget is the utilisation that an autoscaler without a metric
// aims at.
const defaultCPUTarget = 80

// leastReplicas is how many pods a workload has at least.
func (r *renderer) leastReplicas() int {
	switch {
	case r.w.Autoscaler != nil && r.w.Autoscaler.Min > 0:
		return r.w.Autoscaler.Min
	case r.w.Autoscaler == nil && r.w.Replicas != nil:
		return *r.w.Replicas
	case r.exclusive() != "":
		return 1
	case r.w.Autoscaler != nil && r.w.Autoscaler.Max == 1:
		return 1
	case r.local() && !r.env.Protected:
		return 1
	}
	// Two survive the loss of a node and every update.
	return 2
}

// replicas returns the Deployment's number of pods; nil leaves it to the
// autoscaler.
func (r *renderer) replicas() *int32 {
	n := r.leastReplicas()
	if volume := r.exclusive(); volume != "" {
		if r.w.Autoscaler != nil && r.w.Autoscaler.Max > 1 {
			r.errorf("volume %q can be mounted by one pod only (ReadWriteOnce), so the workload cannot have a horizontal-pod-autoscaler with max %d", volume, r.w.Autoscaler.Max)
		} else if n > 1 {
			r.errorf("volume %q can be mounted by one pod only (ReadWriteOnce), so the workload cannot have %d replicas", volume, n)
		}
	}
	if r.w.Autoscaler != nil {
		return nil
	}
	return ptr(int32(n))
}

// disruptionBudget lets nodes be drained one pod at a time.
func (r *renderer) disruptionBudget() []Object {
	if r.w.Schedule != nil || r.leastReplicas() < 2 {
		return nil
	}
	return []Object{&policyv1.PodDisruptionBudget{
		TypeMeta: gvk("policy/v1", "PodDisruptionBudget"), ObjectMeta: r.meta(r.w.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: r.selector},
			// A pod that is not ready must not block a drain for ever.
			UnhealthyPodEvictionPolicy: ptr(policyv1.AlwaysAllow),
		},
	}}
}

// autoscaler returns the HorizontalPodAutoscaler. It scales up at once and
// down slowly: idle pods cost less than refused requests.
func (r *renderer) autoscaler() []Object {
	a := r.w.Autoscaler
	if a == nil {
		return nil
	}
	least := r.leastReplicas()
	if a.Max < least {
		r.errorf("horizontal-pod-autoscaler: max %d is less than min %d", a.Max, least)
	}
	var metrics []autoscalingv2.MetricSpec
	utilisation := func(name corev1.ResourceName, percent int) {
		metrics = append(metrics, autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: name, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr(int32(percent))},
		}})
	}
	// What all pods have together is shared out among them.
	external := func(name string, each int, which map[string]string) {
		metrics = append(metrics, autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
			Metric: autoscalingv2.MetricIdentifier{Name: name, Selector: &metav1.LabelSelector{MatchLabels: which}},
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(int64(each), resource.DecimalSI)},
		}})
	}
	if a.CPU > 0 {
		utilisation(corev1.ResourceCPU, a.CPU)
	}
	if a.Memory > 0 {
		utilisation(corev1.ResourceMemory, a.Memory)
	}
	if a.RequestsPerSecond > 0 && !r.env.KEDA {
		external(config.RequestsMetric, a.RequestsPerSecond, map[string]string{config.LabelWorkload: r.w.Name})
	}
	if a.QueueDepth > 0 && a.Queue == "" {
		r.errorf("horizontal-pod-autoscaler: queue depth needs the name of a queue")
	}
	if a.QueueDepth > 0 && !r.env.KEDA {
		which := map[string]string{config.LabelQueue: a.Queue}
		if a.Broker != "" {
			which[config.LabelBroker] = a.Broker
		}
		external(config.QueueMetric, a.QueueDepth, which)
	}
	if len(metrics) == 0 {
		utilisation(corev1.ResourceCPU, defaultCPUTarget)
	}
	if a.QueueDepth > 0 && r.env.KEDA {
		return []Object{r.scaledObject(least, scalingBehavior())}
	}
	return []Object{&autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: gvk("autoscaling/v2", "HorizontalPodAutoscaler"), ObjectMeta: r.meta(r.w.Name),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: r.w.Name},
			MinReplicas:    ptr(int32(least)), MaxReplicas: int32(a.Max), Metrics: metrics, Behavior: scalingBehavior(),
		},
	}}
}

// scalingBehavior lets replicas double, or become four more, every 15 seconds, and go one
// at a time after five minutes of less load.
func scalingBehavior() *autoscalingv2.HorizontalPodAutoscalerBehavior {
	return &autoscalingv2.HorizontalPodAutoscalerBehavior{
		ScaleUp: &autoscalingv2.HPAScalingRules{
			StabilizationWindowSeconds: ptr[int32](0), SelectPolicy: ptr(autoscalingv2.MaxChangePolicySelect),
			Policies: []autoscalingv2.HPAScalingPolicy{
				{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
				{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
			},
		},
		ScaleDown: &autoscalingv2.HPAScalingRules{
			StabilizationWindowSeconds: ptr[int32](300), SelectPolicy: ptr(autoscalingv2.MinChangePolicySelect),
			Policies: []autoscalingv2.HPAScalingPolicy{
				{Type: autoscalingv2.PercentScalingPolicy, Value: 10, PeriodSeconds: 60},
				{Type: autoscalingv2.PodsScalingPolicy, Value: 1, PeriodSeconds: 60},
			},
		},
	}
}
