package compile_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

var update = flag.Bool("update", false, "write what was compiled into the golden files")

// open lays files into a folder and loads them. The description must be right.
func open(t *testing.T, files []txtar.File) *check.Result {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := check.Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	for _, d := range r.Diagnostics {
		if d.Severity.String() == "error" {
			t.Fatalf("the description is wrong: %s", d)
		}
	}
	return r
}

func compiled(t *testing.T, r *check.Result, env string) *compile.Compiled {
	t.Helper()
	c, err := r.Compile(env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGraph compiles the environment "env" of each golden file and compares its
// units. A section "units" holds them as text.
func TestGraph(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			golden, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := golden.Files[len(golden.Files)-1]
			if want.Name != "units" {
				t.Fatal("the last section must be units")
			}
			got := describe(compiled(t, open(t, golden.Files[:len(golden.Files)-1]), "env").Graph)
			if *update {
				golden.Files[len(golden.Files)-1].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(golden), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want.Data) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want.Data)
			}
		})
	}
}

// describe writes a graph as text that people can review: a line a unit, then
// what flows into it.
func describe(g *graph.Graph) string {
	var b strings.Builder
	for _, u := range g.Units {
		fmt.Fprintf(&b, "%s: %s", u.Addr.Name, u.Kind)
		for _, s := range []string{string(u.Layer), u.Contract, u.Module} {
			if s != "" {
				b.WriteString(" " + s)
			}
		}
		if u.Existing {
			b.WriteString(" existing")
		}
		b.WriteString("\n")
		if len(u.DependsOn) > 0 {
			var names []string
			for _, d := range u.DependsOn {
				names = append(names, d.Name)
			}
			b.WriteString("  needs " + strings.Join(names, ", ") + "\n")
		}
		for _, k := range model.SortedKeys(u.Inputs) {
			fmt.Fprintf(&b, "  %s = %s\n", k, value(u.Inputs[k]))
		}
		for _, k := range u.Bindings {
			fmt.Fprintf(&b, "  %s %s/%s %s = %s\n", k.Kind, k.Namespace, k.Name, k.Key, bound(k))
		}
	}
	return b.String()
}

func value(v graph.Value) string {
	if v.Ref != nil {
		return "${" + v.Ref.Unit.Name + "." + v.Ref.Output + "}"
	}
	out, _ := json.Marshal(v.Literal)
	return string(out)
}

func bound(k graph.Binding) string {
	var parts []string
	if k.Ref != nil {
		parts = append(parts, "${"+k.Ref.Unit.Name+"."+k.Ref.Output+"} "+k.SecretPath)
	}
	for _, p := range k.Template {
		if p.Ref != nil {
			parts = append(parts, "${"+p.Ref.Unit.Name+"."+p.Ref.Output+"}")
			continue
		}
		parts = append(parts, fmt.Sprintf("%q", p.Text))
	}
	if k.GoTemplate {
		parts = append(parts, "(template)")
	}
	return strings.TrimSpace(strings.Join(parts, " + "))
}

// TestDigests changes one thing at a time in the example and says which units
// may have another digest then.
func TestDigests(t *testing.T) {
	base := acme(t)
	before := digests(compiled(t, open(t, base), "prod").Graph)
	for _, tc := range []struct {
		name, file, old, new string
		changed              []string // units; a prefix with * for many
	}{
		{"a variable of a workload", "workloads/recommender/score.yaml", "variables:\n", "variables:\n      EXTRA: \"1\"\n", []string{"workloads/recommender"}},
		{"a note on a database", "workloads/checkout/score.yaml", "type: postgres", "type: postgres\n    metadata: {annotations: {example.com/note: mine}}", nil},
		{"the size of a database", "workloads/checkout/score.yaml", "version: \"17\"", "version: \"16\"", []string{"workloads/checkout/db"}},
		{"the region", "environments/prod.yaml", "region: eu-west-1", "region: eu-west-2", []string{"*"}},
		{"another environment", "environments/dev.yaml", "zones: 3", "zones: 2", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := slices.Clone(base)
			found := false
			for i, f := range files {
				if f.Name == tc.file {
					text := strings.Replace(string(f.Data), tc.old, tc.new, 1)
					found = text != string(f.Data)
					files[i].Data = []byte(text)
				}
			}
			if !found {
				t.Fatalf("%s does not hold %q", tc.file, tc.old)
			}
			after := digests(compiled(t, open(t, files), "prod").Graph)
			var changed []string
			for _, name := range model.SortedKeys(before) {
				if before[name] != after[name] {
					changed = append(changed, name)
				}
			}
			if len(tc.changed) == 1 && tc.changed[0] == "*" {
				if len(changed) != len(before) {
					t.Errorf("only %v changed", changed)
				}
				return
			}
			if !slices.Equal(changed, tc.changed) {
				t.Errorf("changed: %v, want %v", changed, tc.changed)
			}
		})
	}
}

func digests(g *graph.Graph) map[string]string {
	out := map[string]string{}
	for _, u := range g.Units {
		out[u.Addr.Name] = u.Digest
	}
	return out
}

// acme reads the example.
func acme(t *testing.T) []txtar.File {
	t.Helper()
	root := filepath.Join("..", "..", "examples", "acme")
	var out []txtar.File
	for _, pattern := range []string{"*.yaml", "*/*.yaml", "*/*/*.yaml"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(root, n)
			if !strings.HasPrefix(rel, "out") {
				out = append(out, txtar.File{Name: filepath.ToSlash(rel), Data: b})
			}
		}
	}
	return out
}

// TestOrderOfDocuments proves that nothing depends on the order in which
// documents were found.
func TestOrderOfDocuments(t *testing.T) {
	r := open(t, acme(t))
	want := digests(compiled(t, r, "prod").Graph)
	for range 3 {
		slices.Reverse(r.Model.Workloads)
		slices.Reverse(r.Model.Environments)
		slices.Reverse(r.Model.Releases)
		if got := digests(compiled(t, r, "prod").Graph); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatal("the order of documents changes digests")
		}
		r.Model.Workloads = append(r.Model.Workloads[1:], r.Model.Workloads[0])
	}
}

func TestResourceName(t *testing.T) {
	seen := map[string]string{}
	for _, env := range []string{"dev", "production-europe"} {
		for i := range 2000 {
			for _, u := range []addr.Unit{
				addr.WorkloadResource(env, fmt.Sprintf("a-rather-long-workload-name-%d", i), "db"),
				addr.WorkloadResource(env, fmt.Sprintf("w%d", i), "db"),
				addr.SharedResource(env, addr.Resource{Type: "postgres", Class: "default", ID: fmt.Sprintf("orders.%d", i)}),
			} {
				name := compile.ResourceName("acme", u)
				if len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasSuffix(name, "-") {
					t.Fatalf("%s is called %q", u, name)
				}
				if other, taken := seen[name]; taken && other != u.String() {
					t.Fatalf("%s and %s are both called %q", u, other, name)
				}
				seen[name] = u.String()
			}
		}
	}
}
