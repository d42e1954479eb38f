package explain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/explain"
	"github.com/stratahq/strata/internal/model"
)

var update = flag.Bool("update", false, "write what was explained into testdata")

type fakeCatalog struct {
	resources, platform map[string]*model.Contract
}

func (c fakeCatalog) Resource(typ string) (*model.Contract, bool) {
	k, ok := c.resources[typ]
	return k, ok
}

func (c fakeCatalog) Platform(name string) (*model.Contract, bool) {
	k, ok := c.platform[name]
	return k, ok
}

func (c fakeCatalog) ResourceTypes() []string { return slices.Sorted(maps.Keys(c.resources)) }

func (c fakeCatalog) PlatformTypes() []string { return slices.Sorted(maps.Keys(c.platform)) }

const params = `{
  "type": "object", "additionalProperties": false, "required": ["version"],
  "properties": {
    "version": {"type": "string", "enum": ["16", "17"], "description": "Major version."},
    "storage": {"type": "string", "pattern": "^[0-9]+Gi$", "x-says": "an amount of space such as 20Gi", "default": "20Gi"},
    "highAvailability": {"type": "boolean", "default": false, "description": "A standby takes over when the server fails."},
    "backupDays": {"type": "integer", "minimum": 0, "maximum": 35, "x-unit": "days", "default": 7, "description": "Days that backups are kept."},
    "extensions": {"type": "array", "items": {"$ref": "#/$defs/extension"}, "default": [], "description": "Extensions to create."},
    "metrics": {"type": "object", "minProperties": 1, "properties": {"cpu": {"type": "integer", "exclusiveMinimum": 0}}, "additionalProperties": false},
    "settings": {"type": "object", "additionalProperties": {"type": ["string", "number"]}, "propertyNames": {"pattern": "^[a-z_]+$"}},
    "loop": {"$ref": "#/$defs/loop"},
    "tree": {"$ref": "#/$defs/tree"}
  },
  "$defs": {
    "extension": {"type": "string", "minLength": 1},
    "loop": {"$ref": "#/$defs/loop"},
    "tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}
  }
}`

func newExplainer(t testing.TB) *explain.Explainer {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal([]byte(params), &schema); err != nil {
		t.Fatal(err)
	}
	c := fakeCatalog{
		resources: map[string]*model.Contract{
			"postgres": {Spec: model.ContractSpec{
				Summary: "PostgreSQL database", Description: "A database of its own on a managed server.", Layer: model.LayerProvisioning,
				Classes: []string{"shared", "dedicated"}, Params: schema,
				Outputs: map[string]model.ContractOutput{
					"host":     {Type: "string", Description: "Host name of the server."},
					"password": {Type: "string", Kind: "secret", Description: "Password of the user."},
				},
				Modules: map[string]model.ModuleBinding{"aws": {Source: "builtin:aws/postgres"}, "local": {Source: "builtin:local/postgres"}},
			}},
			"gpu": {Spec: model.ContractSpec{Summary: "Accelerators", Layer: model.LayerRuntime, Native: true}},
		},
		platform: map[string]*model.Contract{
			"network":  {Spec: model.ContractSpec{Summary: "Private network", Layer: model.LayerNetworking, Scope: model.ScopePlatform, Outputs: map[string]model.ContractOutput{"vpc_id": {Type: "string", Description: "The network."}}}},
			"registry": {Spec: model.ContractSpec{Summary: "Image registry", Layer: model.LayerSecurity, Scope: model.ScopePlatform}},
		},
	}
	// Near enough for tests: the same name but for one missing or other letter at the end.
	nearest := func(name string, candidates []string) string {
		for _, c := range candidates {
			if len(name) > 2 && strings.HasPrefix(c, name[:len(name)-1]) && len(c)-len(name) <= 1 {
				return c
			}
		}
		return ""
	}
	return explain.New(c, nearest)
}

// TestGolden explains what each file of the archive is named after.
func TestGolden(t *testing.T) {
	const file = "testdata/explain.txtar"
	x := newExplainer(t)
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range ar.Files {
		var b bytes.Buffer
		switch path, machine := strings.CutPrefix(f.Name, "json:"); {
		case path == "topics" && machine:
			err = explain.TopicsJSON(&b, x.Topics())
		case path == "topics":
			err = explain.TopicsHuman(&b, x.Topics(), false, 80)
		default:
			var doc *explain.Doc
			if doc, err = x.Lookup(path); err != nil {
				b.WriteString(err.Error() + "\n")
				err = nil
			} else if machine {
				err = explain.JSON(&b, doc)
			} else {
				err = explain.Human(&b, doc, false, 80)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			ar.Files[i].Data = b.Bytes()
		} else if !bytes.Equal(b.Bytes(), f.Data) {
			t.Errorf("%s differs (run with -update to accept)\ngot:\n%s\nwant:\n%s", f.Name, b.Bytes(), f.Data)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryField looks up each field that any explanation lists, all the way down.
func TestEveryField(t *testing.T) {
	x := newExplainer(t)
	n := 0
	var walk func(path string, depth int)
	walk = func(path string, depth int) {
		doc, err := x.Lookup(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		n++
		if doc.Type == "" || doc.Doc == "" && depth > 1 && !strings.HasPrefix(path, "postgres") {
			t.Errorf("%s: type %q, doc %q", path, doc.Type, doc.Doc)
		}
		if depth < 10 {
			for _, f := range doc.Fields {
				walk(f.Path, depth+1)
			}
		}
	}
	for _, topic := range x.Topics() {
		walk(topic.Name, 0)
	}
	if n < 150 {
		t.Errorf("only %d fields explained", n)
	}
}

func TestPaths(t *testing.T) {
	x := newExplainer(t)
	for path, want := range map[string]string{
		"environment.cluster.nodePools.instance":         "environment.spec.cluster.nodePools.instance",
		"Environment.spec.cluster.nodePools[0].instance": "environment.spec.cluster.nodePools.instance",
		"environment.workloads.web.replicas":             "environment.spec.workloads.web.replicas",
		"environment.workloads.replicas":                 "environment.spec.workloads.replicas",
		"score.containers.main.files":                    "workload.containers.main.files",
		`workload.containers.main.files["/etc/x"].mode`:  "workload.containers.main.files./etc/x.mode",
		"workload.containers.files.content":              "workload.containers.files.content",
		"postgres.params.highAvailability":               "postgres.highAvailability",
		"postgres.outputs.password":                      "postgres.outputs.password",
		"postgres.password":                              "postgres.outputs.password",
		"platform.network":                               "platform.network",
		"platform.registry":                              "platform.registry",
		"platform.spec.registry":                         "platform.spec.registry",
		"platform.teams.pay.quota.cpu":                   "platform.spec.teams.pay.quota.cpu",
	} {
		doc, err := x.Lookup(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if doc.Path != want {
			t.Errorf("%s is %s, want %s", path, doc.Path, want)
		}
	}
	for path, nearest := range map[string]string{
		"environmen": "environment", "environment.clustes": "cluster", "environment.cluster.nodePool": "nodePools",
		"postgres.backupDay": "backupDays", "postgres.hos": "host", "": "", "nonsense": "", "environment.network.existing.vpc_id": "",
	} {
		_, err := x.Lookup(path)
		var unknown *explain.UnknownError
		if !errors.As(err, &unknown) {
			t.Errorf("%q: %v", path, err)
		} else if unknown.Nearest != nearest {
			t.Errorf("%q: nearest is %q, want %q", path, unknown.Nearest, nearest)
		}
	}
}

// TestAnyPath looks up what nobody would write: it must only not panic.
func TestAnyPath(t *testing.T) {
	x := newExplainer(t)
	part := rapid.SampledFrom([]string{"environment", "spec", "postgres", "platform", "network", "params", "outputs", "workload", "containers", "files", "tree", "loop", "[0]", "[", "]", `["`, ".", "..", "existing", "x"})
	rapid.Check(t, func(t *rapid.T) {
		path := strings.Join(rapid.SliceOfN(part, 0, 8).Draw(t, "parts"), ".")
		if doc, err := x.Lookup(path); err == nil {
			if err := explain.Human(&bytes.Buffer{}, doc, true, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}
