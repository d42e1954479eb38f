package stack

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/graph"
)

// Variable is a variable of a root: the name under which it takes the output
// that Ref refers to.
type Variable struct {
	Name string
	Ref  graph.Ref
}

// Variables returns the variables of a unit's root, sorted by name. Whoever runs
// OpenTofu gives each the value of the output it refers to; a secret output's
// value is its path in the central secrets service.
func Variables(c Context, u graph.Unit) []Variable {
	refs := u.Refs()
	if u.Contract != accountContract {
		for _, r := range []*graph.Ref{c.AccountRef, c.RoleRef} {
			if r != nil {
				refs = append(refs, *r)
			}
		}
	}
	slices.SortFunc(refs, func(a, b graph.Ref) int {
		return cmp.Or(a.Unit.Compare(b.Unit), strings.Compare(a.Output, b.Output), strings.Compare(a.Type, b.Type))
	})
	refs = slices.Compact(refs)

	taken := map[string]bool{}
	out := make([]Variable, 0, len(refs))
	for _, r := range refs {
		base := variableName(r)
		name := base
		// Two names can come out equal, such as those of units a-b and
		// a_b; the order of references decides who gets the number.
		for n := 2; taken[name]; n++ {
			name = base + "_" + strconv.Itoa(n)
		}
		taken[name] = true
		out = append(out, Variable{Name: name, Ref: r})
	}
	slices.SortFunc(out, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// variableName joins unit and output, as in network_vpc_id.
func variableName(r graph.Ref) string {
	return strings.Map(func(ch rune) rune {
		switch {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9':
			return ch
		}
		return '_'
	}, r.Unit.Name+"_"+r.Output)
}
