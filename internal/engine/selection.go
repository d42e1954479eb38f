package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/suggest"
)

// Selection narrows an operation to some units. The zero Selection means all.
type Selection struct {
	Units, Layers, Workloads []string
}

// Empty reports whether the selection means all units.
func (s Selection) Empty() bool { return len(s.Units)+len(s.Layers)+len(s.Workloads) == 0 }

// Flags returns the selection as it is given on the command line.
func (s Selection) Flags() []string {
	var out []string
	for _, u := range s.Units {
		out = append(out, "--unit "+u)
	}
	for _, l := range s.Layers {
		out = append(out, "--layer "+l)
	}
	for _, w := range s.Workloads {
		out = append(out, "--workload "+w)
	}
	return out
}

// pick returns the selected units with all that they depend on or, when
// destroying, all that depends on them. nil means all. A word that selects
// nothing is an error with the nearest right spelling.
func (s Selection) pick(g *graph.Graph, op plan.Operation) (map[addr.Unit]bool, error) {
	if s.Empty() {
		return nil, nil
	}
	var roots []addr.Unit
	try := func(kind, word string, of func(graph.Unit) string) error {
		var known []string
		found := false
		for _, u := range g.Units {
			name := of(u)
			if name == "" {
				continue
			}
			known = append(known, name)
			if name == word {
				roots = append(roots, u.Addr)
				found = true
			}
		}
		if found {
			return nil
		}
		slices.Sort(known)
		known = slices.Compact(known)
		if near := suggest.Nearest(word, known); near != "" {
			return fmt.Errorf("there is no %s %q in %s; did you mean %q?", kind, word, g.Environment, near)
		}
		return fmt.Errorf("there is no %s %q in %s; there are: %s", kind, word, g.Environment, strings.Join(known[:min(len(known), 20)], ", "))
	}
	for _, w := range s.Units {
		if err := try("unit", w, func(u graph.Unit) string { return u.Addr.Name }); err != nil {
			return nil, err
		}
	}
	for _, w := range s.Layers {
		if err := try("layer", w, func(u graph.Unit) string { return string(u.Layer) }); err != nil {
			return nil, err
		}
	}
	for _, w := range s.Workloads {
		if err := try("workload", w, func(u graph.Unit) string { return u.Workload }); err != nil {
			return nil, err
		}
	}
	reach := g.Closure
	if op == plan.Destroy {
		reach = g.Affected
	}
	out := map[addr.Unit]bool{}
	for _, a := range reach(roots...) {
		out[a] = true
	}
	return out, nil
}
