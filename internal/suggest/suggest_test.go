package suggest_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/suggest"
)

func TestNearest(t *testing.T) {
	known := []string{"postgres", "mysql", "redis", "horizontal-pod-autoscaler", "nodePools", "s3"}
	for in, want := range map[string]string{
		"postgres": "postgres", "postgrse": "postgres", "postgre": "postgres", "postgress": "postgres", "Postgres": "postgres", "POSTGRES": "postgres",
		"mysq": "mysql", "rediss": "redis", "nodepools": "nodePools", "node-pools": "nodePools", "node_pool": "nodePools",
		"horizontalPodAutoscaler": "horizontal-pod-autoscaler", "horizontal-pod-autoscalar": "horizontal-pod-autoscaler",
		"kubernetes": "", "zzzzzzzz": "", "a-name-like-no-other": "",
	} {
		if got := suggest.Nearest(in, known); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if got := suggest.Nearest("postgres", nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	// Of equally near ones the first wins, whichever that is.
	for _, known := range [][]string{{"cart", "card"}, {"card", "cart"}} {
		if got := suggest.Nearest("carx", known); got != known[0] {
			t.Errorf("of %v: %q", known, got)
		}
	}
}

// TestNearestIsThere wants a candidate or nothing, and the right one when it is there.
func TestNearestIsThere(t *testing.T) {
	name := rapid.StringMatching(`[a-zA-Z_-]{0,8}`)
	fold := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s))
	}
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SliceOf(name).Draw(t, "known")
		asked := name.Draw(t, "asked")
		got := suggest.Nearest(asked, known)
		found, exact := got == "", false
		for _, k := range known {
			found = found || k == got
			exact = exact || fold(k) == fold(asked)
		}
		if !found || exact && fold(got) != fold(asked) {
			t.Fatalf("%q of %q: %q", asked, known, got)
		}
	})
}
