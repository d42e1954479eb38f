package kube

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stratahq/strata/internal/model"
)

// nonRoot is the user and group of every container: "nonroot" of the common
// minimal base images.
const nonRoot = int64(65532)

// Requests and limits of a container that names none.
const (
	defaultCPU      = "100m"
	defaultCPULimit = "1"
	defaultMemory   = "128Mi"
)

func (w *Workload) pod(env Env, files *fileSet) (corev1.PodTemplateSpec, error) {
	m := w.meta(env, "workload", "")
	pod := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: m.Labels, Annotations: m.Annotations},
		Spec: corev1.PodSpec{
			ServiceAccountName:            w.Name,
			AutomountServiceAccountToken:  ptr(false),
			EnableServiceLinks:            ptr(false),
			TerminationGracePeriodSeconds: ptr(int64(45)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:        ptr(true),
				RunAsUser:           ptr(nonRoot),
				RunAsGroup:          ptr(nonRoot),
				FSGroup:             ptr(nonRoot),
				FSGroupChangePolicy: ptr(corev1.FSGroupChangeOnRootMismatch),
				SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: w.volumes(files),
		},
	}
	for _, key := range []string{"topology.kubernetes.io/zone", "kubernetes.io/hostname"} {
		pod.Spec.TopologySpreadConstraints = append(pod.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: w.selector(),
		})
	}
	order, err := w.startOrder()
	if err != nil {
		return pod, err
	}
	for _, c := range order.initial {
		k, err := w.container(c, files)
		if err != nil {
			return pod, fmt.Errorf("container %q: %w", c.Name, err)
		}
		switch order.state[c.Name] {
		case "complete":
			// An init container that ends cannot have probes.
			k.LivenessProbe, k.ReadinessProbe, k.Lifecycle = nil, nil, nil
		default:
			k.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
			if order.state[c.Name] == "healthy" && k.ReadinessProbe != nil {
				k.StartupProbe = k.ReadinessProbe.DeepCopy()
				k.StartupProbe.FailureThreshold = 60
			}
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, k)
	}
	for _, c := range order.main {
		k, err := w.container(c, files)
		if err != nil {
			return pod, fmt.Errorf("container %q: %w", c.Name, err)
		}
		pod.Spec.Containers = append(pod.Spec.Containers, k)
	}
	if w.Schedule != nil {
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i].Lifecycle = nil
		}
	}
	w.accelerate(&pod.Spec)
	return pod, nil
}

// accelerate asks for accelerators in the first container and puts the pod on
// nodes that have them.
func (w *Workload) accelerate(pod *corev1.PodSpec) {
	if w.GPU == nil || w.GPU.Count == 0 {
		return
	}
	n := *resource.NewQuantity(int64(w.GPU.Count), resource.DecimalSI)
	r := &pod.Containers[0].Resources
	r.Limits["nvidia.com/gpu"], r.Requests["nvidia.com/gpu"] = n, n
	if w.GPU.Model != "" {
		pod.NodeSelector = map[string]string{LabelAccelerator: w.GPU.Model}
	}
	pod.Tolerations = append(pod.Tolerations,
		corev1.Toleration{Key: LabelAccelerator, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
		corev1.Toleration{Key: "nvidia.com/gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	)
}

func (w *Workload) container(c Container, files *fileSet) (corev1.Container, error) {
	k := corev1.Container{
		Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Env:             w.environment(c),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr(false),
			Privileged:               ptr(false),
			ReadOnlyRootFilesystem:   ptr(true),
			RunAsNonRoot:             ptr(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts:             w.mounts(c, files),
	}
	var err error
	if k.Resources, err = resources(c.Resources); err != nil {
		return k, err
	}
	k.LivenessProbe = probe(c.Liveness)
	k.ReadinessProbe = probe(c.Readiness)
	if len(w.Ports) > 0 {
		for _, p := range w.Ports {
			// Ports belong to the workload; Score does not say which container
			// listens, so the only one, or the first by name, documents them.
			if c.Name == w.Containers[0].Name {
				k.Ports = append(k.Ports, corev1.ContainerPort{Name: portName(p.Name), ContainerPort: int32(p.Target), Protocol: corev1.Protocol(p.Protocol)})
			}
		}
		k.Ports = uniquePorts(k.Ports)
		// Endpoints are withdrawn while the pod ends; without the pause, requests
		// that are on their way would meet a closed port.
		k.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	}
	return k, nil
}

// portName shortens a name to what a container port may have: 15 characters,
// at least one of them a letter.
func portName(s string) string {
	if len(s) > 15 || !strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' }) || strings.Contains(s, "--") {
		return ""
	}
	return s
}

// uniquePorts drops ports that two Service ports both lead to.
func uniquePorts(ports []corev1.ContainerPort) []corev1.ContainerPort {
	var out []corev1.ContainerPort
	for _, p := range ports {
		if !slices.ContainsFunc(out, func(o corev1.ContainerPort) bool {
			return o.ContainerPort == p.ContainerPort && o.Protocol == p.Protocol
		}) {
			out = append(out, p)
		}
	}
	return out
}

// resources fills in what a container does not say: requests from limits,
// limits from requests, and both from defaults.
func resources(r model.ContainerResources) (corev1.ResourceRequirements, error) {
	var req, lim model.Compute
	if r.Requests != nil {
		req = *r.Requests
	}
	if r.Limits != nil {
		lim = *r.Limits
	}
	out := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	for _, q := range []struct {
		name                   corev1.ResourceName
		request, limit         string
		fallback, fallbackMost string
	}{
		{corev1.ResourceCPU, req.CPU, lim.CPU, defaultCPU, defaultCPULimit},
		{corev1.ResourceMemory, req.Memory, lim.Memory, defaultMemory, ""},
	} {
		request, limit := q.request, q.limit
		if request == "" {
			request = q.fallback
		}
		least, err := model.Quantity(request)
		if err != nil {
			return out, fmt.Errorf("request of %s %q: %w", q.name, request, err)
		}
		most := least
		switch {
		case limit != "":
			if most, err = model.Quantity(limit); err != nil {
				return out, fmt.Errorf("limit of %s %q: %w", q.name, limit, err)
			}
		case q.fallbackMost != "":
			if most = resource.MustParse(q.fallbackMost); most.Cmp(least) < 0 {
				most = least
			}
		default:
			// Memory that is not reserved may not be there: twice the request is room
			// for a peak without starving the node.
			most = *resource.NewQuantity(least.Value()*2, resource.BinarySI)
		}
		if q.request == "" && least.Cmp(most) > 0 {
			least = most
		}
		out.Requests[q.name], out.Limits[q.name] = least, most
	}
	return out, nil
}

// probe turns a Score probe into Kubernetes' form. Kubernetes allows one
// handler; where Score gives two, the HTTP request is the better witness.
func probe(p *model.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	out := &corev1.Probe{PeriodSeconds: 10, TimeoutSeconds: 3, FailureThreshold: 3, SuccessThreshold: 1}
	if h := p.HTTPGet; h != nil {
		get := &corev1.HTTPGetAction{Host: h.Host, Path: h.Path, Port: intstr.FromInt32(int32(h.Port)), Scheme: corev1.URIScheme(h.Scheme)}
		if get.Scheme == "" {
			get.Scheme = corev1.URISchemeHTTP
		}
		for _, header := range h.Headers {
			get.HTTPHeaders = append(get.HTTPHeaders, corev1.HTTPHeader{Name: header.Name, Value: header.Value})
		}
		out.HTTPGet = get
		return out
	}
	out.Exec = &corev1.ExecAction{Command: p.Exec.Command}
	return out
}

// ordering says how a pod starts its containers.
type ordering struct {
	initial []Container       // one after another, before the main ones
	main    []Container       // together
	state   map[string]string // state that an initial container must reach
}

// startOrder turns Score's "before" into init containers: one that must be
// complete runs to its end, one that must be started or healthy becomes a
// sidecar, which Kubernetes starts in order and keeps running.
func (w *Workload) startOrder() (ordering, error) {
	o := ordering{state: map[string]string{}}
	byName := map[string]Container{}
	for _, c := range w.Containers {
		byName[c.Name] = c
		for _, d := range c.Before {
			o.state[c.Name] = strongest(o.state[c.Name], d.Ready)
		}
	}
	visited := map[string]int{}
	var visit func(name string) error
	visit = func(name string) error {
		switch visited[name] {
		case 1:
			return fmt.Errorf("containers wait for each other in a circle through %q", name)
		case 2:
			return nil
		}
		visited[name] = 1
		for _, c := range w.Containers {
			if _, waits := c.Before[name]; waits {
				if err := visit(c.Name); err != nil {
					return err
				}
			}
		}
		visited[name] = 2
		if o.state[name] != "" {
			o.initial = append(o.initial, byName[name])
		} else {
			o.main = append(o.main, byName[name])
		}
		return nil
	}
	for _, c := range w.Containers {
		if err := visit(c.Name); err != nil {
			return o, err
		}
	}
	slices.SortStableFunc(o.main, func(a, b Container) int { return strings.Compare(a.Name, b.Name) })
	if len(o.main) == 0 {
		return o, fmt.Errorf("no container is left to be the main one")
	}
	return o, nil
}

func strongest(a, b string) string {
	for _, s := range []string{"complete", "healthy", "started"} {
		if a == s || b == s {
			return s
		}
	}
	return ""
}
