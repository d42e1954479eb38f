package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stratahq/strata/internal/model"
)

// What a team's namespace may request in total unless the platform says
// otherwise. Generous: it is there to stop accidents, not to share out.
const (
	defaultQuotaCPU    = "100"
	defaultQuotaMemory = "400Gi"
	defaultQuotaPods   = 500
)

// RenderTeam returns a team's namespace and what guards it: quota, limits, the
// team's access, and a network in which nothing may talk until a workload's own
// policy allows it.
func RenderTeam(env Env, t Team) ([]Object, error) {
	if msgs := validation.IsDNS1123Label(t.Name); len(msgs) > 0 {
		return nil, fmt.Errorf("team %q cannot name a namespace: %s", t.Name, msgs[0])
	}
	lab := labels(env, t.Name, "team", t.Name, t.Labels)
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: t.Name, Labels: lab, Annotations: annotations(t.Addr, nil)}
	}
	quota, err := teamQuota(t)
	if err != nil {
		return nil, err
	}
	objs := []Object{
		namespace(env, t.Name, lab, annotations(t.Addr, nil)),
		&corev1.ResourceQuota{TypeMeta: gvk("v1", "ResourceQuota"), ObjectMeta: meta("team"), Spec: corev1.ResourceQuotaSpec{Hard: quota}},
		&corev1.LimitRange{TypeMeta: gvk("v1", "LimitRange"), ObjectMeta: meta("defaults"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: defaultCPU, corev1.ResourceMemory: defaultMemory},
			Default:        corev1.ResourceList{corev1.ResourceCPU: leastCPULimit, corev1.ResourceMemory: times(defaultMemory, memoryFactor)},
		}}}},
	}
	objs = append(objs, teamAccess(env, t, meta)...)
	objs = append(objs,
		&netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: meta("default-deny"), Spec: netv1.NetworkPolicySpec{PolicyTypes: bothWays}},
		&netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: meta("allow-dns"), Spec: netv1.NetworkPolicySpec{
			PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeEgress},
			Egress:      []netv1.NetworkPolicyEgressRule{dnsEgress()},
		}},
	)
	return append(objs, istioTeam(env, meta)...), nil
}

var bothWays = []netv1.PolicyType{netv1.PolicyTypeIngress, netv1.PolicyTypeEgress}

// namespace returns a namespace whose pods must keep to the restricted Pod
// Security Standard. It is audited and warned about too, so that a later
// loosening of enforcement still leaves a trace.
func namespace(env Env, name string, lab, ann map[string]string) Object {
	l := make(map[string]string, len(lab)+7)
	for k, v := range lab {
		l[k] = v
	}
	for _, mode := range []string{"enforce", "audit", "warn"} {
		l["pod-security.kubernetes.io/"+mode] = "restricted"
		l["pod-security.kubernetes.io/"+mode+"-version"] = "latest"
	}
	if env.Mesh == model.MeshIstio {
		l["istio.io/dataplane-mode"] = "ambient"
	}
	return &corev1.Namespace{TypeMeta: gvk("v1", "Namespace"), ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l, Annotations: ann}}
}

func teamQuota(t Team) (corev1.ResourceList, error) {
	cpu, memory, pods := defaultQuotaCPU, defaultQuotaMemory, defaultQuotaPods
	if q := t.Team.Quota; q != nil {
		if q.CPU != "" {
			cpu = q.CPU
		}
		if q.Memory != "" {
			memory = q.Memory
		}
		if q.Pods != 0 {
			pods = q.Pods
		}
	}
	c, err := resource.ParseQuantity(cpu)
	if err != nil {
		return nil, fmt.Errorf("team %s: quota of cpu %q: %w", t.Name, cpu, err)
	}
	m, err := resource.ParseQuantity(memory)
	if err != nil {
		return nil, fmt.Errorf("team %s: quota of memory %q: %w", t.Name, memory, err)
	}
	return corev1.ResourceList{
		corev1.ResourceRequestsCPU:    c,
		corev1.ResourceRequestsMemory: m,
		corev1.ResourcePods:           *resource.NewQuantity(int64(pods), resource.DecimalSI),
		// The environment's gateways are the only way in.
		corev1.ResourceServicesLoadBalancers: *resource.NewQuantity(0, resource.DecimalSI),
		corev1.ResourceServicesNodePorts:     *resource.NewQuantity(0, resource.DecimalSI),
	}, nil
}

// netPort is a port of a network policy.
func netPort(port int, protocol string) netv1.NetworkPolicyPort {
	if protocol == "" {
		protocol = "TCP"
	}
	return netv1.NetworkPolicyPort{Protocol: ptr(corev1.Protocol(protocol)), Port: ptr(intstr.FromInt32(int32(port)))}
}
