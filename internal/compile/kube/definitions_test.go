package kube_test

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/cluster/clustertest"
	"github.com/stratahq/strata/internal/compile/kube"
)

// TestDefinitions: a cluster that has nothing takes the definitions, and after them what
// the platform describes by them.
func TestDefinitions(t *testing.T) {
	env := kube.Env{Platform: "acme", PlatformDomain: "acme.example", Name: "prod", Cloud: "aws", Mesh: "strata", IngressDomain: "acme.example",
		GatewayClass: "strata", TLS: "acme", ProxyImage: goodImage, ControlImage: goodImage}
	unit := kube.Platform{Addr: addr.Platform("prod", "gateway-api")}
	objs, err := kube.RenderDefinitions(env, unit)
	if err != nil || len(objs) < 7 {
		t.Fatalf("%d definitions, %v", len(objs), err)
	}
	c, err := cluster.Open(clustertest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	apply := func(o kube.Object, dry bool) {
		t.Helper()
		b, err := kube.MarshalJSON(o)
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal(b, u); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Apply(t.Context(), u, cluster.ApplyOptions{DryRun: dry}); err != nil {
			t.Errorf("%s: %v", cluster.Name(u), err)
		}
	}
	for _, o := range objs {
		if o.GetAnnotations()[kube.AnnotationUnit] != "prod/platform/gateway-api" || o.GetLabels()[kube.LabelPlatform] != "acme" {
			t.Errorf("%s is of nobody: %v, %v", o.GetName(), o.GetLabels(), o.GetAnnotations())
		}
		apply(o, false)
	}
	for _, o := range objs {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(o.GetObjectKind().GroupVersionKind())
		u.SetName(o.GetName())
		for {
			live, err := c.Get(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			if live != nil && cluster.StateOf(live).Ready {
				break
			}
			if t.Context().Err() != nil {
				t.Fatalf("%s is not established", o.GetName())
			}
		}
	}
	gateways, err := kube.RenderPlatform(env, kube.Platform{Addr: addr.Platform("prod", "gateway")})
	if err != nil {
		t.Fatal(err)
	}
	control, err := kube.RenderControl(env, kube.Platform{Addr: addr.Platform("prod", "mesh")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append(control, gateways...) {
		switch o.GetObjectKind().GroupVersionKind().Kind {
		case "Namespace":
			apply(o, false)
		case "GatewayClass", "Gateway", "HTTPRoute":
			apply(o, true)
		}
	}
}
