package catalog

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/stratahq/strata/internal/model"
)

const acme = "../../examples/acme"

func load[T any](t *testing.T, pattern string) []*T {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(acme, pattern))
	if err != nil || len(names) == 0 {
		t.Fatal(pattern, names, err)
	}
	var out []*T
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v := new(T)
		if err := yaml.UnmarshalStrict(data, v); err != nil {
			t.Fatal(name, err)
		}
		out = append(out, v)
	}
	return out
}

// TestAcme holds the example to the contracts: each of its parameters is valid in
// each environment, and together its workloads use every resource type.
func TestAcme(t *testing.T) {
	c := newCatalog(t)
	workloads := load[model.Workload](t, "workloads/*/score.yaml")
	if len(workloads) < 7 {
		t.Errorf("%d workloads", len(workloads))
	}
	used := map[string]bool{}
	for _, env := range load[model.Environment](t, "environments/*.yaml") {
		spec := env.Spec
		existing := func(platform string, block map[string]any) {
			k, _ := c.Platform(platform)
			if block == nil {
				return
			}
			for _, p := range c.ValidateExisting(k, block) {
				t.Errorf("%s: existing %s: %s", env.Metadata.Name, platform, p.Message)
			}
		}
		if spec.Account != nil {
			existing("account", spec.Account.Existing)
		}
		if spec.Network != nil {
			existing("network", spec.Network.Existing)
		}
		for typ := range spec.Resources {
			if _, ok := c.Resource(typ); !ok {
				t.Errorf("%s: no type %q", env.Metadata.Name, typ)
			}
		}
		for _, w := range workloads {
			overrides := spec.Workloads[w.Metadata.Name].Resources
			for name := range overrides {
				if _, ok := w.Resources[name]; !ok {
					t.Errorf("%s overrides %s of %s, which is not there", env.Metadata.Name, name, w.Metadata.Name)
				}
			}
			for name, r := range w.Resources {
				k, ok := c.Resource(r.Type)
				if !ok {
					t.Errorf("%s: no type %q", w.Metadata.Name, r.Type)
					continue
				}
				used[r.Type] = true
				if _, ok := c.ModuleFor(k, spec.Cloud); !ok && !k.Spec.Native {
					t.Errorf("%s has no module in %s", r.Type, spec.Cloud)
				}
				params := map[string]any{}
				for _, layer := range []map[string]any{c.Defaults(r.Type), spec.Resources[r.Type].Params, r.Params, overrides[name].Params} {
					maps.Copy(params, layer)
				}
				for _, p := range c.ValidateParams(r.Type, params) {
					t.Errorf("%s: %s.%s: %s", env.Metadata.Name, w.Metadata.Name, name, p.Message)
				}
			}
		}
	}
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, c.ResourceTypes()) {
		t.Errorf("types in use: %q", got)
	}
}
