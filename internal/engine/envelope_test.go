package engine

import (
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/plan"
)

// TestExceeds holds second plans against the approved one.
func TestExceeds(t *testing.T) {
	change := func(address string, a plan.Action) plan.Change {
		return plan.Change{Address: address, Type: "t", Action: a}
	}
	approved := &plan.Unit{Changes: []plan.Change{change("a", plan.Create), change("b", plan.Replace), change("c", plan.Update), change("d", plan.Delete)}}
	for name, c := range map[string]struct {
		now  []plan.Change
		says string
	}{
		"the same":                        {approved.Changes, ""},
		"nothing":                         {nil, ""},
		"less":                            {[]plan.Change{change("c", plan.Update)}, ""},
		"created, to be completed":        {[]plan.Change{change("a", plan.Update)}, ""},
		"half of a replacement":           {[]plan.Change{change("b", plan.Create)}, ""},
		"left half-made":                  {[]plan.Change{{Address: "a", Action: plan.Replace, Reason: reasonTainted}}, ""},
		"another one created":             {[]plan.Change{change("e", plan.Create)}, "create e"},
		"another one destroyed":           {[]plan.Change{change("e", plan.Delete)}, "delete e"},
		"replaced instead of updated":     {[]plan.Change{{Address: "c", Action: plan.Replace, Reason: "size cannot be changed in place"}}, "replace c (size cannot be changed in place), where update was approved"},
		"replaced instead of created":     {[]plan.Change{{Address: "a", Action: plan.Replace, Reason: "size cannot be changed in place"}}, "replace a"},
		"destroyed instead of created":    {[]plan.Change{change("a", plan.Delete)}, "delete a, where create was approved"},
		"destroyed instead of updated":    {[]plan.Change{change("c", plan.Delete)}, "delete c"},
		"updated instead of destroyed":    {[]plan.Change{change("d", plan.Update)}, "update d"},
		"created again instead of update": {[]plan.Change{change("c", plan.Create)}, "create c"},
		"imported":                        {[]plan.Change{change("x", plan.Import)}, "import x"},
	} {
		got := exceeds(approved, &Planned{Changes: c.now})
		if text := strings.Join(got, "; "); c.says == "" && text != "" || !strings.Contains(text, c.says) {
			t.Errorf("%s: %q, want %q", name, text, c.says)
		}
	}
}
