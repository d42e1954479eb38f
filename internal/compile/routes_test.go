package compile_test

import (
	"bytes"
	"encoding/json"
	"testing"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/gateway/routepolicy"
)

// TestRouteParameters: what a team writes of a route's limits is what its gateway is told.
func TestRouteParameters(t *testing.T) {
	files := acme(t)
	for i := range files {
		if files[i].Name != "environments/local.yaml" {
			continue
		}
		for old, with := range map[string]string{
			"tls: disabled":             "tls: platform-ca",
			"  resources:\n":            "  resources:\n    route: {params: {maxRequestBytes: 4096}}\n",
			"storefront: {resources: {": `storefront: {resources: {web: {params: {rateLimit: {requestsPerSecond: 20, burst: 60}, token: {issuer: "https://id.acme.example/tenant", audiences: [shop, office]}}}, `,
		} {
			files[i].Data = bytes.Replace(files[i].Data, []byte(old), []byte(with), 1)
		}
	}
	c := compiled(t, open(t, files), "local")
	u, ok := c.Graph.Unit(addr.Workload("local", "storefront"))
	if !ok {
		t.Fatal("there is no storefront")
	}
	objs, err := c.Objects(u)
	if err != nil {
		t.Fatal(err)
	}
	policies, referred := map[string]string{}, map[string]bool{}
	for _, o := range objs {
		switch o := o.(type) {
		case *routepolicy.RoutePolicy:
			b, err := json.Marshal(o.Spec)
			if err != nil {
				t.Fatal(err)
			}
			policies[o.Name] = string(b)
		case *gwv1.HTTPRoute:
			if got := *o.Spec.ParentRefs[0].SectionName; got != "https" {
				t.Errorf("a route is served by the listener %s", got)
			}
			for _, r := range o.Spec.Rules {
				if len(r.Filters) != 1 || r.Filters[0].ExtensionRef == nil {
					t.Fatalf("a rule has the filters %+v", r.Filters)
				}
				referred[string(r.Filters[0].ExtensionRef.Name)] = true
			}
		}
	}
	want := `{"rateLimit":{"requestsPerSecond":20,"burst":60},"maxRequestBytes":4096,"token":{"issuer":"https://id.acme.example/tenant","audiences":["shop","office"]}}`
	if len(policies) == 0 || len(policies) != len(referred) {
		t.Fatalf("policies %v, of which rules refer to %v", policies, referred)
	}
	found := false
	for name, spec := range policies {
		if !referred[name] {
			t.Errorf("nothing refers to %s", name)
		}
		found = found || spec == want
	}
	if !found {
		t.Errorf("no policy is %s: %v", want, policies)
	}
	for _, r := range c.Routes() {
		if r.URL[:8] != "https://" {
			t.Errorf("a route is at %s", r.URL)
		}
	}
}
