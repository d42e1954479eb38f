package policy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

func ptr[T any](v T) *T { return &v }

// workloadObjects are the nine objects of one workload, as Strata renders them:
// hardened, and different from every other workload's in names, image,
// variables and hosts.
func workloadObjects(n int) []any {
	name := fmt.Sprintf("workload-%05d", n)
	team := fmt.Sprintf("team-%02d", n%40)
	image := fmt.Sprintf("registry.acme.example/apps/%s@sha256:%x", name, sha256.Sum256([]byte(name)))
	labels := map[string]string{
		"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "acme",
		"app.kubernetes.io/managed-by": "strata", "app.kubernetes.io/component": "workload",
	}
	meta := metav1.ObjectMeta{Name: name, Namespace: team, Labels: labels, Annotations: map[string]string{"strata.dev/unit": "workloads/" + name}}
	tm := func(api, kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: api, Kind: kind} }
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}}
	pod := corev1.PodSpec{
		ServiceAccountName:           name,
		AutomountServiceAccountToken: ptr(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr(true), RunAsUser: ptr(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: labels},
		}},
		Containers: []corev1.Container{{
			Name: name, Image: image,
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			Env: []corev1.EnvVar{
				{Name: "WORKLOAD", Value: name},
				{Name: "DB_PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name + "-outputs"}, Key: "db.password"}}},
			},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{"memory": resource.MustParse("256Mi")},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			LivenessProbe: probe, ReadinessProbe: probe,
			VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}, {Name: "files", MountPath: "/etc/app"}},
		}},
		Volumes: []corev1.Volume{
			{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{Name: "files", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}},
		},
	}
	https := gatewayv1.SectionName("https")
	return []any{
		&corev1.ServiceAccount{TypeMeta: tm("v1", "ServiceAccount"), ObjectMeta: meta, AutomountServiceAccountToken: ptr(false)},
		&corev1.ConfigMap{TypeMeta: tm("v1", "ConfigMap"), ObjectMeta: meta, Data: map[string]string{"app.yaml": "name: " + name}},
		&appsv1.Deployment{TypeMeta: tm("apps/v1", "Deployment"), ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
		}},
		&corev1.Service{TypeMeta: tm("v1", "Service"), ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}}, Selector: labels}},
		&policyv1.PodDisruptionBudget{TypeMeta: tm("policy/v1", "PodDisruptionBudget"), ObjectMeta: meta, Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr(intstr.FromInt32(1))}},
		&autoscalingv2.HorizontalPodAutoscaler{TypeMeta: tm("autoscaling/v2", "HorizontalPodAutoscaler"), ObjectMeta: meta, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: ptr(int32(2)), MaxReplicas: int32(3 + n%20)}},
		&gatewayv1.HTTPRoute{TypeMeta: tm("gateway.networking.k8s.io/v1", "HTTPRoute"), ObjectMeta: meta, Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: "public", Namespace: ptr(gatewayv1.Namespace("strata-gateway")), SectionName: &https}}},
			Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(name + ".acme.example")},
		}},
		&networkingv1.NetworkPolicy{TypeMeta: tm("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: meta, Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": fmt.Sprintf("workload-%05d", n+1)}}}}}},
			PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
		}},
		&networkingv1.NetworkPolicy{TypeMeta: tm("networking.k8s.io/v1", "NetworkPolicy"), ObjectMeta: metav1.ObjectMeta{Name: name + "-gateway", Namespace: team, Labels: labels}, Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: labels},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "strata-gateway"}}}}}},
			PolicyTypes: []networkingv1.PolicyType{"Ingress"},
		}},
	}
}

var benchEnvironments = []Environment{
	{Name: "dev", Cloud: "aws", Region: "eu-west-1"}, {Name: "staging", Cloud: "aws", Region: "eu-west-1"},
	{Name: "prod", Cloud: "aws", Region: "eu-west-1", Protected: true}, {Name: "prod-us", Cloud: "aws", Region: "us-east-1", Protected: true},
}

// judgeWorkloads judges n workloads in four environments and returns the number
// of objects.
func judgeWorkloads(b testing.TB, set *Set, n int) int {
	ctx := context.Background()
	count := 0
	for i := range n {
		objs := workloadObjects(i)
		for e := range benchEnvironments {
			env := &benchEnvironments[e]
			fs, err := set.Objects(ctx, ObjectContext{Environment: env, Unit: addr.Workload(env.Name, fmt.Sprintf("workload-%05d", i)), Layer: model.LayerRuntime}, objs...)
			if err != nil {
				b.Fatal(err)
			}
			if len(fs) != 0 {
				b.Fatalf("unexpected findings: %v", fs[0])
			}
			count += len(objs)
		}
	}
	return count
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}

// BenchmarkCold is what a small platform pays: loading, preparing every kind, and
// judging ten workloads' description and objects.
func BenchmarkCold(b *testing.B) {
	in := benchModel(10)
	for b.Loop() {
		set := load(b)
		if _, err := set.Model(context.Background(), in); err != nil {
			b.Fatal(err)
		}
		judgeWorkloads(b, set, 10)
	}
}

// BenchmarkObjects judges 10,000 workloads × 4 environments × 9 objects on one core.
func BenchmarkObjects(b *testing.B) {
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n += judgeWorkloads(b, load(b), 10_000)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkObjectsForgetful is the same without memory, on a hundredth of the objects.
func BenchmarkObjectsForgetful(b *testing.B) {
	set := load(b)
	set.forget = true
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n += judgeWorkloads(b, set, 100)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkModel judges the description of 10,000 workloads in 4 environments.
func BenchmarkModel(b *testing.B) {
	in := benchModel(10_000)
	b.ReportAllocs()
	for b.Loop() {
		set := load(b)
		fs, err := set.Model(context.Background(), in)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range fs {
			if f.Rule != "approvers" {
				b.Fatalf("unexpected finding: %v", f)
			}
		}
	}
}

func benchModel(n int) ModelInput {
	in := ModelInput{Platform: &model.Platform{Metadata: model.Metadata{Name: "acme"}, Spec: model.PlatformSpec{
		Domain: "acme.example", Identity: &model.Identity{Issuer: "https://login.acme.example", ClientID: "strata"}, Teams: map[string]model.Team{},
	}}}
	for t := range 40 {
		in.Platform.Spec.Teams[fmt.Sprintf("team-%02d", t)] = model.Team{Contact: "team@acme.example"}
	}
	workloads := make([]WorkloadInput, n)
	for i := range n {
		name := fmt.Sprintf("workload-%05d", i)
		workloads[i] = WorkloadInput{Workload: &model.Workload{
			APIVersion: "score.dev/v1b1", Metadata: model.WorkloadMetadata{Name: name, Team: fmt.Sprintf("team-%02d", i%40)},
			Containers: map[string]model.Container{"main": {Image: "registry/" + name, Variables: map[string]string{"WORKLOAD": name, "PASSWORD": "${resources.db.password}"}}},
			Resources: map[string]model.Resource{
				"db":    {Type: "postgres", Params: map[string]any{"highAvailability": true, "storage": 10 + i%50}},
				"web":   {Type: "route", Class: "public", Params: map[string]any{"host": name}},
				"scale": {Type: "horizontal-pod-autoscaler", Params: map[string]any{"min": 2, "max": 3 + i%10}},
			},
		}}
	}
	for _, e := range benchEnvironments {
		in.Environments = append(in.Environments, EnvironmentInput{Workloads: workloads, Environment: &model.Environment{
			Metadata: model.Metadata{Name: e.Name},
			Spec: model.EnvironmentSpec{
				Cloud: e.Cloud, Protected: e.Protected, PromotesFrom: "staging", Approvals: &model.Approvals{Required: 1, NotAuthor: true},
				State: &model.State{Backend: "s3", KMSKey: "arn"}, Cluster: &model.Cluster{Version: "1.35"},
			},
		}})
	}
	return in
}
