package schema_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/schema"
)

// compile returns a validator of a JSON Schema, having it checked against its
// dialect's own schema.
func compile(t *testing.T, doc any) *jsonschema.Schema {
	t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generated(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	return compile(t, schema.JSONSchema(roots[kind], "https://strata.example/"+kind, kind))
}

// fromYAML reads a document as the validator wants it.
func fromYAML(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestJSONSchemaDocuments(t *testing.T) {
	const (
		env   = "apiVersion: strata/v1alpha1\nkind: Environment\nmetadata: {name: prod}\nspec: {cloud: aws, "
		score = "apiVersion: score.dev/v1b1\nmetadata: {name: web}\ncontainers: {main: {image: ., "
		plat  = "apiVersion: strata/v1alpha1\nkind: Platform\nmetadata: {name: acme}\nspec: {domain: acme.example, teams: {pay: {contact: x}}, "
	)
	cases := []struct {
		name, kind, doc string
		good            bool
	}{
		{"smallest environment", "environment", env + "}", true},
		{"unknown field", "environment", env + "clsuter: {}}", false},
		{"bad enum", "environment", "apiVersion: strata/v1alpha1\nkind: Environment\nmetadata: {name: prod}\nspec: {cloud: aw}", false},
		{"missing spec", "environment", "apiVersion: strata/v1alpha1\nkind: Environment\nmetadata: {name: prod}", false},
		{"existing is open", "environment", env + "network: {existing: {vpc_id: x, subnets: [a, 1]}}}", true},
		{"existing is a mapping", "environment", env + "network: {existing: x}}", false},
		{"number in bounds", "environment", env + "network: {zones: 3}}", true},
		{"number out of bounds", "environment", env + "network: {zones: 7}}", false},
		{"text for a number", "environment", env + "network: {zones: \"3\"}}", false},
		{"number for text", "environment", env + "account: {id: 444455556666}}", false},
		{"key pattern holds", "environment", env + "workloads: {web: {replicas: 0}}}", true},
		{"key pattern broken", "environment", env + "workloads: {Web: {replicas: 0}}}", false},
		{"pool without max", "environment", env + "cluster: {nodePools: [{name: a, instance: b, min: 0}]}}", false},
		{"pool", "environment", env + "cluster: {nodePools: [{name: a, instance: b, min: 0, max: 1}]}}", true},
		{"pattern of items", "platform", plat + "people: {a@b: {keys: [nonsense]}}}", false},
		{"good items", "platform", plat + "people: {a@b: {keys: [ssh-ed25519 AAAA]}}}", true},
		{"too few items", "platform", plat + "people: {a@b: {keys: []}}}", false},
		{"pattern of values", "release", "apiVersion: strata/v1alpha1\nkind: Release\nmetadata: {name: prod}\nspec: {workloads: {web: {images: {main: \"nginx:1\"}}}}", false},
		{"short reason", "exceptions", "apiVersion: strata/v1alpha1\nkind: Exceptions\nspec: {exceptions: [{rule: a, address: b, reason: short, owner: o, expires: 2026-01-01}]}", false},
		{"exception", "exceptions", "apiVersion: strata/v1alpha1\nkind: Exceptions\nspec: {exceptions: [{rule: a, address: b, reason: long enough, owner: o, expires: \"2026-01-01\"}]}", true},
		{"params are open", "contract", "apiVersion: strata/v1alpha1\nkind: Contract\nmetadata: {name: x}\nspec: {summary: s, layer: runtime, params: {type: object}}", true},
		{"smallest workload", "workload", score + "}}", true},
		{"free metadata", "workload", "apiVersion: score.dev/v1b1\nmetadata: {name: web, tier: [1]}\ncontainers: {main: {image: a}}", true},
		{"no containers", "workload", "apiVersion: score.dev/v1b1\nmetadata: {name: web}\ncontainers: {}", false},
		{"files as a map", "workload", score + "files: {/a: {content: x}}}}", true},
		{"files as a list", "workload", score + "files: [{target: /a, content: x}]}}", true},
		{"list item without target", "workload", score + "files: [{content: x}]}}", false},
		{"map item with target", "workload", score + "files: {/a: {target: /a, content: x}}}}", false},
		{"file with two contents", "workload", score + "files: {/a: {content: x, source: y}}}}", false},
		{"probe of nothing", "workload", score + "livenessProbe: {}}}", false},
		{"probe of both", "workload", score + "livenessProbe: {exec: {command: [a]}, httpGet: {path: /, port: 80}}}}", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := generated(t, c.kind).Validate(fromYAML(t, c.doc))
			if (err == nil) != c.good {
				t.Errorf("valid is %v, want %v: %v", err == nil, c.good, err)
			}
		})
	}
}

// TestJSONSchemaForEditors checks what editors show beside the bounds.
func TestJSONSchemaForEditors(t *testing.T) {
	for kind, typ := range roots {
		generated(t, kind)
		doc := schema.JSONSchema(typ, "https://strata.example/"+kind, "Strata "+kind)
		if doc["$schema"] != schema.Dialect || doc["title"] != "Strata "+kind {
			t.Errorf("%s: head is %v, %v", kind, doc["$schema"], doc["title"])
		}
	}
	doc := schema.JSONSchema(roots["environment"], "x", "x")
	network := doc["$defs"].(map[string]any)["Network"].(map[string]any)["properties"].(map[string]any)
	zones := network["zones"].(map[string]any)
	if zones["default"] != 3 || zones["description"] == nil {
		t.Errorf("zones is %v", zones)
	}
}
