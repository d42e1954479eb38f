package kube

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

// operatorRole is the ClusterRole of role "operator".
const operatorRole = "strata-operator"

// clusterRoles maps the platform's roles to ClusterRoles. Kubernetes' own
// "admin" and "view" already say what is meant: view leaves secrets out.
var clusterRoles = map[string]string{"admin": "admin", "operator": operatorRole, "viewer": "view"}

// RenderTeam returns a team's namespace and what guards it: Pod Security
// Admission, a quota, defaults for containers, a network that is closed by
// default, and the bindings of its people.
func RenderTeam(env Env, t Team) ([]Object, error) {
	m := func(component, name string) metav1.ObjectMeta {
		return meta(env, t.Addr, t.Name, t.Name, component, t.Name, name)
	}
	ns := &corev1.Namespace{TypeMeta: typeMeta("v1", "Namespace"), ObjectMeta: m("namespace", t.Name)}
	ns.Namespace = ""
	for _, mode := range []string{"enforce", "audit", "warn"} {
		ns.Labels["pod-security.kubernetes.io/"+mode] = "restricted"
		ns.Labels["pod-security.kubernetes.io/"+mode+"-version"] = "latest"
	}
	if env.Mesh == "istio" {
		ns.Labels["istio.io/dataplane-mode"] = "ambient"
	}
	quota, err := resourceQuota(t)
	if err != nil {
		return nil, err
	}
	quota.ObjectMeta = m("quota", "team")
	objs := []Object{ns, quota, &corev1.LimitRange{
		TypeMeta: typeMeta("v1", "LimitRange"), ObjectMeta: m("quota", "containers"),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(defaultCPU), corev1.ResourceMemory: resource.MustParse(defaultMemory)},
			Default:        corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(defaultCPULimit), corev1.ResourceMemory: resource.MustParse("256Mi")},
		}}},
	}}
	objs = append(objs, bindings(env, t, m)...)
	return append(objs, defaultDeny(m("network", networkName("deny"))), allowDNS(m("network", networkName("dns")))), nil
}

func resourceQuota(t Team) (*corev1.ResourceQuota, error) {
	q := model.TeamQuota{}
	if t.Team.Quota != nil {
		q = *t.Team.Quota
	}
	if q.CPU == "" {
		q.CPU = "100"
	}
	if q.Memory == "" {
		q.Memory = "400Gi"
	}
	if q.Pods == 0 {
		q.Pods = 500
	}
	cpu, err := resource.ParseQuantity(q.CPU)
	if err != nil {
		return nil, fmt.Errorf("quota of team %q: cpu %q: %w", t.Name, q.CPU, err)
	}
	memory, err := resource.ParseQuantity(q.Memory)
	if err != nil {
		return nil, fmt.Errorf("quota of team %q: memory %q: %w", t.Name, q.Memory, err)
	}
	return &corev1.ResourceQuota{
		TypeMeta: typeMeta("v1", "ResourceQuota"),
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			corev1.ResourceRequestsCPU:           cpu,
			corev1.ResourceRequestsMemory:        memory,
			corev1.ResourcePods:                  *resource.NewQuantity(int64(q.Pods), resource.DecimalSI),
			corev1.ResourceServicesLoadBalancers: *resource.NewQuantity(0, resource.DecimalSI),
			corev1.ResourceServicesNodePorts:     *resource.NewQuantity(0, resource.DecimalSI),
		}},
	}, nil
}

// applies reports whether an access rule holds in an environment.
func applies(r model.AccessRule, env string) bool {
	return len(r.Environments) == 0 || slices.Contains(r.Environments, env)
}

// bindings binds the people whom access rules name for this team.
func bindings(env Env, t Team, m func(component, name string) metav1.ObjectMeta) []Object {
	var out []Object
	for _, role := range []string{"admin", "operator", "viewer"} {
		var subjects []rbacv1.Subject
		for _, r := range env.Access {
			if r.Role == role && applies(r, env.Name) && slices.Contains(r.Teams, t.Name) {
				subjects = addGroups(subjects, r.Groups)
			}
		}
		if len(subjects) > 0 {
			out = append(out, &rbacv1.RoleBinding{
				TypeMeta: typeMeta("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: m("access", "strata-"+role),
				RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRoles[role]},
				Subjects: subjects,
			})
		}
	}
	return out
}

func addGroups(subjects []rbacv1.Subject, groups []string) []rbacv1.Subject {
	for _, g := range groups {
		s := rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: g}
		if !slices.Contains(subjects, s) {
			subjects = append(subjects, s)
		}
	}
	return subjects
}

func defaultDeny(m metav1.ObjectMeta) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta: typeMeta("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: m,
		Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}},
	}
}

// allowDNS lets every pod ask the cluster's DNS: names are how anything else is found.
func allowDNS(m metav1.ObjectMeta) *networkingv1.NetworkPolicy {
	port := ptr(intstr.FromInt32(53))
	to := namespacePeer("kube-system")
	to.PodSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}}
	return &networkingv1.NetworkPolicy{
		TypeMeta: typeMeta("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: m,
		Spec: networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{
				To: []networkingv1.NetworkPolicyPeer{to},
				Ports: []networkingv1.NetworkPolicyPort{
					{Protocol: ptr(corev1.ProtocolUDP), Port: port}, {Protocol: ptr(corev1.ProtocolTCP), Port: port},
				},
			}},
		},
	}
}

// RenderPlatform returns what exists once in an environment's cluster: the
// gateways with their namespace, the role of operators, and the bindings of people whose
// access is not limited to teams.
func RenderPlatform(env Env, unit addr.Unit) ([]Object, error) {
	m := func(component, namespace, name string) metav1.ObjectMeta {
		return meta(env, unit, "", "gateway", component, namespace, name)
	}
	ns := &corev1.Namespace{TypeMeta: typeMeta("v1", "Namespace"), ObjectMeta: m("namespace", "", GatewayNamespace)}
	for _, mode := range []string{"enforce", "audit", "warn"} {
		ns.Labels["pod-security.kubernetes.io/"+mode] = "restricted"
		ns.Labels["pod-security.kubernetes.io/"+mode+"-version"] = "latest"
	}
	objs := []Object{ns, operator(m("access", "", operatorRole))}
	for _, role := range []string{"admin", "operator", "viewer"} {
		var subjects []rbacv1.Subject
		for _, r := range env.Access {
			if r.Role == role && applies(r, env.Name) && len(r.Teams) == 0 {
				subjects = addGroups(subjects, r.Groups)
			}
		}
		if len(subjects) > 0 {
			objs = append(objs, &rbacv1.ClusterRoleBinding{
				TypeMeta: typeMeta("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ObjectMeta: m("access", "", "strata-"+role),
				RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRoles[role]},
				Subjects: subjects,
			})
		}
	}
	deny := defaultDeny(m("network", GatewayNamespace, networkName("deny")))
	objs = append(objs, deny, allowDNS(m("network", GatewayNamespace, networkName("dns"))))
	if env.IngressDomain == "" {
		return objs, nil
	}
	for _, class := range gatewayClasses {
		objs = append(objs, gateway(env, m("gateway", GatewayNamespace, class)))
		if env.TLS != "disabled" {
			objs = append(objs, redirect(class, m("gateway", GatewayNamespace, class+"-redirect")))
		}
	}
	return objs, nil
}

// operator is what people need to run workloads: look at everything but
// secrets, read logs, open a shell or a port, restart and scale.
func operator(m metav1.ObjectMeta) *rbacv1.ClusterRole {
	look := []string{"get", "list", "watch"}
	return &rbacv1.ClusterRole{
		TypeMeta: typeMeta("rbac.authorization.k8s.io/v1", "ClusterRole"), ObjectMeta: m,
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"pods", "pods/log", "services", "endpoints", "events", "configmaps", "persistentvolumeclaims", "serviceaccounts", "resourcequotas", "limitranges"}, Verbs: look},
			{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: look},
			{APIGroups: []string{"batch"}, Resources: []string{"cronjobs", "jobs"}, Verbs: look},
			{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: look},
			{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}, Verbs: look},
			{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: look},
			{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"httproutes", "gateways"}, Verbs: look},
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete"}},
			{APIGroups: []string{""}, Resources: []string{"pods/exec", "pods/portforward"}, Verbs: []string{"create"}},
			{APIGroups: []string{"apps"}, Resources: []string{"deployments", "deployments/scale"}, Verbs: []string{"patch", "update"}},
			{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "delete"}},
		},
	}
}
