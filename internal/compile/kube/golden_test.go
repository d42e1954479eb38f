package kube

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestGolden(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			got, err := g.render()
			if err != nil {
				t.Fatal(err)
			}
			check(t, got)
			out, err := MarshalYAML(got.Objects)
			if err != nil {
				t.Fatal(err)
			}
			ar := &txtar.Archive{Files: []txtar.File{{Name: "objects.yaml", Data: out}}}
			for _, tmpl := range got.Templates {
				b, err := tmpl.Expand(map[string]string{"db.host": "<db.host>", "db.password": "<db.password>", "psp-key.value": "<psp-key.value>"})
				if err != nil {
					t.Fatal(err)
				}
				ar.Files = append(ar.Files, txtar.File{Name: fmt.Sprintf("%s/%s/%s", tmpl.Kind, tmpl.Name, tmpl.Key), Data: []byte(b)})
			}
			file := filepath.Join("testdata", g.name+".txtar")
			if *update {
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := txtar.Format(ar); !bytes.Equal(got, want) {
				t.Errorf("%s differs; run go test -update and look at the diff. Got:\n%s", file, got)
			}
		})
	}
}

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, netv1.AddToScheme,
		policyv1.AddToScheme, rbacv1.AddToScheme, admissionv1.AddToScheme, gwv1.Install, AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}()

var strict = kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme, scheme, kjson.SerializerOptions{Strict: true})

// applyOrder is the order of kinds within a unit.
var applyOrder = []string{"Namespace", "ResourceQuota", "LimitRange", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap", "ClusterSecretStore", "ExternalSecret", "NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy", "PersistentVolumeClaim", "Service", "Deployment", "CronJob", "PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "GatewayClass", "ClusterIssuer", "Certificate", "Gateway", "RoutePolicy", "HTTPRoute"}

// check fails unless the objects are what every unit's objects must be.
func check(t tester, r Rendered) {
	t.Helper()
	last := 0
	seen := map[string]bool{}
	for _, obj := range r.Objects {
		kind := obj.GetObjectKind().GroupVersionKind().Kind
		id := kind + "/" + obj.GetNamespace() + "/" + obj.GetName()
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		at := slices.Index(applyOrder, kind)
		if at < last {
			t.Errorf("%s comes after %s", id, applyOrder[last])
		}
		last = at
		for _, l := range []string{labelName, labelInstance, labelPartOf, labelManagedBy, labelComponent, LabelEnvironment} {
			if obj.GetLabels()[l] == "" {
				t.Errorf("%s has no label %s", id, l)
			}
		}
		if obj.GetAnnotations()[AnnotationUnit] == "" {
			t.Errorf("%s has no unit", id)
		}
		strictlyDecodes(t, id, obj)
		if pod := podOf(obj); pod != nil {
			restricted(t, id, pod)
		}
	}
}

// strictlyDecodes fails unless what is written is known to the type, field by
// field, and reads as the same object.
func strictlyDecodes(t tester, id string, obj Object) {
	t.Helper()
	want, err := MarshalJSON(obj)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	y, err := MarshalYAML([]Object{obj})
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	j, err := yaml.YAMLToJSONStrict(y)
	if err != nil {
		t.Fatalf("%s: %v\n%s", id, err, y)
	}
	back, _, err := strict.Decode(j, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v\n%s", id, err, y)
	}
	got, err := MarshalJSON(back.(Object))
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s reads as\n%s\nwant\n%s", id, got, want)
	}
	if !json.Valid(want) {
		t.Errorf("%s: not JSON: %s", id, want)
	}
	for _, noise := range []string{`"status":`, `"creationTimestamp"`, `:null`, `"resources":{}`} {
		if kind := obj.GetObjectKind().GroupVersionKind().Kind; kind != "ConfigMap" && bytes.Contains(want, []byte(noise)) {
			t.Errorf("%s has %s: %s", id, noise, want)
		}
	}
}

func podOf(obj Object) *corev1.PodTemplateSpec {
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	}
	return nil
}

var evaluator = func() policy.Evaluator {
	e, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(err)
	}
	return e
}()

// restricted fails unless the pod keeps to the Pod Security Standards, as
// Kubernetes' own admission sees them, and to our own defaults.
func restricted(t tester, id string, pod *corev1.PodTemplateSpec) {
	t.Helper()
	for _, res := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		if !res.Allowed {
			t.Errorf("%s: %s: %s", id, res.ForbiddenReason, res.ForbiddenDetail)
		}
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if c.Resources.Requests.Name(name, "").IsZero() || c.Resources.Limits.Name(name, "").IsZero() {
				t.Errorf("%s: container %s has no request or limit of %s", id, c.Name, name)
			}
		}
		if !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s: container %s can write to its root", id, c.Name)
		}
		for _, m := range c.VolumeMounts {
			if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
				t.Errorf("%s: container %s mounts %s, which the pod does not have", id, c.Name, m.Name)
			}
		}
		// Kubernetes expands a reference only to what stands before it.
		before := map[string]bool{}
		for _, e := range c.Env {
			for rest := e.Value; ; {
				var ok bool
				if _, rest, ok = strings.Cut(rest, "$(STRATA_"); !ok {
					break
				}
				name, _, _ := strings.Cut(rest, ")")
				if !before["STRATA_"+name] {
					t.Errorf("%s: %s refers to STRATA_%s, which does not stand before it", id, e.Name, name)
				}
			}
			before[e.Name] = true
		}
	}
}

func TestLabelsSurviveBadOnes(t *testing.T) {
	l := labels(prodEnv(), strings.Repeat("x", 63), "service", "payments", map[string]string{labelManagedBy: "me"})
	if l[labelManagedBy] != "strata" || l["cost-center"] != "4711" || len(l) != 8 || len(l[labelInstance]) > 63 {
		t.Errorf("labels = %v", l)
	}
	var _ metav1.Object = &ExternalSecret{}
}
