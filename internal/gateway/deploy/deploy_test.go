package deploy

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/stratahq/strata/internal/gateway/translate"
	"github.com/stratahq/strata/internal/proxy/config"
)

var update = flag.Bool("update", false, "write the expected output anew")

func gateway(name string) *translate.Gateway {
	return &translate.Gateway{
		Object: &gwv1.Gateway{
			ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name, UID: "1"},
			Spec: gwv1.GatewaySpec{GatewayClassName: "strata", Infrastructure: &gwv1.GatewayInfrastructure{
				Labels:      map[gwv1.LabelKey]gwv1.LabelValue{"team": "edge", LabelGateway: "somebody-else"},
				Annotations: map[gwv1.AnnotationKey]gwv1.AnnotationValue{"note": "x"},
			}},
		},
		Ports: []translate.Port{{Public: 80, Listen: 10080}, {Public: 8080, Listen: 8080}},
	}
}

func TestObjects(t *testing.T) {
	for name, o := range map[string]Options{
		"local": {Image: "strata.local/proxy:1", Service: corev1.ServiceTypeClusterIP, Replicas: 1},
		"cloud": {Image: "registry.example/proxy:1", Service: corev1.ServiceTypeLoadBalancer, Args: []string{"-x", "y"}, PullSecrets: []string{"pull"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := For(gateway("public"), o)
			var docs []string
			for _, obj := range []any{out.ServiceAccount, out.Deployment, out.Service, out.Budget} {
				b, err := yaml.Marshal(obj)
				if err != nil {
					t.Fatal(err)
				}
				docs = append(docs, string(b))
			}
			got := strings.Join(docs, "---\n")
			file := filepath.Join("testdata", name+".yaml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestRestricted: namespaces of gateways may enforce the strictest standard.
func TestRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := For(gateway("public"), Options{Image: "x"}).Deployment
	results := evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &d.Spec.Template.ObjectMeta, &d.Spec.Template.Spec)
	if i := slices.IndexFunc(results, func(r policy.CheckResult) bool { return !r.Allowed }); i >= 0 {
		t.Errorf("%s: %s", results[i].ForbiddenReason, results[i].ForbiddenDetail)
	}
}

func TestAddress(t *testing.T) {
	addr := func(values ...string) *gwv1.Gateway {
		g := gateway("g").Object
		for _, v := range values {
			g.Spec.Addresses = append(g.Spec.Addresses, gwv1.GatewaySpecAddress{Value: v})
		}
		return g
	}
	for _, c := range []struct {
		values []string
		want   string
		fails  bool
	}{
		{nil, "", false}, {[]string{""}, "", false}, {[]string{"", "192.0.2.1"}, "192.0.2.1", false}, {[]string{"192.0.2.1", "192.0.2.2"}, "", true},
	} {
		if got, err := Address(addr(c.values...)); got != c.want || (err != nil) != c.fails {
			t.Errorf("Address(%q) = %q, %v", c.values, got, err)
		}
	}
	g := gateway("g")
	g.Object.Spec.Addresses = addr("192.0.2.1").Spec.Addresses
	if s := For(g, Options{Service: corev1.ServiceTypeClusterIP}).Service; s.Spec.ClusterIP != "192.0.2.1" || s.Spec.LoadBalancerIP != "" {
		t.Errorf("a ClusterIP Service gets %+v", s.Spec)
	}
	if s := For(g, Options{Service: corev1.ServiceTypeLoadBalancer}).Service; s.Spec.ClusterIP != "" || s.Spec.LoadBalancerIP != "192.0.2.1" {
		t.Errorf("a LoadBalancer Service gets %+v", s.Spec)
	}
}

func TestLongNames(t *testing.T) {
	out := For(gateway(strings.Repeat("a", 200)), Options{})
	for _, v := range []string{out.Service.Name, out.Deployment.Labels[LabelGateway], out.Deployment.Labels["app.kubernetes.io/name"]} {
		if len(v) > 63 || len(v) == 0 {
			t.Errorf("%q does not fit a label", v)
		}
	}
	if out.Service.Name != config.GatewayAccount(strings.Repeat("a", 200), "strata") {
		t.Errorf("the Service is called %q", out.Service.Name)
	}
}
