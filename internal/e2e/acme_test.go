package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/stratahq/strata/internal/catalog"
)

// acme is the example repository.
const acme = "../../examples/acme"

// planDoc is what strata plan -o json prints, as far as the tests read it.
type planDoc struct {
	Counts map[string]int
	Denied bool
	Plan   struct {
		Units []struct {
			Address     string
			Kind        string
			Contract    string
			Status      string
			Provisional bool
			Waits       []string
			DependsOn   []string
			Counts      map[string]int
			Changes     []struct{ Address, Action string }
		}
		Findings []struct {
			Rule, Unit, Resource, Summary, Excepted string
			Denies                                  bool
		}
	}
}

// plan plans an environment and wants an exit code.
func (w *world) plan(code int, args ...string) planDoc {
	w.t.Helper()
	out := w.stdout(code, append([]string{"plan", "--offline", "-o", "json"}, args...)...)
	var doc planDoc
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		w.t.Fatalf("%v in:\n%s", err, out)
	}
	return doc
}

// TestPlanProd plans an environment that does not exist, whole and in one go, and
// gets the same every time.
func TestPlanProd(t *testing.T) {
	w := newWorld(t, tools(t), acme)
	first := w.plan(2, "prod")
	if first.Denied {
		t.Errorf("policy denies the example: %+v", first.Plan.Findings)
	}
	sum, waiting := 0, 0
	for _, u := range first.Plan.Units {
		sum += u.Counts["create"]
		if u.Status != "changes" && u.Status != "existing" {
			t.Errorf("%s is %s in an environment that is not there", u.Address, u.Status)
		}
		if u.Provisional != (len(u.Waits) > 0) {
			t.Errorf("%s is provisional without saying what it waits for: %v", u.Address, u.Waits)
		}
		if u.Provisional {
			waiting++
		}
	}
	if sum != first.Counts["create"] || sum < 200 || waiting == 0 {
		t.Errorf("%d resources to create, the plan says %d; %d units wait", sum, first.Counts["create"], waiting)
	}
	t.Logf("%d resources to create in %d units", sum, len(first.Plan.Units))
	again := w.plan(2, "prod")
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Error("a second plan of the same says something else")
	}
}

// TestLifecycle applies the example's dev environment, changes one database, and
// destroys everything.
func TestLifecycle(t *testing.T) {
	w := newWorld(t, tools(t), acme)
	before := w.plan(2, "dev")
	w.must(0, "apply", "dev", "--offline", "--yes")
	w.inOrder(before, false)
	w.contracted(before)

	// Nothing is left to do, and finding that out takes no OpenTofu.
	none := "--tofu=" + filepath.Join(w.dir, "there-is-none")
	w.must(0, "plan", "dev", "--offline", none)
	w.must(0, "apply", "dev", "--offline", "--yes", none)
	w.must(0, "drift", "dev", "--offline")

	w.edit("workloads/catalog/score.yaml", "storage: 40Gi", "storage: 60Gi")
	one := w.plan(2, "dev")
	var changed []string
	for _, u := range one.Plan.Units {
		if u.Status != "unchanged" && u.Status != "existing" {
			changed = append(changed, u.Address)
		}
	}
	if !slices.Equal(changed, []string{"dev/workloads/catalog/db"}) {
		t.Errorf("a larger database changes %v", changed)
	}
	w.must(0, "apply", "dev", "--offline", "--yes")

	w.must(0, "destroy", "dev", "--offline", "--yes")
	w.inOrder(before, true)
	if left := w.cloud(); len(left) > 0 {
		t.Errorf("%d objects are left in the cloud", len(left))
	}
	if left := w.cluster(); len(left) > 0 {
		t.Errorf("%d units are left in the cluster", len(left))
	}
	if out := w.must(0, "plan", "dev", "--offline", "--destroy"); !strings.Contains(out, "there is nothing to destroy") {
		t.Errorf("after a destroy:\n%s", out)
	}
	w.must(0, "audit", "verify", "--offline")
}

// inOrder reads the journal of the last run: no unit began before those that it
// depends on had ended or, in a destroy, before those that depend on it.
func (w *world) inOrder(p planDoc, backwards bool) {
	w.t.Helper()
	var runs struct{ Runs []struct{ ID string } }
	if err := json.Unmarshal([]byte(w.stdout(0, "runs", "dev", "--offline", "-o", "json", "-n", "1")), &runs); err != nil || len(runs.Runs) != 1 {
		w.t.Fatalf("%v: %v", err, runs)
	}
	var doc struct {
		Journal []struct{ Unit, Type string }
	}
	if err := json.Unmarshal([]byte(w.stdout(0, "runs", runs.Runs[0].ID, "--offline", "-o", "json")), &doc); err != nil {
		w.t.Fatal(err)
	}
	began, ended := map[string]int{}, map[string]int{}
	for i, e := range doc.Journal {
		switch e.Type {
		case "unit-started":
			began[e.Unit] = i + 1
		case "unit-finished":
			ended[e.Unit] = i + 1
		}
	}
	for _, u := range p.Plan.Units {
		if u.Status == "existing" {
			continue
		}
		if began[u.Address] == 0 || ended[u.Address] == 0 {
			w.t.Errorf("%s is not in the journal", u.Address)
		}
		for _, d := range u.DependsOn {
			first, then := d, u.Address
			if backwards {
				first, then = then, first
			}
			if ended[first] > began[then] && began[then] != 0 {
				w.t.Errorf("%s began before %s had ended", then, first)
			}
		}
	}
}

// TestBrownfield plans only what is missing of an environment whose account, network
// and cluster are there: everything that needs them knows them.
func TestBrownfield(t *testing.T) {
	w := newWorld(t, tools(t), acme)
	units := func() map[string]string {
		out := map[string]string{}
		for _, u := range w.plan(2, "analytics").Plan.Units {
			out[u.Address] = u.Status
			if u.Provisional {
				out[u.Address] += " waits for " + strings.Join(u.Waits, " ")
			}
		}
		return out
	}
	have := units()
	if have["analytics/account"] != "existing" || have["analytics/network"] != "existing" || have["analytics/cluster"] != "changes" {
		t.Errorf("%v", have)
	}
	w.edit("environments/analytics.yaml", `    version: "1.35"
    nodePools:
      - {name: general, instance: r7g.xlarge, min: 3, max: 12}
`, `    existing: {name: shared, endpoint: "https://shared.acme.example", certificate_authority: Q0E=, workload_security_group_id: sg-0123456789abcdef0}
`)
	have = units()
	for _, u := range []string{"analytics/account", "analytics/network", "analytics/cluster"} {
		if have[u] != "existing" {
			t.Errorf("%s: %s", u, have[u])
		}
	}
	if got := have["analytics/workloads/nightly-report/warehouse"]; got != "changes waits for platform/secrets.kms_key" {
		t.Errorf("the database: %s", got)
	}
}

// contracted wants every output that a contract promises on record, with the type that
// it promises.
func (w *world) contracted(p planDoc) {
	w.t.Helper()
	var doc struct {
		Outputs map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(w.stdout(0, "output", "dev", "--offline", "-o", "json")), &doc); err != nil {
		w.t.Fatal(err)
	}
	known, _ := catalog.New(nil)
	seen := map[string]bool{}
	for _, u := range p.Plan.Units {
		k, ok := known.Resource(u.Contract)
		// The name dns is both a resource's and a platform unit's.
		if platform, is := known.Platform(u.Contract); is && (!ok || !strings.Contains(u.Address, "/workloads/")) {
			k, ok = platform, true
		}
		if !ok || u.Status == "existing" {
			continue
		}
		seen[k.Metadata.Name] = true
		have := doc.Outputs[strings.TrimPrefix(u.Address, "dev/")]
		for name, o := range k.Spec.Outputs {
			raw, there := have[name]
			if !there || string(raw) == "null" {
				if !o.Optional {
					w.t.Errorf("%s lacks the output %s", u.Address, name)
				}
				continue
			}
			want, err := catalog.ParseType(o.Type)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := ctyjson.Unmarshal(raw, want); err != nil {
				w.t.Errorf("%s: output %s is %s, which is no %s", u.Address, name, raw, o.Type)
			}
		}
	}
	if len(seen) < 12 {
		w.t.Errorf("only these contracts were compared: %v", seen)
	}
}
