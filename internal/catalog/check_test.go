package catalog

import (
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

// ownContract returns a sound contract as a platform team would write it.
func ownContract() *model.Contract {
	return &model.Contract{
		APIVersion: model.APIVersion,
		Kind:       model.KindContract,
		Metadata:   model.Metadata{Name: "search"},
		Source:     model.Source{File: "modules/search/contract.yaml"},
		Spec: model.ContractSpec{
			Summary: "Search index",
			Layer:   model.LayerProvisioning,
			Params: map[string]any{
				"type": "object",
				"properties": map[string]any{
					"shards": map[string]any{"type": "integer", "minimum": 1, "default": 1, "description": "Number of shards."},
				},
			},
			Outputs: map[string]model.ContractOutput{
				"host":  {Type: "string", Description: "Host name."},
				"token": {Type: "string", Kind: "secret", Description: "Token."},
			},
			Modules: map[string]model.ModuleBinding{
				"aws": {Source: "./aws", Inputs: map[string]string{
					"subnet_ids": "network.data_subnet_ids", "environment": "env.name", "name": "unit.name",
				}},
			},
		},
	}
}

func TestOwnContract(t *testing.T) {
	c := newCatalog(t, ownContract())
	if _, ok := c.Resource("search"); !ok {
		t.Fatal("own contract is not in the catalog")
	}
	ps := c.ValidateParams("search", map[string]any{"shard": 3})
	if len(ps) != 1 || !ps[0].Unknown || ps[0].Suggestion != "shards" {
		t.Errorf("a schema without additionalProperties must refuse unknown parameters, got %+v", ps)
	}
}

func TestOwnPlatformContractFeedsOthers(t *testing.T) {
	vpn := ownContract()
	vpn.Metadata.Name, vpn.Spec.Scope, vpn.Source.File = "vpn", model.ScopePlatform, "modules/vpn/contract.yaml"
	search := ownContract()
	search.Spec.Modules["aws"].Inputs["gateway"] = "vpn.host"
	newCatalog(t, search, vpn)
}

func TestCheckFindsMistakes(t *testing.T) {
	inputs := func(variable, source string) func(*model.Contract) {
		return func(k *model.Contract) { k.Spec.Modules["aws"].Inputs[variable] = source }
	}
	source := func(s string) func(*model.Contract) {
		return func(k *model.Contract) { k.Spec.Modules["aws"] = model.ModuleBinding{Source: s} }
	}
	for _, tc := range []struct {
		name   string
		change func(*model.Contract)
		rule   string
		path   string
		says   string
	}{
		{"name of a built-in type", func(k *model.Contract) { k.Metadata.Name = "postgres" }, RuleDuplicate, "metadata.name", "there already"},
		{"native", func(k *model.Contract) { k.Spec.Native = true }, RuleNative, "spec.native", "only contracts that come with Strata"},
		{"schema of the wrong shape", func(k *model.Contract) { k.Spec.Params["properties"] = []any{"shards"} }, RuleSchema, "spec.params.properties", "must be a mapping, not a list"},
		{"unknown JSON type", func(k *model.Contract) {
			k.Spec.Params["properties"].(map[string]any)["shards"].(map[string]any)["type"] = "int"
		}, RuleSchema, "spec.params.properties.shards.type", "not a valid JSON Schema"},
		{"parameters that are no object", func(k *model.Contract) { k.Spec.Params["type"] = "array" }, RuleSchema, "spec.params.type", "parameters are an object"},
		{"bad regular expression", func(k *model.Contract) {
			k.Spec.Params["properties"].(map[string]any)["shards"].(map[string]any)["pattern"] = "("
		}, RuleSchema, "spec.params.properties.shards.pattern", "not a valid JSON Schema"},
		{"reference to a file", func(k *model.Contract) {
			k.Spec.Params["properties"] = map[string]any{"x": map[string]any{"$ref": "file:///etc/passwd"}}
		}, RuleSchema, "spec.params", "not a valid JSON Schema"},
		{"default out of bounds", func(k *model.Contract) {
			k.Spec.Params["properties"].(map[string]any)["shards"].(map[string]any)["default"] = 0
		}, RuleSchema, "spec.params.properties.shards.default", "must be at least 1"},
		{"a function in the schema", func(k *model.Contract) { k.Spec.Params["x"] = func() {} }, RuleSchema, "spec.params.x", "only what JSON can hold"},
		{"bad type of an output", func(k *model.Contract) { k.Spec.Outputs["host"] = model.ContractOutput{Type: "text"} }, RuleOutput, "spec.outputs.host.type", `"text" is not an OpenTofu type`},
		{"bad name of an output", func(k *model.Contract) { k.Spec.Outputs["host name"] = model.ContractOutput{Type: "string"} }, RuleOutput, `spec.outputs["host name"]`, "cannot be the name of an output"},
		{"no module", func(k *model.Contract) { k.Spec.Modules = nil }, RuleModule, "spec", "nothing fulfils search"},
		{"unknown cloud", func(k *model.Contract) { k.Spec.Modules["oracle"] = model.ModuleBinding{Source: "./x"} }, RuleModule, "spec.modules.oracle", `unknown cloud "oracle"`},
		{"source out of the repository", source("../../../elsewhere"), RuleModule, "spec.modules.aws.source", "leads out of the repository"},
		{"absolute source", source("/srv/modules/search"), RuleModule, "spec.modules.aws.source", "must be relative"},
		{"source from a registry", source("git::https://example.com/search.git"), RuleModule, "spec.modules.aws.source", "not an address"},
		{"source with backslashes", source(`..\..\..\x`), RuleModule, "spec.modules.aws.source", "forward slashes"},
		{"empty source", source(""), RuleModule, "spec.modules.aws.source", "is empty"},
		{"built-in source", source("builtin:aws/postgres"), RuleModule, "spec.modules.aws.source", "belongs to Strata"},
		{"no such output", inputs("vpc", "network.vpcid"), RuleInput, "spec.modules.aws.inputs.vpc", `did you mean "vpc_id"?`},
		{"no such platform contract", inputs("vpc", "netwrok.vpc_id"), RuleInput, "spec.modules.aws.inputs.vpc", `did you mean "network"?`},
		{"no such fact of the environment", inputs("x", "env.zone"), RuleInput, "spec.modules.aws.inputs.x", `env has no "zone"`},
		{"no such fact of the unit", inputs("x", "unit.address"), RuleInput, "spec.modules.aws.inputs.x", `unit has no "address"`},
		{"not a source", inputs("x", "network"), RuleInput, "spec.modules.aws.inputs.x", "is not a source"},
		{"bad variable", inputs("a b", "unit.name"), RuleInput, `spec.modules.aws.inputs["a b"]`, "cannot be the name"},
		{"reserved variable", inputs("version", "unit.name"), RuleInput, "spec.modules.aws.inputs.version", "cannot be the name"},
		{"variable of a parameter", inputs("shards", "unit.name"), RuleInput, "spec.modules.aws.inputs.shards", "is also where parameter shards is passed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := ownContract()
			tc.change(k)
			_, ds := New([]*model.Contract{k})
			if len(ds) != 1 {
				t.Fatalf("want one diagnostic, got %v", ds)
			}
			d := ds[0]
			if d.Rule != tc.rule || d.Path.String() != tc.path || !strings.Contains(d.Summary, tc.says) || d.File != k.Source.File || d.Severity != diag.Error {
				t.Errorf("got %v at %s", d, d.Path)
			}
		})
	}
}

// The first by file name wins, in whatever order files were listed.
func TestTwoOwnContractsOfOneName(t *testing.T) {
	a, b := ownContract(), ownContract()
	b.Source.File = "modules/other/contract.yaml"
	_, ds := New([]*model.Contract{b, a})
	if len(ds) != 1 || ds[0].File != a.Source.File || !strings.Contains(ds[0].Detail, b.Source.File) {
		t.Errorf("got %v", ds)
	}
}
