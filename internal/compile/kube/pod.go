package kube

import (
	"cmp"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stratahq/strata/internal/model"
)

const (
	// podUser is the "nonroot" user of common base images.
	podUser int64 = 65532
	tmpPath       = "/tmp"
	// drainSeconds is how long a pod still answers when it is asked to stop,
	// until every gateway and proxy knows that it does.
	drainSeconds = 12
	graceSeconds = 30
	gpuResource  = "nvidia.com/gpu"
)

var tmpSize = resource.MustParse("512Mi")

// pod returns the pod's specification.
func (r *renderer) pod(files fileSet) corev1.PodSpec {
	order := r.order()
	spec := corev1.PodSpec{
		ServiceAccountName:            r.w.Name,
		AutomountServiceAccountToken:  ptr(false),
		EnableServiceLinks:            ptr(false),
		TerminationGracePeriodSeconds: ptr[int64](graceSeconds),
		SecurityContext:               podSecurity(),
	}
	mounted := map[string]bool{}
	for _, o := range order {
		c := r.container(o, files, mounted)
		if o.role == runs {
			spec.Containers = append(spec.Containers, c)
		} else {
			spec.InitContainers = append(spec.InitContainers, c)
		}
	}
	r.ports(spec.Containers)
	r.gpu(&spec)
	spec.Volumes = slices.Concat(files.volumes, r.volumes(mounted))
	if slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), mountsTmp) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr(tmpSize)}}})
	}
	r.trust(&spec)
	return spec
}

// podSecurity is whom a pod runs as.
func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot: ptr(true), RunAsUser: ptr(podUser), RunAsGroup: ptr(podUser), FSGroup: ptr(podUser),
		// Changing the owner of every file of a large volume takes minutes.
		FSGroupChangePolicy: ptr(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// mountsTmp reports whether a container mounts our own /tmp.
func mountsTmp(c corev1.Container) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "tmp" })
}

// container returns a container, and adds the volumes it mounts to mounted.
func (r *renderer) container(o ordered, files fileSet, mounted map[string]bool) corev1.Container {
	c := o.Container
	if msgs := validation.IsDNS1123Label(c.Name); len(msgs) > 0 {
		r.errorf("container %q: %s", c.Name, msgs[0])
	}
	out := corev1.Container{
		Name: c.Name, Image: c.Image, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: c.Command, Args: c.Args,
		Env:             r.telemetry(r.variables(c)),
		Resources:       r.compute(c),
		SecurityContext: confined(),
		VolumeMounts:    slices.Concat(files.mounts[c.Name], r.mounts(c, mounted)),
	}
	if !slices.ContainsFunc(out.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == tmpPath }) {
		out.VolumeMounts = append(out.VolumeMounts, corev1.VolumeMount{Name: "tmp", MountPath: tmpPath})
	}
	slices.SortFunc(out.VolumeMounts, func(a, b corev1.VolumeMount) int { return strings.Compare(a.MountPath, b.MountPath) })
	for i, m := range out.VolumeMounts[1:] {
		if m.MountPath == out.VolumeMounts[i].MountPath {
			r.errorf("container %q: two things are mounted at %s", c.Name, m.MountPath)
		}
	}
	if o.role == completes {
		return out
	}
	out.LivenessProbe = r.probe(c, c.Liveness, 10, 3)
	out.ReadinessProbe = r.probe(c, c.Readiness, 5, 3)
	if o.role != runs {
		out.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
	}
	if o.role == healthy {
		// Kubernetes starts what follows a sidecar when its startup probe
		// has succeeded. Ten minutes are long enough for any start.
		out.StartupProbe = r.probe(c, cmp.Or(c.Readiness, c.Liveness), 2, 300)
		if out.StartupProbe == nil {
			r.errorf("container %q: others wait for it to be healthy, but it has no probe", c.Name)
		}
	}
	if len(r.w.Ports) > 0 && o.role == runs && r.w.Schedule == nil {
		out.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: drainSeconds}}}
	}
	return out
}

// confined is what a container may do on its node: nothing beyond running.
func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true), RunAsNonRoot: ptr(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// ports lists the service's ports on the only container that can serve them.
// The list is for people and tools: traffic goes to the port either way.
func (r *renderer) ports(cs []corev1.Container) {
	if len(cs) != 1 {
		return
	}
	for _, p := range r.w.Ports {
		port := corev1.ContainerPort{ContainerPort: int32(p.Target), Protocol: corev1.Protocol(cmp.Or(p.Protocol, "TCP"))}
		if slices.ContainsFunc(cs[0].Ports, func(q corev1.ContainerPort) bool {
			return q.ContainerPort == port.ContainerPort && q.Protocol == port.Protocol
		}) {
			continue
		}
		if len(validation.IsValidPortName(p.Name)) == 0 {
			port.Name = p.Name
		}
		cs[0].Ports = append(cs[0].Ports, port)
	}
}

// gpu gives the accelerators to one container, because Kubernetes does not
// share them: the one named like the workload, else "main", else the first.
func (r *renderer) gpu(spec *corev1.PodSpec) {
	g := r.w.GPU
	if g == nil || g.Count <= 0 || len(spec.Containers) == 0 {
		return
	}
	which := 0
	for _, name := range []string{"main", r.w.Name} {
		if i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
			which = i
		}
	}
	spec.Containers[which].Resources.Limits[gpuResource] = *resource.NewQuantity(int64(g.Count), resource.DecimalSI)
	spec.Containers[which].Resources.Requests[gpuResource] = *resource.NewQuantity(int64(g.Count), resource.DecimalSI)
	if g.Model != "" {
		spec.NodeSelector = map[string]string{LabelAccelerator: g.Model}
	}
	spec.Tolerations = []corev1.Toleration{{Key: LabelAccelerator, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
}

// probe returns a Score probe as Kubernetes knows it; see the package's
// comment for what differs.
func (r *renderer) probe(c Container, p *model.Probe, period, failures int32) *corev1.Probe {
	if p == nil || p.HTTPGet == nil && p.Exec == nil {
		return nil
	}
	out := &corev1.Probe{PeriodSeconds: period, TimeoutSeconds: 3, FailureThreshold: failures}
	if p.HTTPGet == nil {
		if len(p.Exec.Command) == 0 {
			r.errorf("container %q: a probe has an empty command", c.Name)
		}
		out.Exec = &corev1.ExecAction{Command: p.Exec.Command}
		return out
	}
	g := p.HTTPGet
	out.HTTPGet = &corev1.HTTPGetAction{Path: cmp.Or(g.Path, "/"), Port: intstr.FromInt32(int32(g.Port)), Scheme: corev1.URIScheme(cmp.Or(g.Scheme, "HTTP"))}
	if !itself(g.Host) {
		out.HTTPGet.HTTPHeaders = append(out.HTTPGet.HTTPHeaders, corev1.HTTPHeader{Name: "Host", Value: g.Host})
	}
	for _, h := range g.Headers {
		out.HTTPGet.HTTPHeaders = append(out.HTTPGet.HTTPHeaders, corev1.HTTPHeader{Name: h.Name, Value: h.Value})
	}
	return out
}

// itself reports whether a probe's host means the pod.
func itself(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
