package compile_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
)

const someExceptions = `apiVersion: strata/v1alpha1
kind: Exceptions
metadata: {name: acme}
spec:
  exceptions:
    - {rule: service-exposed, address: Service/payments/bank-*, environments: [prod], reason: The bank dials in itself., owner: payments, expires: "2027-12-31"}
    - {rule: pss-host-ports, address: workloads/catalog DaemonSet/storefront/agent, environments: [dev], reason: It collects what others write., owner: storefront, expires: "2027-12-31"}
    - {rule: database-availability, address: workloads/backoffice, environments: [prod], reason: It is licensed for a single server., owner: payments, expires: "2027-12-31"}
`

// TestAdmissionOfAcme: the API server of an environment takes images from where its own
// come from, and accepts what the exceptions about objects accept there.
func TestAdmissionOfAcme(t *testing.T) {
	files := slices.DeleteFunc(acme(t), func(f txtar.File) bool { return f.Name == "policies/exceptions.yaml" })
	r := open(t, append(files, txtar.File{Name: "policies/exceptions.yaml", Data: []byte(someExceptions)}))
	for env, want := range map[string]struct{ has, lacks []string }{
		"local": {[]string{`i.startsWith(\"strata.local/\")`}, []string{"registry.acme.example", "bank"}},
		"dev":   {[]string{`i.startsWith(\"registry.acme.example/apps/\")`, `matches(\"^storefront$\")`, `matches(\"^agent$\")`}, []string{"bank", "strata.local"}},
		"prod": {
			[]string{`i.startsWith(\"registry.acme.example/apps/\")`, `matches(\"^bank-.*$\")`, "2028-01-01T00:00:00Z", "The bank dials in itself."},
			[]string{"agent", "licensed", "strata.local"},
		},
	} {
		c := compiled(t, r, env)
		u, ok := c.Graph.Unit(addr.Platform(env, "policy"))
		if !ok {
			t.Fatalf("%s has no admission rules", env)
		}
		objs, err := c.Objects(u)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, o := range objs {
			b, err := kube.MarshalJSON(o)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(b)
		}
		for _, s := range want.has {
			if !strings.Contains(text.String(), s) {
				t.Errorf("%s: there is no %s in\n%s", env, s, text.String())
			}
		}
		for _, s := range want.lacks {
			if strings.Contains(text.String(), s) {
				t.Errorf("%s: there is %s in\n%s", env, s, text.String())
			}
		}
	}
}
