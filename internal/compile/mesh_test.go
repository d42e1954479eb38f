package compile_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/proxy/config"
)

// variablesOf returns the variables of a workload's first container that have a value.
func variablesOf(t *testing.T, c *compile.Compiled, workload string) map[string]string {
	t.Helper()
	u, ok := c.Graph.Unit(addr.Workload(c.Environment().Metadata.Name, workload))
	if !ok {
		t.Fatalf("there is no workload %s", workload)
	}
	objs, err := c.Objects(u)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, o := range objs {
		if d, ok := o.(*appsv1.Deployment); ok {
			for _, e := range d.Spec.Template.Spec.Containers[0].Env {
				out[e.Name] = e.Value
			}
		}
	}
	return out
}

// TestCallsOfAcme: in our own mesh a call is a port on loopback, numbered in the order of
// the resources' names; elsewhere it is the other workload's name.
func TestCallsOfAcme(t *testing.T) {
	r := open(t, acme(t))
	for env, want := range map[string]map[string]string{
		"dev": {
			"CATALOG_URL": "http://127.0.0.1:15200", "CHECKOUT_URL": "http://127.0.0.1:15201", "RECOMMENDER_URL": "http://127.0.0.1:15202",
		},
		"prod": {
			"CATALOG_URL":     "http://catalog.storefront.svc.cluster.local:80",
			"CHECKOUT_URL":    "http://checkout.payments.svc.cluster.local:80",
			"RECOMMENDER_URL": "http://recommender.insights.svc.cluster.local:80",
		},
	} {
		have := variablesOf(t, compiled(t, r, env), "storefront")
		for name, value := range want {
			if have[name] != value {
				t.Errorf("%s: %s is %q, want %q", env, name, have[name], value)
			}
		}
	}
}

// TestSidecarsAgree: what one workload's sidecar calls, the other's takes, from the
// identity that the first one has, on the port behind the Service.
func TestSidecarsAgree(t *testing.T) {
	c := compiled(t, open(t, acme(t)), "dev")
	configs := map[string]config.Sidecar{} // by SPIFFE ID
	hosts := map[string]*corev1.Service{}
	for _, u := range c.Graph.Units {
		if u.Workload == "" || u.Addr != addr.Workload("dev", u.Workload) {
			continue
		}
		objs, err := c.Objects(u)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objs {
			switch o := o.(type) {
			case *corev1.Service:
				hosts[o.Name+"."+o.Namespace+".svc.cluster.local"] = o
			case *corev1.ConfigMap:
				if !strings.HasPrefix(o.Name, u.Workload+"-proxy-") {
					continue
				}
				var sc config.Sidecar
				if err := json.Unmarshal([]byte(o.Data["config.json"]), &sc); err != nil {
					t.Fatal(err)
				}
				configs[config.ID(sc.TrustDomain, sc.Namespace, sc.Workload)] = sc
			}
		}
	}
	calls := 0
	for id, sc := range configs {
		if sc.TrustDomain != "dev.acme.example" {
			t.Errorf("%s is in the trust domain %s", id, sc.TrustDomain)
		}
		for _, out := range sc.Outbound {
			calls++
			other := configs[out.Identity]
			at := slices.IndexFunc(other.Inbound, func(in config.Inbound) bool { return in.Listen == out.Port })
			if at < 0 || !slices.Contains(other.Inbound[at].Callers, id) {
				t.Errorf("%s calls port %d of %s, which does not take it: %+v", id, out.Port, out.Identity, other.Inbound)
			}
			svc := hosts[out.Host]
			if svc == nil || svc.Spec.ClusterIP != corev1.ClusterIPNone || svc.Namespace != other.Namespace || svc.Spec.Selector["app.kubernetes.io/name"] != other.Workload {
				t.Errorf("%s looks for %s, and there is %+v", id, out.Host, svc)
			}
		}
	}
	if calls != 5 || len(configs) != 5 {
		t.Errorf("%d calls of %d sidecars, want 5 of 5: fulfilment and nightly-report call nobody and serve nothing", calls, len(configs))
	}
}

// TestPlatformImages: a new proxy is a change of those that run it, and of nothing else.
func TestPlatformImages(t *testing.T) {
	files := acme(t)
	before := digests(compiled(t, open(t, files), "dev").Graph)
	for i, f := range files {
		if f.Name == "releases/dev.yaml" {
			_, rest, _ := strings.Cut(string(f.Data), "strata-proxy@sha256:")
			files[i].Data = []byte(strings.Replace(string(f.Data), rest[:64], strings.Repeat("0", 64), 1))
		}
	}
	after := digests(compiled(t, open(t, files), "dev").Graph)
	var changed []string
	for name := range before {
		if before[name] != after[name] {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	want := []string{"platform/mesh", "workloads/backoffice", "workloads/catalog", "workloads/checkout", "workloads/recommender", "workloads/storefront"}
	if !slices.Equal(changed, want) {
		t.Errorf("changed: %v, want %v", changed, want)
	}
}
