package kube

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	proxyVolume    = "strata-proxy"
	identityVolume = "strata-identity"
)

var (
	sidecarCPU         = resource.MustParse("10m")
	sidecarMemory      = resource.MustParse("16Mi")
	sidecarMemoryLimit = resource.MustParse("128Mi")
)

func (p Port) tcp() bool { return p.Protocol != "UDP" }

func (c Call) tcp() bool { return c.Protocol != "UDP" }

// Meshed reports whether the workload's pods have a sidecar. One that serves nothing and
// calls nobody needs none.
func (w *Workload) Meshed(env Env) bool {
	return env.Sidecars() && (slices.ContainsFunc(w.Ports, Port.tcp) || slices.ContainsFunc(w.Calls, Call.tcp))
}

func (r *renderer) meshed() bool { return r.w.Meshed(r.env) }

// podPort is the pods' port behind the ith of the Service.
func (r *renderer) podPort(i int) int {
	if r.env.Sidecars() && r.w.Ports[i].tcp() {
		return config.InboundBase + i
	}
	return r.w.Ports[i].Target
}

// EndpointsName is the Service whose DNS name has the addresses of a workload's ready
// pods, for the sidecars of those that call it.
func EndpointsName(workload string) string {
	return fit(workload+config.EndpointsSuffix, validation.DNS1035LabelMaxLength)
}

// meshService completes a workload's Service for the mesh: who is behind it, and a
// headless one that names the pods themselves.
func (r *renderer) meshService(svc *corev1.Service) []Object {
	if !r.meshed() {
		return nil
	}
	headless := &corev1.Service{TypeMeta: svc.TypeMeta, ObjectMeta: r.meta(EndpointsName(r.w.Name)), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: corev1.ClusterIPNone, Selector: r.selector,
	}}
	for i, p := range r.w.Ports {
		if !p.tcp() {
			continue
		}
		port := config.InboundBase + i
		headless.Spec.Ports = append(headless.Spec.Ports, corev1.ServicePort{
			Name: p.Name, Port: int32(port), TargetPort: intstr.FromInt32(int32(port)), Protocol: corev1.ProtocolTCP,
		})
	}
	if len(headless.Spec.Ports) == 0 {
		return nil
	}
	svc.Annotations = with(svc.Annotations, config.IdentityAnnotation, config.ID(r.env.TrustDomain(), r.w.Team, r.w.Name))
	return []Object{headless}
}

// sidecar adds the proxy to the pod, before all of its containers, so that these may
// call and be called from their first moment to their last. It returns the proxy's
// configuration, whose name changes with it: so pods never run with an old one.
func (r *renderer) sidecar(spec *corev1.PodSpec) []Object {
	if !r.meshed() {
		return nil
	}
	content, err := json.MarshalIndent(r.proxyConfig(), "", "  ")
	if err != nil {
		r.errorf("configuration of the proxy: %w", err)
		return nil
	}
	file := path.Base(config.ConfigFile)
	cm := &corev1.ConfigMap{
		TypeMeta: gvk("v1", "ConfigMap"), ObjectMeta: r.meta(r.w.Name + "-proxy-" + hash(string(content))),
		Data: map[string]string{file: string(content) + "\n"}, Immutable: ptr(true),
	}
	probe := func(path string, period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(config.HealthPort), Scheme: corev1.URISchemeHTTP}},
			PeriodSeconds: period, TimeoutSeconds: 3, FailureThreshold: failures,
		}
	}
	proxy := corev1.Container{
		Name: config.SidecarName, Image: r.env.ProxyImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"sidecar"},
		RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways),
		Env:           r.proxyTelemetry(config.SidecarName),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: sidecarCPU, corev1.ResourceMemory: sidecarMemory},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: leastCPULimit, corev1.ResourceMemory: sidecarMemoryLimit},
		},
		SecurityContext: confined(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: proxyVolume, MountPath: path.Dir(config.ConfigFile), ReadOnly: true},
			{Name: identityVolume, MountPath: path.Dir(config.CredentialsFile), ReadOnly: true},
		},
		StartupProbe:   probe(config.ReadyPath, 1, 120),
		LivenessProbe:  probe(config.LivePath, 10, 3),
		ReadinessProbe: probe(config.ReadyPath, 5, 3),
	}
	spec.InitContainers = slices.Insert(spec.InitContainers, 0, proxy)
	spec.Volumes = append(spec.Volumes,
		source{name: cm.Name}.volume(proxyVolume, nil),
		corev1.Volume{Name: identityVolume, VolumeSource: corev1.VolumeSource{Projected: identity()}},
	)
	return []Object{cm}
}

// identity is the key and certificate of a pod, and the authorities that its peers'
// certificates are from, as the kubelet keeps them current in a folder.
func identity() *corev1.ProjectedVolumeSource {
	return &corev1.ProjectedVolumeSource{
		// Only the pod's own user and group can read the key.
		DefaultMode: ptr[int32](0o440),
		Sources: []corev1.VolumeProjection{
			{PodCertificate: &corev1.PodCertificateProjection{SignerName: config.Signer, KeyType: "ECDSAP256", CredentialBundlePath: path.Base(config.CredentialsFile)}},
			// By the signer, not by the bundle's name: the kubelet would hold on to what it has
			// for up to five minutes more when the bundle changes.
			{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{SignerName: ptr(config.Signer), LabelSelector: &metav1.LabelSelector{}, Path: path.Base(config.TrustFile)}},
		},
	}
}

// proxyConfig is what the workload's proxy is told.
func (r *renderer) proxyConfig() config.Sidecar {
	domain := r.env.TrustDomain()
	out := config.Sidecar{TrustDomain: domain, Namespace: r.w.Team, Workload: r.w.Name}
	if most := config.OutboundBase - config.InboundBase; len(r.w.Ports) > most {
		r.errorf("it has %d ports; in the mesh it can have %d", len(r.w.Ports), most)
	}
	for i, p := range r.w.Ports {
		if p.tcp() {
			out.Inbound = append(out.Inbound, config.Inbound{Name: p.Name, Listen: config.InboundBase + i, Target: p.Target, Callers: r.callers(i)})
		}
	}
	for _, c := range r.w.Calls {
		if !c.tcp() {
			continue
		}
		if c.Listen > config.LastPort {
			r.errorf("it calls more than %d ports of others", config.LastPort-config.OutboundBase+1)
			break
		}
		out.Outbound = append(out.Outbound, config.Outbound{
			Name: c.Resource, Listen: c.Listen, Host: EndpointsName(c.Workload) + "." + c.Team + ".svc.cluster.local", Port: c.meshPort(),
			Service:  fmt.Sprintf("%s.%s.svc.cluster.local:%d", c.Workload, c.Team, c.Port),
			Identity: config.ID(domain, c.Team, c.Workload), Protocol: c.Traffic,
		})
	}
	slices.SortFunc(out.Outbound, func(a, b config.Outbound) int { return a.Listen - b.Listen })
	return out
}

// callers returns the identities of those that may connect to the ith port: workloads
// that declare the call, and the gateways whose routes lead there.
func (r *renderer) callers(i int) []string {
	domain := r.env.TrustDomain()
	out := []string{} // nobody, not "not said"
	for _, c := range r.w.Callers {
		if c.tcp() && c.Place == i {
			out = append(out, config.ID(domain, c.Team, c.Workload))
		}
	}
	for _, route := range r.openRoutes() {
		if route.serves(r.w.Ports[i]) {
			out = append(out, config.ID(domain, GatewayNamespace, config.GatewayAccount(route.Class, r.env.GatewayClass)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
