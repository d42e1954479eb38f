package catalog

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

func newCatalog(t testing.TB, own ...*model.Contract) *Catalog {
	t.Helper()
	c, ds := New(own)
	for _, d := range ds {
		t.Error(d)
	}
	return c
}

func all(c *Catalog) []*model.Contract {
	var out []*model.Contract
	for _, set := range []map[string]*entry{c.resources, c.platform} {
		for _, name := range model.SortedKeys(set) {
			out = append(out, set[name].contract)
		}
	}
	return out
}

func TestTypes(t *testing.T) {
	c := newCatalog(t)
	resources := []string{
		"amqp", "dns", "gpu", "horizontal-pod-autoscaler", "kafka-topic", "mysql", "postgres", "redis",
		"route", "s3", "schedule", "secret", "service", "volume",
	}
	if got := c.ResourceTypes(); !slices.Equal(got, resources) {
		t.Errorf("resource types: %q", got)
	}
	platform := []string{"account", "addons", "cluster", "dns", "kafka", "network", "registry", "secrets", "state"}
	if got := c.PlatformTypes(); !slices.Equal(got, platform) {
		t.Errorf("platform types: %q", got)
	}
	if _, ok := c.Resource("network"); ok {
		t.Error("a platform contract was found among the resource types")
	}
	if got := c.Suggest("postgress"); got != "postgres" {
		t.Errorf("suggested %q for postgress", got)
	}
}

// TestBuiltinsAreSound holds the contracts that come with Strata to what is
// demanded of own contracts, and to more.
func TestBuiltinsAreSound(t *testing.T) {
	c := newCatalog(t)
	for _, k := range all(c) {
		t.Run(strings.TrimPrefix(k.Spec.Scope+"."+k.Metadata.Name, "."), func(t *testing.T) {
			if k.APIVersion != model.APIVersion || k.Kind != model.KindContract {
				t.Errorf("is a %s of %s", k.Kind, k.APIVersion)
			}
			if k.Spec.Summary == "" || strings.HasSuffix(k.Spec.Summary, ".") {
				t.Errorf("summary %q: want one line without a full stop", k.Spec.Summary)
			}
			if k.Spec.Params["additionalProperties"] != false {
				t.Error("lets unknown parameters through")
			}
			if k.Spec.Native == (len(k.Spec.Modules) > 0) {
				t.Error("must be either native or fulfilled by modules")
			}
			for name, o := range k.Spec.Outputs {
				if _, err := ParseType(o.Type); err != nil || o.Description == "" || !ValidName(name) {
					t.Errorf("output %s: %+v: %v", name, o, err)
				}
			}
			for _, p := range c.Params(k) {
				if !strings.ContainsAny(p.Name, ".[") && !ValidVariable(VariableName(k.Metadata.Name, p.Name)) {
					t.Errorf("parameter %s cannot be passed to a module", p.Name)
				}
				if p.Doc == "" || p.Type == "" || p.Type == "any" {
					t.Errorf("parameter %s is not described: %+v", p.Name, p)
				}
			}
			// Sources of built-in modules are a special case of check's;
			// everything else must pass it as it stands.
			user := *k
			user.Spec.Native = false
			user.Spec.Modules = map[string]model.ModuleBinding{}
			for cloud, m := range k.Spec.Modules {
				if !strings.HasPrefix(m.Source, BuiltinPrefix+cloud+"/") {
					t.Errorf("module of %s has source %q", cloud, m.Source)
				}
				m.Source = "./" + cloud
				user.Spec.Modules[cloud] = m
			}
			if k.Spec.Native {
				user.Spec.Modules["aws"] = model.ModuleBinding{Source: "./aws"}
			}
			var ds diag.List
			c.check(&ds, newEntry(&user))
			for _, d := range ds {
				t.Error(d, d.Detail)
			}
		})
	}
}

func TestModulesByCloud(t *testing.T) {
	c := newCatalog(t)
	for _, typ := range c.ResourceTypes() {
		k, _ := c.Resource(typ)
		for _, cloud := range []string{model.CloudAWS, model.CloudLocal} {
			m, ok := c.ModuleFor(k, cloud)
			if ok == k.Spec.Native {
				t.Errorf("%s in %s: module %v, native %v", typ, cloud, ok, k.Spec.Native)
			}
			// A module that makes a secret must be told where to put it,
			// or it would have to return it as a value.
			for name, o := range k.Spec.Outputs {
				if o.Secret() && ok && m.Inputs["secret_path"] != "unit.secret_path" {
					t.Errorf("%s in %s makes secret %s and has no secret_path", typ, cloud, name)
				}
			}
		}
	}
	own := ownContract()
	m, ok := c.ModuleFor(own, "aws")
	if !ok || m.Source != "modules/search/aws" {
		t.Errorf("own module: %q, %v", m.Source, ok)
	}
	if _, ok := c.ModuleFor(own, "gcp"); ok {
		t.Error("found a module in a cloud that has none")
	}
}

func TestParams(t *testing.T) {
	c := newCatalog(t)
	k, _ := c.Resource("horizontal-pod-autoscaler")
	var got []string
	for _, p := range c.Params(k) {
		got = append(got, p.Name)
	}
	want := []string{"max", "metrics", "metrics.cpu", "metrics.memory", "metrics.queue", "metrics.queueDepth", "metrics.requestsPerSecond", "min"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	k, _ = c.Resource("postgres")
	for _, p := range c.Params(k) {
		if p.Name == "backupDays" {
			want := Param{Name: "backupDays", Type: "whole number", Default: 7, Min: 0, Max: 35, Unit: "days", Doc: p.Doc}
			if !reflect.DeepEqual(p, want) {
				t.Errorf("got %+v, want %+v", p, want)
			}
		}
		if p.Name == "extensions" && (p.Type != "list of text" || !strings.Contains(p.Form, "the name of an extension")) {
			t.Errorf("got %+v", p)
		}
	}
	k, _ = c.Resource("dns")
	if p := c.Params(k)[0]; p.Name != "name" || !p.Required {
		t.Errorf("the required parameter is not first: %+v", p)
	}
	k, _ = c.Platform("cluster")
	if !slices.ContainsFunc(c.Params(k), func(p Param) bool { return p.Name == "nodePools[].instance" && p.Required }) {
		t.Error("items of a list are not described")
	}
}

func TestParamsOfRecursiveSchemaEnd(t *testing.T) {
	own := ownContract()
	own.Spec.Params = map[string]any{
		"type": "object",
		"properties": map[string]any{
			"child": map[string]any{"$ref": "#", "description": "itself"},
		},
	}
	c := newCatalog(t, own)
	if n := len(c.Params(own)); n == 0 || n > 20 {
		t.Errorf("%d parameters", n)
	}
	if ps := c.ValidateParams("search", map[string]any{"child": map[string]any{"child": map[string]any{"chlid": 1}}}); len(ps) != 1 || ps[0].Suggestion != "child" {
		t.Errorf("got %+v", ps)
	}
}

func TestDefaults(t *testing.T) {
	c := newCatalog(t)
	got := c.Defaults("horizontal-pod-autoscaler")
	want := map[string]any{"min": 2, "max": 10, "metrics": map[string]any{"cpu": 70}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
	if c.Defaults("nothing") != nil {
		t.Error("defaults of an unknown type")
	}
	if c.PlatformDefaults("network")["zones"] != 3 {
		t.Errorf("got %#v", c.PlatformDefaults("network"))
	}
}

func TestVariableName(t *testing.T) {
	for in, want := range map[string]string{
		"size": "size", "highAvailability": "high_availability", "expireDays": "expire_days", "nodePools": "node_pools",
		"kmsKeyARN": "kms_key_arn", "max-size": "max_size", "Name": "name",
		"version": "gpu_pool_version", "count": "gpu_pool_count",
	} {
		if got := VariableName("gpu-pool", in); got != want {
			t.Errorf("VariableName of %q = %q, want %q", in, got, want)
		}
	}
}

func TestDecodeBuiltinsIsStrict(t *testing.T) {
	fsys := fstest.MapFS{"contracts/x.yaml": {Data: []byte("apiVersion: strata/v1alpha1\nkinds: Contract\n")}}
	if _, err := decodeBuiltins(fsys); err == nil || !strings.Contains(err.Error(), "contracts/x.yaml") {
		t.Errorf("got %v", err)
	}
}
