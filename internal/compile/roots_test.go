package compile_test

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	hcljson "github.com/hashicorp/hcl/v2/json"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

var variable = regexp.MustCompile(`\$\{(?:base64decode\()?var\.([A-Za-z0-9_-]+)\)?\}`)

// root is what a rendered main.tf.json may hold.
type root struct {
	Terraform struct {
		Backend map[string]map[string]any `json:"backend"`
	} `json:"terraform"`
	Provider map[string]any            `json:"provider"`
	Variable map[string]any            `json:"variable"`
	Module   map[string]map[string]any `json:"module"`
	Output   map[string]any            `json:"output"`
}

// TestRoots reads every root of the example as OpenTofu would.
func TestRoots(t *testing.T) {
	r := open(t, acme(t))
	for _, e := range r.Model.Environments {
		env := e.Metadata.Name
		c := compiled(t, r, env)
		states := map[string]string{}
		roots := 0
		for _, u := range c.Graph.Units {
			files, err := c.Files(u)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if path.Ext(f.Path) != ".json" || u.Kind != graph.Tofu {
					continue
				}
				roots++
				text := string(f.Content)
				if _, ds := hcljson.Parse(f.Content, f.Path); ds.HasErrors() {
					t.Fatalf("%s: %v", f.Path, ds)
				}
				var doc root
				d := json.NewDecoder(strings.NewReader(text))
				d.DisallowUnknownFields()
				if err := d.Decode(&struct {
					*root
					Terraform any `json:"terraform"`
				}{root: &doc}); err != nil {
					t.Fatalf("%s: %v", f.Path, err)
				}
				if err := json.Unmarshal(f.Content, &doc); err != nil {
					t.Fatal(err)
				}
				checkVariables(t, f.Path, text, doc)
				checkPins(t, f.Path, doc, e, states)
				if len(doc.Module) != 1 || doc.Module["this"] == nil {
					t.Errorf("%s: a root calls one module, this", f.Path)
				}
			}
		}
		if roots == 0 {
			t.Errorf("%s has no roots", env)
		}
	}
}

// checkVariables proves that what is used is declared, and the other way round.
func checkVariables(t *testing.T, file, text string, doc root) {
	t.Helper()
	var used []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		used = append(used, m[1])
	}
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(used, model.SortedKeys(doc.Variable)) {
		t.Errorf("%s uses variables %v and declares %v", file, used, model.SortedKeys(doc.Variable))
	}
}

// checkPins proves that a root can touch only its own account and its own state.
func checkPins(t *testing.T, file string, doc root, e *model.Environment, states map[string]string) {
	t.Helper()
	if e.Spec.Cloud != model.CloudAWS {
		return
	}
	provider, _ := json.Marshal(doc.Provider)
	if !strings.Contains(string(provider), `"allowed_account_ids":["`+e.AccountID()+`"]`) {
		t.Errorf("%s is not pinned to account %s: %s", file, e.AccountID(), provider)
	}
	s3 := doc.Terraform.Backend["s3"]
	key, _ := s3["key"].(string)
	if key == "" || s3["use_lockfile"] != true || s3["encrypt"] != true {
		t.Errorf("%s: backend %v is not locked and encrypted", file, s3)
	}
	if other, taken := states[key]; taken {
		t.Errorf("%s and %s share the state %s", file, other, key)
	}
	states[key] = file
}

// TestNoSecretInObjects looks for literal values under names that speak of
// secrets, and for Secret objects, in everything that is rendered.
func TestNoSecretInObjects(t *testing.T) {
	literal := regexp.MustCompile(`(?i)name: \S*(password|token|secret_key)\S*\n\s+value: (\S+)`)
	object := regexp.MustCompile(`(?m)^kind: Secret$`)
	r := open(t, acme(t))
	for _, env := range r.Model.EnvironmentNames() {
		c := compiled(t, r, env)
		for _, u := range c.Graph.Units {
			files, err := c.Files(u)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if object.Match(f.Content) {
					t.Errorf("%s/%s holds a Secret", env, f.Path)
				}
				for _, m := range literal.FindAllStringSubmatch(string(f.Content), -1) {
					t.Errorf("%s/%s: %s", env, f.Path, m[0])
				}
			}
		}
	}
}
