package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBootstrap makes the place for an environment's state with that state in a local
// file, and moves it. What bootstrap made, the next plan leaves alone.
func TestBootstrap(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	w.must(0, "bootstrap", "dev", "--offline", "--yes")
	w.moved()
	before := w.cloud()
	if len(before) == 0 {
		t.Fatal("nothing was made")
	}
	if out := w.must(0, "bootstrap", "dev", "--offline", "--yes"); !strings.Contains(out, "nothing to bootstrap") {
		t.Errorf("a second time:\n%s", out)
	}
	for _, u := range w.plan(2, "dev").Plan.Units {
		if u.Address == "dev/state" && len(u.Changes) > 0 {
			t.Errorf("the next plan changes what bootstrap made: %+v", u.Changes)
		}
	}
	w.must(0, "apply", "dev", "--offline", "--yes")
	for name, content := range before {
		if w.cloud()[name] != content {
			t.Errorf("%s is not what bootstrap made", name)
		}
	}
}

// moved wants the state where it belongs and nothing of it elsewhere.
func (w *world) moved() {
	w.t.Helper()
	if _, err := os.Stat(w.offline("state", "dev", "state.tfstate")); err != nil {
		w.t.Error(err)
	}
	if left, _ := filepath.Glob(w.offline("bootstrap", "dev", "*")); len(left) > 0 {
		w.t.Errorf("these are left: %v", left)
	}
}

// TestBootstrapApproved has an environment that asks for approvals: bootstrap writes a
// plan and carries it out when it is approved.
func TestBootstrapApproved(t *testing.T) {
	w := approving(t, tools(t))
	out := w.must(2, "bootstrap", "dev", "--offline", "--yes")
	_, rest, ok := strings.Cut(out, "strata bootstrap dev --plan ")
	if !ok {
		t.Fatalf("does not say how to go on:\n%s", out)
	}
	file := strings.Fields(rest)[0]
	w.must(1, "bootstrap", "dev", "--offline", "--plan", file)
	w.must(0, "approve", file, "--as", "other@small.example", "--key", w.keyFile("other"), "--yes")
	w.must(0, "bootstrap", "dev", "--offline", "--plan", file)
	w.moved()
}
