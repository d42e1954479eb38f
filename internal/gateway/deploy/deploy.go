// Package deploy describes the objects that make up a running gateway: service account,
// Deployment, Service and PodDisruptionBudget. It only describes them; applying, watching
// and removing them is internal/gateway's business, and what they serve that of
// internal/proxy/gateway.
package deploy

import (
	"fmt"
	"maps"
	"path"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/gateway/translate"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Labels of all objects of a gateway (GEP-1762).
const (
	LabelGateway = "gateway.networking.k8s.io/gateway-name"
	LabelClass   = "gateway.networking.k8s.io/gateway-class-name"
	// LabelManagedBy has the value ManagedBy on what the controller makes.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = config.ControlAccount
)

// Options are what is the same for all gateways of a cluster. Resources, and numbers that
// are 0, stand for defaults.
type Options struct {
	// Image is the image of strata-proxy.
	Image string
	// Args are the arguments of every gateway, after "gateway".
	Args []string
	// Service is the type of the Services: ClusterIP, NodePort or LoadBalancer.
	Service corev1.ServiceType
	// Replicas is how many pods a gateway has; 2 by default.
	Replicas int32
	// Resources of each pod.
	Resources corev1.ResourceRequirements
	// Telemetry is where gateways send traces: a URL that takes OTLP over HTTP; empty:
	// nowhere.
	Telemetry string
	// PullSecrets are names of Secrets, beside the gateways, to pull the image with.
	PullSecrets []string
}

// Objects are those of one gateway.
type Objects struct {
	ServiceAccount *corev1.ServiceAccount
	Deployment     *appsv1.Deployment
	Service        *corev1.Service
	Budget         *policyv1.PodDisruptionBudget
}

const (
	// user is whom containers run as.
	user int64 = 65532
	// drain is how many seconds a gateway still takes connections when it is to end: until
	// everybody knows that it does, as the pods of workloads do. grace is how many it has in all.
	drain, grace int64 = 12, 60

	containerName = "gateway"
	volumeName    = "identity"
)

// For returns the objects of a gateway.
func For(g *translate.Gateway, o Options) Objects {
	meta, selector := metadata(g.Object)
	name := meta.Name
	out := Objects{
		ServiceAccount: &corev1.ServiceAccount{
			TypeMeta: typeMeta("v1", "ServiceAccount"), ObjectMeta: meta,
			AutomountServiceAccountToken: ptr(false),
		},
		Budget: &policyv1.PodDisruptionBudget{
			TypeMeta: typeMeta("policy/v1", "PodDisruptionBudget"), ObjectMeta: meta,
			Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: selector}},
		},
		Deployment: &appsv1.Deployment{
			TypeMeta: typeMeta("apps/v1", "Deployment"), ObjectMeta: meta,
			Spec: appsv1.DeploymentSpec{
				Replicas: ptr(o.replicas()), Selector: &metav1.LabelSelector{MatchLabels: selector}, RevisionHistoryLimit: ptr[int32](2),
				// A new pod takes over before the old one goes.
				Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: ptr(intstr.FromInt32(0)), MaxSurge: ptr(intstr.FromInt32(1)),
				}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels, Annotations: meta.Annotations},
					Spec:       pod(g.Object, name, selector, o),
				},
			},
		},
		Service: service(g, meta, selector, o),
	}
	for _, s := range o.PullSecrets {
		out.ServiceAccount.ImagePullSecrets = append(out.ServiceAccount.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	return out
}

func (o Options) replicas() int32 {
	if o.Replicas == 0 {
		return 2
	}
	return o.Replicas
}

// Name returns the name of a gateway's objects.
func Name(g *gwv1.Gateway) string {
	return config.GatewayAccount(g.Name, string(g.Spec.GatewayClassName))
}

// metadata returns the metadata of all objects, and the labels that pods are selected by.
func metadata(g *gwv1.Gateway) (metav1.ObjectMeta, map[string]string) {
	selector := map[string]string{LabelGateway: label(g.Name)}
	labels, annotations := map[string]string{}, map[string]string{}
	if i := g.Spec.Infrastructure; i != nil {
		for k, v := range i.Labels {
			labels[string(k)] = string(v)
		}
		for k, v := range i.Annotations {
			annotations[string(k)] = string(v)
		}
	}
	// A Gateway's own labels may not make its pods look like somebody else's.
	maps.Copy(labels, selector)
	labels[LabelClass] = label(string(g.Spec.GatewayClassName))
	labels[LabelManagedBy] = ManagedBy
	labels["app.kubernetes.io/name"] = Name(g)
	return metav1.ObjectMeta{
		Namespace: g.Namespace, Name: Name(g), Labels: labels, Annotations: annotations,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: gwv1.GroupVersion.String(), Kind: "Gateway", Name: g.Name, UID: g.UID, Controller: ptr(true)}},
	}, selector
}

// label makes the name of an object the value of a label, which is shorter.
func label(name string) string {
	if len(name) <= 63 {
		return name
	}
	return config.GatewayAccount(name, "")
}

func pod(g *gwv1.Gateway, name string, selector map[string]string, o Options) corev1.PodSpec {
	probe := func(at string) *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: at, Port: intstr.FromInt32(config.HealthPort)}}, TimeoutSeconds: 3}
	}
	ready, live := probe(config.ReadyPath), probe(config.LivePath)
	ready.PeriodSeconds, ready.FailureThreshold = 2, 3
	live.PeriodSeconds, live.FailureThreshold = 10, 6
	return corev1.PodSpec{
		ServiceAccountName: name, AutomountServiceAccountToken: ptr(false), EnableServiceLinks: ptr(false),
		TerminationGracePeriodSeconds: ptr(grace),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr(true), RunAsUser: ptr(user), RunAsGroup: ptr(user), FSGroup: ptr(user),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			spread(corev1.LabelTopologyZone, selector), spread(corev1.LabelHostname, selector),
		},
		Containers: []corev1.Container{{
			Name: containerName, Image: o.Image, ImagePullPolicy: corev1.PullIfNotPresent,
			Args: append([]string{"gateway", "-namespace", g.Namespace, "-name", g.Name}, o.Args...),
			Ports: []corev1.ContainerPort{
				{Name: "health", ContainerPort: config.HealthPort, Protocol: corev1.ProtocolTCP},
				{Name: "metrics", ContainerPort: config.MetricsPort, Protocol: corev1.ProtocolTCP},
			},
			Env:       o.telemetry(name),
			Resources: o.resources(),
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true), RunAsNonRoot: ptr(true), Privileged: ptr(false),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			ReadinessProbe: ready, LivenessProbe: live,
			Lifecycle:    &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: drain}}},
			VolumeMounts: []corev1.VolumeMount{{Name: volumeName, MountPath: path.Dir(config.CredentialsFile), ReadOnly: true}},
		}},
		Volumes: []corev1.Volume{identity()},
	}
}

// telemetry returns the variables by which OpenTelemetry is told where to send traces.
func (o Options) telemetry(service string) []corev1.EnvVar {
	if o.Telemetry == "" {
		return nil
	}
	return []corev1.EnvVar{{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: o.Telemetry}, {Name: "OTEL_SERVICE_NAME", Value: service}}
}

// resources returns what a pod asks for. The memory limit is what bounds a flood of
// connections; processor time is not limited, since that only delays requests.
func (o Options) resources() corev1.ResourceRequirements {
	if o.Resources.Requests != nil || o.Resources.Limits != nil {
		return o.Resources
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
	}
}

// spread asks for pods in different places, where there are several.
func spread(key string, selector map[string]string) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: key, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: selector}, MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
	}
}

// identity is the volume with the pod's certificate and the authorities that it trusts.
func identity() corev1.Volume {
	return corev1.Volume{Name: volumeName, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr[int32](0o440),
		Sources: []corev1.VolumeProjection{
			{PodCertificate: &corev1.PodCertificateProjection{SignerName: config.Signer, KeyType: "ECDSAP256", CredentialBundlePath: path.Base(config.CredentialsFile)}},
			// By the signer, not by the bundle's name: the kubelet would hold on to what it has
			// for up to five minutes more when the bundle changes.
			{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{SignerName: ptr(config.Signer), LabelSelector: &metav1.LabelSelector{}, Path: path.Base(config.TrustFile)}},
		},
	}}}
}

func service(g *translate.Gateway, meta metav1.ObjectMeta, selector map[string]string, o Options) *corev1.Service {
	s := &corev1.Service{
		TypeMeta: typeMeta("v1", "Service"), ObjectMeta: meta,
		Spec: corev1.ServiceSpec{Type: o.Service, Selector: selector},
	}
	if o.Service != corev1.ServiceTypeClusterIP {
		// Only so the gateway sees the clients' addresses, which it limits requests by.
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	for _, p := range g.Ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: fmt.Sprintf("port-%d", p.Public), Protocol: corev1.ProtocolTCP, Port: p.Public, TargetPort: intstr.FromInt32(p.Listen),
		})
	}
	if a, err := Address(g.Object); err == nil && a != "" {
		if o.Service == corev1.ServiceTypeClusterIP {
			s.Spec.ClusterIP = a
		} else {
			s.Spec.LoadBalancerIP = a
		}
	}
	return s
}

// Address returns the address that a Gateway asks for; empty: it takes any. The error says
// that it asks for more than it can have.
func Address(g *gwv1.Gateway) (string, error) {
	var out string
	for _, a := range g.Spec.Addresses {
		if a.Value == "" {
			continue
		}
		if out != "" {
			return "", fmt.Errorf("a gateway has one address: remove %s or %s from spec.addresses", out, a.Value)
		}
		out = a.Value
	}
	return out, nil
}

func typeMeta(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

func ptr[T any](v T) *T { return &v }
