package kube

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	// ControlContainer is the container of the control plane's pods.
	ControlContainer = "control"

	// tokenPath is where clients of Kubernetes look for their pod's credentials.
	tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"
	// tokenSeconds is how long a token for the API holds; the kubelet renews it before.
	tokenSeconds = 3600
	// critical keeps pods from being evicted for the sake of others.
	critical = "system-cluster-critical"
)

var (
	controlCPU         = resource.MustParse("25m")
	controlMemory      = resource.MustParse("48Mi")
	controlMemoryLimit = resource.MustParse("256Mi")
)

// privateNetworks are those of RFC 1918, one of which every environment's network is in.
var privateNetworks = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}

// apiPorts are the ports that API servers are found on.
var apiPorts = []int{443, 6443}

// RenderControl returns the control plane of the environment's mesh and gateways. The
// namespace that it runs in is not its own: the inventories of all units lie there, the
// first of which makes it.
func RenderControl(env Env, p Platform) ([]Object, error) {
	r := control{env: env, labels: labels(env, config.ControlAccount, "control-plane", "", nil), annotations: annotations(p.Addr, nil)}
	var objs []Object
	if env.Cloud != model.CloudLocal {
		// The roots' keys lie there. In a local environment other secrets do, too, and
		// the unit of those makes it.
		objs = append(objs, namespace(env, cluster.SecretsNamespace, r.labels, r.annotations))
	}
	if env.OwnGateways() {
		// It looks there before it is ready, so the namespace is there before the gateways.
		objs = append(objs, namespace(env, GatewayNamespace, labels(env, GatewayNamespace, "gateway", "", nil), r.annotations))
	}
	objs = append(objs, &corev1.ServiceAccount{
		TypeMeta: gvk("v1", "ServiceAccount"), ObjectMeta: r.meta(config.ControlNamespace, config.ControlAccount), AutomountServiceAccountToken: ptr(false),
	})
	objs = append(objs, r.clusterRole()...)
	delegated, reader := r.aggregated()
	objs = append(objs, delegated)
	secrets := IdentitySecretRules(env.Platform, env.Name)
	gateways := append(GatewayNamespaceRules(), GatewaySecretRules()...)
	if env.OwnAuthority() {
		secrets = append(secrets, WebSecretRules(env.Platform, env.Name)...)
		gateways = append(gateways, WebGatewayRules()...)
	}
	grants := []grant{
		{r.meta(config.ControlNamespace, config.ControlAccount), slices.Concat(IdentityControlRules(), ScalingControlRules())},
		{r.meta(cluster.SecretsNamespace, config.ControlAccount), secrets},
	}
	if env.brokers() {
		grants = append(grants, grant{r.meta(DataNamespace, config.ControlAccount), ScalingDataRules()})
	}
	if env.OwnGateways() {
		// It runs the gateways there, and reads their certificates.
		grants = append(grants, grant{r.meta(GatewayNamespace, config.ControlAccount), gateways})
	}
	objs = append(objs, granted(grants...)...)
	objs = append(objs, reader)
	objs = append(objs, r.networkPolicy())
	if env.OwnGateways() {
		objs = append(objs, r.gatewayPolicies()...)
	}
	objs = append(objs, r.service(), r.deployment())
	if r.replicas() > 1 {
		objs = append(objs, &policyv1.PodDisruptionBudget{
			TypeMeta: gvk("policy/v1", "PodDisruptionBudget"), ObjectMeta: r.meta(config.ControlNamespace, config.ControlAccount),
			Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr(intstr.FromInt32(1)), Selector: r.selector(), UnhealthyPodEvictionPolicy: ptr(policyv1.AlwaysAllow)},
		})
	}
	if env.OwnGateways() {
		objs = append(objs, &gwv1.GatewayClass{
			TypeMeta: gvk(gatewayGroup, "GatewayClass"), ObjectMeta: r.meta("", config.GatewayClass),
			Spec: gwv1.GatewayClassSpec{ControllerName: config.GatewayController, Description: ptr("Gateways of Strata.")},
		})
	}
	return objs, nil
}

// control renders the parts of the control plane.
type control struct {
	env                 Env
	labels, annotations map[string]string
}

func (r control) meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: r.labels, Annotations: r.annotations}
}

func (r control) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{labelName: config.ControlAccount}}
}

// replicas is how many pods there are; one of them leads.
func (r control) replicas() int32 {
	if r.env.Cloud == model.CloudLocal && !r.env.Protected {
		return 1
	}
	return 2
}

// clusterRole is what the control plane may do in the whole cluster.
func (r control) clusterRole() []Object {
	rules := slices.Concat(IdentityClusterRules(), ScalingClusterRules())
	if r.env.OwnGateways() {
		rules = append(rules, GatewayClusterRules()...)
	}
	meta := r.meta("", config.ControlAccount)
	return []Object{
		&rbacv1.ClusterRole{TypeMeta: gvk("rbac.authorization.k8s.io/v1", "ClusterRole"), ObjectMeta: meta, Rules: rules},
		&rbacv1.ClusterRoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ObjectMeta: meta, Subjects: controlSubject(),
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		},
	}
}

// controlSubject is the control plane's account, for bindings.
func controlSubject() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: config.ControlNamespace, Name: config.ControlAccount}}
}

// grant is what the control plane may do in a namespace.
type grant struct {
	meta  metav1.ObjectMeta
	rules []rbacv1.PolicyRule
}

// granted returns Roles and their bindings to the control plane.
func granted(grants ...grant) []Object {
	var roles, bindings []Object
	for _, g := range grants {
		roles = append(roles, &rbacv1.Role{TypeMeta: gvk("rbac.authorization.k8s.io/v1", "Role"), ObjectMeta: g.meta, Rules: g.rules})
		bindings = append(bindings, &rbacv1.RoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: g.meta, Subjects: controlSubject(),
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: g.meta.Name},
		})
	}
	return append(roles, bindings...)
}

// networkPolicy lets gateways ask for their configuration and the API server for metrics, and the control plane reach
// the API server, whose address is the cluster's own business, and proxies' metrics.
func (r control) networkPolicy() Object {
	api := netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{metadataService}}}}}
	for _, p := range apiPorts {
		api.Ports = append(api.Ports, netPort(p, "TCP"))
	}
	in := func(key, value string) []netv1.NetworkPolicyPeer {
		return []netv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}}
	}
	egress := []netv1.NetworkPolicyEgressRule{api, {To: in(labelPartOf, r.env.Platform), Ports: []netv1.NetworkPolicyPort{netPort(config.MetricsPort, "TCP")}}}
	if r.env.brokers() {
		egress = append(egress, netv1.NetworkPolicyEgressRule{To: in(labelNamespace, DataNamespace), Ports: []netv1.NetworkPolicyPort{netPort(config.BrokerMetricsPort, "TCP")}})
	}
	ingress := []netv1.NetworkPolicyIngressRule{{From: in(labelNamespace, GatewayNamespace), Ports: []netv1.NetworkPolicyPort{netPort(config.ControlPort, "TCP")}}}
	if r.env.Cloud != model.CloudLocal {
		// The API server asks for metrics, and shows who it is. Here it is on the pod's own
		// node, whose requests no policy stops; elsewhere it is somewhere in the network.
		from := netv1.NetworkPolicyIngressRule{Ports: []netv1.NetworkPolicyPort{netPort(config.ScalingPort, "TCP")}}
		for _, cidr := range privateNetworks {
			from.From = append(from.From, netv1.NetworkPolicyPeer{IPBlock: &netv1.IPBlock{CIDR: cidr}})
		}
		ingress = append(ingress, from)
	}
	return &netv1.NetworkPolicy{TypeMeta: gvk("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: r.meta(config.ControlNamespace, config.ControlAccount), Spec: netv1.NetworkPolicySpec{
		PodSelector: *r.selector(), PolicyTypes: bothWays,
		Ingress: ingress, Egress: egress,
	}}
}

func (r control) service() Object {
	return &corev1.Service{TypeMeta: gvk("v1", "Service"), ObjectMeta: r.meta(config.ControlNamespace, config.ControlAccount), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: r.selector().MatchLabels,
		Ports: []corev1.ServicePort{
			{Name: "gateways", Port: config.ControlPort, TargetPort: intstr.FromInt32(config.ControlPort), Protocol: corev1.ProtocolTCP},
			{Name: "autoscalers", Port: config.ScalingPort, TargetPort: intstr.FromInt32(config.ScalingPort), Protocol: corev1.ProtocolTCP},
		},
	}}
}

func (r control) deployment() Object {
	meta := r.meta(config.ControlNamespace, config.ControlAccount)
	// It runs the gateways.
	meta.Annotations = with(meta.Annotations, AnnotationImages, r.env.ProxyImage)
	return &appsv1.Deployment{TypeMeta: gvk("apps/v1", "Deployment"), ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: ptr(r.replicas()), Selector: r.selector(), RevisionHistoryLimit: ptr[int32](5), ProgressDeadlineSeconds: ptr[int32](600),
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: ptr(intstr.FromInt32(0)), MaxSurge: ptr(intstr.FromInt32(1)),
		}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: r.labels, Annotations: r.annotations}, Spec: r.pod()},
	}}
}

func (r control) args() []string {
	out := []string{"--platform=" + r.env.Platform, "--environment=" + r.env.Name, "--platform-domain=" + r.env.PlatformDomain}
	if !r.env.OwnGateways() {
		return out
	}
	out = append(out, "--gateway-image="+r.env.ProxyImage, "--gateway-secret-namespaces="+GatewayNamespace, fmt.Sprintf("--gateway-replicas=%d", r.replicas()))
	if r.env.OwnAuthority() {
		out = append(out, "--web-ca-domains="+r.env.IngressDomain+","+r.env.InternalDomain, "--web-ca-namespace="+GatewayNamespace)
	}
	if r.env.Telemetry != "" {
		out = append(out, "--gateway-telemetry="+r.env.Telemetry)
	}
	if r.env.Cloud == model.CloudLocal {
		// Nobody gives Services of this machine an address; its own ports lead to them.
		out = append(out, "--gateway-service=ClusterIP")
	}
	return out
}

func (r control) pod() corev1.PodSpec {
	probe := func(path string, period int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(config.HealthPort), Scheme: corev1.URISchemeHTTP}},
			PeriodSeconds: period, TimeoutSeconds: 3, FailureThreshold: 3,
		}
	}
	return corev1.PodSpec{
		ServiceAccountName: config.ControlAccount, AutomountServiceAccountToken: ptr(false), EnableServiceLinks: ptr(false),
		TerminationGracePeriodSeconds: ptr[int64](graceSeconds), PriorityClassName: critical,
		SecurityContext:           podSecurity(),
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{spread("topology.kubernetes.io/zone", r.selector()), spread("kubernetes.io/hostname", r.selector())},
		Containers: []corev1.Container{{
			Name: ControlContainer, Image: r.env.ControlImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: r.args(),
			Ports: []corev1.ContainerPort{
				{Name: "gateways", ContainerPort: config.ControlPort, Protocol: corev1.ProtocolTCP},
				{Name: "autoscalers", ContainerPort: config.ScalingPort, Protocol: corev1.ProtocolTCP},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: controlCPU, corev1.ResourceMemory: controlMemory},
				Limits:   corev1.ResourceList{corev1.ResourceCPU: leastCPULimit, corev1.ResourceMemory: controlMemoryLimit},
			},
			SecurityContext: confined(),
			ReadinessProbe:  probe("/readyz", 2), LivenessProbe: probe("/healthz", 10),
			VolumeMounts: []corev1.VolumeMount{{Name: "api", MountPath: tokenPath, ReadOnly: true}},
		}},
		Volumes: []corev1.Volume{{Name: "api", VolumeSource: corev1.VolumeSource{Projected: apiAccess()}}},
	}
}

// apiAccess is what a client of the API server needs: a token that holds for an hour,
// the server's authority, and the pod's namespace.
func apiAccess() *corev1.ProjectedVolumeSource {
	return &corev1.ProjectedVolumeSource{DefaultMode: ptr[int32](0o440), Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr[int64](tokenSeconds)}},
		{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
			Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
		}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
			Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
		}}}},
	}}
}
