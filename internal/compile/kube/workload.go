package kube

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxCronJobName is the longest name of a CronJob: Kubernetes appends eleven
// characters to it for each job.
const maxCronJobName = 52

// RenderWorkload returns a workload's objects in apply order. It returns an
// error for what Kubernetes cannot express; the model's validation reports most
// of that earlier, with a place.
func RenderWorkload(env Env, w Workload) ([]Object, error) {
	objs := []Object{&corev1.ServiceAccount{
		TypeMeta:                     typeMeta("v1", "ServiceAccount"),
		ObjectMeta:                   w.meta(env, "identity", w.Name),
		AutomountServiceAccountToken: ptr(false),
	}}
	files, err := w.files()
	if err != nil {
		return nil, err
	}
	if files.config != nil {
		files.config.ObjectMeta = w.meta(env, "config", files.config.Name)
		objs = append(objs, files.config)
	}
	if es := w.externalSecret(env); es != nil {
		objs = append(objs, es)
	}
	for _, v := range w.Volumes {
		if !v.Ephemeral {
			claim, err := w.claim(env, v)
			if err != nil {
				return nil, err
			}
			objs = append(objs, claim)
		}
	}
	objs = append(objs, w.networkPolicy(env))
	if len(w.Ports) > 0 {
		objs = append(objs, w.service(env))
	}
	pod, err := w.pod(env, files)
	if err != nil {
		return nil, err
	}
	if w.Schedule != nil {
		if len(w.Name) > maxCronJobName {
			return nil, fmt.Errorf("the name of a scheduled workload may have %d characters, not %d", maxCronJobName, len(w.Name))
		}
		return append(objs, w.cronJob(env, pod)), nil
	}
	objs = append(objs, w.deployment(env, pod))
	if w.fewest(env) >= 2 {
		objs = append(objs, w.disruptionBudget(env))
	}
	if w.Autoscaler != nil {
		objs = append(objs, w.autoscaler(env))
	}
	for _, r := range w.routes(env) {
		objs = append(objs, r)
	}
	return objs, nil
}

// fewest returns the smallest number of pods that the workload runs with.
func (w *Workload) fewest(env Env) int {
	switch {
	case w.Autoscaler != nil:
		return w.Autoscaler.Min
	case w.Replicas != nil:
		return *w.Replicas
	case env.Cloud == "local" || w.ownsVolume():
		return 1
	}
	return 2
}

// ownsVolume reports whether a volume can be mounted by one pod only.
func (w *Workload) ownsVolume() bool {
	for _, v := range w.Volumes {
		if !v.Ephemeral && v.AccessMode != string(corev1.ReadWriteMany) {
			return true
		}
	}
	return false
}

func (w *Workload) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{NameLabel: w.Name}}
}

func (w *Workload) deployment(env Env, pod corev1.PodTemplateSpec) *appsv1.Deployment {
	d := &appsv1.Deployment{
		TypeMeta:   typeMeta("apps/v1", "Deployment"),
		ObjectMeta: w.meta(env, "workload", w.Name),
		Spec: appsv1.DeploymentSpec{
			Selector:                w.selector(),
			Template:                pod,
			RevisionHistoryLimit:    ptr(int32(5)),
			ProgressDeadlineSeconds: ptr(int32(600)),
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: ptr(intstr.FromInt32(0)),
					MaxSurge:       ptr(intstr.FromString("25%")),
				},
			},
		},
	}
	if w.Autoscaler == nil {
		d.Spec.Replicas = ptr(int32(w.fewest(env)))
	}
	if w.ownsVolume() {
		// Two pods cannot hold the volume at once, so the old one goes first.
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return d
}

func (w *Workload) cronJob(env Env, pod corev1.PodTemplateSpec) *batchv1.CronJob {
	s := w.Schedule
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.TopologySpreadConstraints = nil
	c := &batchv1.CronJob{
		TypeMeta:   typeMeta("batch/v1", "CronJob"),
		ObjectMeta: w.meta(env, "workload", w.Name),
		Spec: batchv1.CronJobSpec{
			Schedule:                   s.Cron,
			ConcurrencyPolicy:          batchv1.ConcurrencyPolicy(s.Concurrency),
			SuccessfulJobsHistoryLimit: ptr(int32(3)),
			FailedJobsHistoryLimit:     ptr(int32(3)),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels},
				Spec: batchv1.JobSpec{
					BackoffLimit: ptr(int32(s.Retries)),
					Template:     pod,
				},
			},
		},
	}
	if s.Timezone != "" {
		c.Spec.TimeZone = ptr(s.Timezone)
	}
	if s.Deadline > 0 {
		c.Spec.StartingDeadlineSeconds = ptr(int64(s.Deadline))
	}
	return c
}

func (w *Workload) service(env Env) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   typeMeta("v1", "Service"),
		ObjectMeta: w.meta(env, "service", w.Name),
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: w.selector().MatchLabels},
	}
	for _, p := range w.Ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: p.Name, Port: int32(p.Port), TargetPort: intstr.FromInt32(int32(p.Target)), Protocol: corev1.Protocol(p.Protocol),
		})
	}
	return s
}

func (w *Workload) disruptionBudget(env Env) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   typeMeta("policy/v1", "PodDisruptionBudget"),
		ObjectMeta: w.meta(env, "availability", w.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector:       w.selector(),
			MaxUnavailable: ptr(intstr.FromInt32(1)),
			// A pod that never became ready must not block the drain of its node.
			UnhealthyPodEvictionPolicy: ptr(policyv1.AlwaysAllow),
		},
	}
}

func (w *Workload) claim(env Env, v Volume) (*corev1.PersistentVolumeClaim, error) {
	size, err := resource.ParseQuantity(v.Size)
	if err != nil {
		return nil, fmt.Errorf("volume %q: size %q: %w", v.Resource, v.Size, err)
	}
	c := &corev1.PersistentVolumeClaim{
		TypeMeta:   typeMeta("v1", "PersistentVolumeClaim"),
		ObjectMeta: w.meta(env, "volume", w.claimName(v)),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.PersistentVolumeAccessMode(v.AccessMode)},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
		},
	}
	if v.Class != "" {
		c.Spec.StorageClassName = ptr(v.Class)
	}
	return c, nil
}

func (w *Workload) claimName(v Volume) string { return w.Name + "-" + v.Resource }

// autoscaler scales up at once and down slowly: load that comes back within
// minutes is common, and starting pods again costs more than keeping them.
func (w *Workload) autoscaler(env Env) *autoscalingv2.HorizontalPodAutoscaler {
	a := w.Autoscaler
	h := &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   typeMeta("autoscaling/v2", "HorizontalPodAutoscaler"),
		ObjectMeta: w.meta(env, "scaling", w.Name),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: w.Name},
			MinReplicas:    ptr(int32(a.Min)),
			MaxReplicas:    int32(a.Max),
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleUp: &autoscalingv2.HPAScalingRules{
					StabilizationWindowSeconds: ptr(int32(0)),
					SelectPolicy:               ptr(autoscalingv2.MaxChangePolicySelect),
					Policies: []autoscalingv2.HPAScalingPolicy{
						{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
						{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
					},
				},
				ScaleDown: &autoscalingv2.HPAScalingRules{
					StabilizationWindowSeconds: ptr(int32(300)),
					SelectPolicy:               ptr(autoscalingv2.MinChangePolicySelect),
					Policies:                   []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 10, PeriodSeconds: 60}},
				},
			},
		},
	}
	utilisation := func(name corev1.ResourceName, percent int) {
		h.Spec.Metrics = append(h.Spec.Metrics, autoscalingv2.MetricSpec{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   name,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr(int32(percent))},
			},
		})
	}
	average := func(n int) autoscalingv2.MetricTarget {
		return autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(int64(n), resource.DecimalSI)}
	}
	if a.CPU > 0 {
		utilisation(corev1.ResourceCPU, a.CPU)
	}
	if a.Memory > 0 {
		utilisation(corev1.ResourceMemory, a.Memory)
	}
	if a.RequestsPerSecond > 0 {
		h.Spec.Metrics = append(h.Spec.Metrics, autoscalingv2.MetricSpec{
			Type: autoscalingv2.PodsMetricSourceType,
			Pods: &autoscalingv2.PodsMetricSource{
				Metric: autoscalingv2.MetricIdentifier{Name: "http_requests_per_second"},
				Target: average(a.RequestsPerSecond),
			},
		})
	}
	if a.QueueDepth > 0 {
		h.Spec.Metrics = append(h.Spec.Metrics, autoscalingv2.MetricSpec{
			Type: autoscalingv2.ExternalMetricSourceType,
			External: &autoscalingv2.ExternalMetricSource{
				Metric: autoscalingv2.MetricIdentifier{
					Name:     "queue_depth",
					Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"queue": trimLabel(a.Queue), LabelTeam: w.Team}},
				},
				Target: average(a.QueueDepth),
			},
		})
	}
	if len(h.Spec.Metrics) == 0 {
		utilisation(corev1.ResourceCPU, 70)
	}
	return h
}
