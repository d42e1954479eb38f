package kube

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stratahq/strata/internal/model"
)

// maxCronJob is shorter than other names because Kubernetes appends the time
// to it to name jobs.
const maxCronJob = 52

// Rendered is a workload's objects, in apply order, and the templates of those
// of its files that the engine must fill in when outputs are known.
type Rendered struct {
	Objects   []Object
	Templates []Template
}

// RenderWorkload returns a workload's objects. The error joins all that is
// wrong with it.
func RenderWorkload(env Env, w Workload) (Rendered, error) {
	component := "service"
	if w.Schedule != nil {
		component = "cronjob"
	}
	r := &renderer{
		env: env, w: w,
		labels:      labels(env, w.Name, component, w.Team, nil),
		annotations: annotations(w.Addr, w.Annotations),
		selector:    map[string]string{labelName: w.Name},
		known:       make(map[Output]bool, len(w.Outputs)),
	}
	for _, o := range w.Outputs {
		r.known[o] = true
	}
	out := r.render()
	if len(r.errs) > 0 {
		return Rendered{}, fmt.Errorf("workload %s: %w", w.Name, errors.Join(r.errs...))
	}
	return out, nil
}

// renderer collects what the parts of one workload's rendering share.
type renderer struct {
	env         Env
	w           Workload
	labels      map[string]string
	annotations map[string]string
	selector    map[string]string
	known       map[Output]bool
	errs        []error
}

func (r *renderer) errorf(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

// meta returns the metadata of an object of the workload.
func (r *renderer) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: r.w.Team, Labels: r.labels, Annotations: r.annotations}
}

// local reports whether the environment is on this machine.
func (r *renderer) local() bool { return r.env.Cloud == model.CloudLocal }

func (r *renderer) render() Rendered {
	r.check()
	var out Rendered
	add := func(objs ...Object) { out.Objects = append(out.Objects, objs...) }

	files := r.files()
	out.Templates = files.templates
	pod := r.pod(files)
	proxy := r.sidecar(&pod)

	add(&corev1.ServiceAccount{TypeMeta: gvk("v1", "ServiceAccount"), ObjectMeta: r.meta(r.w.Name), AutomountServiceAccountToken: ptr(false)})
	add(files.configMaps...)
	add(proxy...)
	add(r.externalSecrets(files)...)
	add(r.networkPolicy()...)
	add(r.authorizationPolicy()...)
	add(r.claims()...)
	add(r.service()...)
	if r.w.Schedule != nil {
		add(r.cronJob(pod))
	} else {
		add(r.deployment(pod))
	}
	add(r.disruptionBudget()...)
	add(r.autoscaler()...)
	add(r.routes()...)
	return out
}

// check finds what Kubernetes would refuse about names and combinations.
func (r *renderer) check() {
	w := r.w
	if msgs := validation.IsDNS1123Label(w.Name); len(msgs) > 0 {
		r.errorf("the name cannot name Kubernetes objects: %s", msgs[0])
	} else if msgs := validation.IsDNS1035Label(w.Name); len(w.Ports) > 0 && len(msgs) > 0 {
		r.errorf("the name cannot name a Kubernetes Service: %s", msgs[0])
	}
	if msgs := validation.IsDNS1123Label(w.Team); len(msgs) > 0 {
		r.errorf("team %q cannot name a namespace: %s", w.Team, msgs[0])
	}
	if len(w.Containers) == 0 {
		r.errorf("it has no containers")
	}
	for _, o := range w.Outputs {
		if msgs := validation.IsConfigMapKey(o.Key()); len(msgs) > 0 {
			r.errorf("output %q cannot be a key of a ConfigMap: %s", o.Key(), msgs[0])
		}
		if o.Secret && o.SecretPath == "" && !r.local() {
			r.errorf("secret output %q has no path in the central secrets service", o.Key())
		}
	}
	if w.Schedule != nil {
		if w.Autoscaler != nil {
			r.errorf("a scheduled workload cannot have a horizontal-pod-autoscaler")
		}
		if len(w.Routes) > 0 {
			r.errorf("a scheduled workload cannot have routes")
		}
	}
}

// deployment returns the Deployment of a workload that runs all the time.
func (r *renderer) deployment(pod corev1.PodSpec) Object {
	selector := &metav1.LabelSelector{MatchLabels: r.selector}
	pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{
		spread("topology.kubernetes.io/zone", selector),
		spread("kubernetes.io/hostname", selector),
	}
	d := &appsv1.Deployment{
		TypeMeta: gvk("apps/v1", "Deployment"), ObjectMeta: r.meta(r.w.Name),
		Spec: appsv1.DeploymentSpec{
			Replicas:                r.replicas(),
			Selector:                selector,
			RevisionHistoryLimit:    ptr[int32](5),
			ProgressDeadlineSeconds: ptr[int32](600),
			// A new pod must be ready before an old one goes.
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxUnavailable: ptr(intstr.FromInt32(0)), MaxSurge: ptr(intstr.FromString("25%")),
			}},
			Template: r.template(pod),
		},
	}
	if r.exclusive() != "" {
		// The new pod could not mount the volume while the old one has it.
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return d
}

// template returns the pod template.
func (r *renderer) template(pod corev1.PodSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: r.labels, Annotations: r.annotations}, Spec: pod}
}

// spread asks for pods of one revision to be spread evenly, where that is
// possible.
func spread(topology string, selector *metav1.LabelSelector) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: topology, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:  selector,
		MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
	}
}

// cronJob returns the CronJob of a workload with a schedule.
func (r *renderer) cronJob(pod corev1.PodSpec) Object {
	s := r.w.Schedule
	zone, concurrency, deadline := s.Timezone, batchv1.ConcurrencyPolicy(s.Concurrency), int64(s.Deadline)
	if zone == "" {
		// Without it, the controller's zone would decide.
		zone = "Etc/UTC"
	}
	if concurrency == "" {
		concurrency = batchv1.ForbidConcurrent
	}
	if deadline == 0 {
		deadline = 300
	}
	pod.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.CronJob{
		TypeMeta: gvk("batch/v1", "CronJob"), ObjectMeta: r.meta(fit(r.w.Name, maxCronJob)),
		Spec: batchv1.CronJobSpec{
			Schedule: s.Cron, TimeZone: &zone, ConcurrencyPolicy: concurrency, StartingDeadlineSeconds: &deadline,
			SuccessfulJobsHistoryLimit: ptr[int32](3), FailedJobsHistoryLimit: ptr[int32](3),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: r.labels, Annotations: r.annotations},
				Spec:       batchv1.JobSpec{BackoffLimit: ptr(int32(s.Retries)), Template: r.template(pod)},
			},
		},
	}
}
