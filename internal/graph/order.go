package graph

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/addr"
)

// Graph holds the units of one environment, sorted by address. New makes it; it
// does not change afterwards, so it may be read concurrently.
type Graph struct {
	Environment string `json:"environment"`
	Units       []Unit `json:"units"`
	// What follows speaks of units by their index in Units.
	index      map[addr.Unit]int
	needs      [][]int // dependencies, ascending
	dependents [][]int // ascending
	depth      []int   // longest chain of dependencies below
}

// DuplicateError says that two units have one address.
type DuplicateError struct{ Unit addr.Unit }

// Error names the address.
func (e *DuplicateError) Error() string { return fmt.Sprintf("unit %s is there twice", e.Unit) }

// UnknownError says that a unit depends on one that is not in the graph.
type UnknownError struct{ Unit, DependsOn addr.Unit }

// Error names both units.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("unit %s depends on %s, which is not in the graph", e.Unit, e.DependsOn)
}

// UndeclaredError says that a unit refers to an output of one that DependsOn does
// not list.
type UndeclaredError struct{ Unit, Refers addr.Unit }

// Error names both units.
func (e *UndeclaredError) Error() string {
	return fmt.Sprintf("unit %s refers to an output of %s but does not depend on it", e.Unit, e.Refers)
}

// CycleError says that units wait for each other. Each of Units depends on the
// next, and the last on the first; the least address stands first.
type CycleError struct{ Units []addr.Unit }

// Error spells the cycle out.
func (e *CycleError) Error() string {
	names := make([]string, 0, len(e.Units)+1)
	for _, u := range e.Units {
		names = append(names, u.String())
	}
	return "units depend on each other in a circle: " + strings.Join(append(names, names[0]), " → ")
}

// New sorts units into a graph. It returns all duplicate addresses, units of
// another environment, unknown and undeclared dependencies, or else one cycle.
func New(env string, units []Unit) (*Graph, error) {
	g := &Graph{Environment: env, Units: slices.Clone(units), index: make(map[addr.Unit]int, len(units))}
	slices.SortStableFunc(g.Units, func(a, b Unit) int { return a.Addr.Compare(b.Addr) })
	var errs []error
	for i, u := range g.Units {
		if u.Addr.Env != env {
			errs = append(errs, fmt.Errorf("unit %s is not of environment %s", u.Addr, env))
		}
		if _, ok := g.index[u.Addr]; ok {
			errs = append(errs, &DuplicateError{u.Addr})
			continue
		}
		g.index[u.Addr] = i
	}
	errs = append(errs, g.link()...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := g.measure(); err != nil {
		return nil, err
	}
	return g, nil
}

// link resolves dependencies to indexes.
func (g *Graph) link() []error {
	var errs []error
	g.needs = make([][]int, len(g.Units))
	g.dependents = make([][]int, len(g.Units))
	for i := range g.Units {
		u := &g.Units[i]
		if !slices.IsSortedFunc(u.DependsOn, addr.Unit.Compare) {
			u.DependsOn = slices.SortedFunc(slices.Values(u.DependsOn), addr.Unit.Compare)
		}
		u.DependsOn = slices.Compact(slices.Clone(u.DependsOn))
		for _, d := range u.DependsOn {
			j, ok := g.index[d]
			if !ok {
				errs = append(errs, &UnknownError{u.Addr, d})
				continue
			}
			g.needs[i] = append(g.needs[i], j)
			g.dependents[j] = append(g.dependents[j], i)
		}
		for _, r := range undeclared(u) {
			errs = append(errs, &UndeclaredError{u.Addr, r})
		}
	}
	return errs
}

// undeclared returns the units that u refers to without depending on them, sorted.
func undeclared(u *Unit) []addr.Unit {
	missing := map[addr.Unit]bool{}
	check := func(r addr.Unit) {
		if _, ok := slices.BinarySearchFunc(u.DependsOn, r, addr.Unit.Compare); !ok {
			missing[r] = true
		}
	}
	for _, r := range u.Refs() {
		check(r.Unit)
	}
	for _, b := range u.Bindings {
		for _, r := range b.Refs() {
			check(r.Unit)
		}
	}
	return slices.SortedFunc(maps.Keys(missing), addr.Unit.Compare)
}

// measure finds each unit's depth by taking away, again and again, the units that
// nothing holds back. What remains holds a cycle.
func (g *Graph) measure() error {
	g.depth = make([]int, len(g.Units))
	waits := make([]int, len(g.Units))
	var ready []int
	for i := range g.Units {
		if waits[i] = len(g.needs[i]); waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for n := 0; n < len(ready); n++ {
		i := ready[n]
		for _, j := range g.dependents[i] {
			g.depth[j] = max(g.depth[j], g.depth[i]+1)
			if waits[j]--; waits[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	if len(ready) < len(g.Units) {
		return g.cycle(waits)
	}
	return nil
}

// cycle names a cycle among the units that still wait. Each of them waits for
// another of them, so following any one leads into a cycle.
func (g *Graph) cycle(waits []int) error {
	at := slices.IndexFunc(waits, func(n int) bool { return n > 0 })
	seen := map[int]int{}
	var path []int
	for {
		if first, ok := seen[at]; ok {
			path = path[first:]
			break
		}
		seen[at] = len(path)
		path = append(path, at)
		next := slices.IndexFunc(g.needs[at], func(j int) bool { return waits[j] > 0 })
		at = g.needs[at][next]
	}
	least := slices.Index(path, slices.Min(path))
	path = slices.Concat(path[least:], path[:least])
	return &CycleError{g.addrs(path)}
}

func (g *Graph) addrs(indexes []int) []addr.Unit {
	out := make([]addr.Unit, len(indexes))
	for n, i := range indexes {
		out[n] = g.Units[i].Addr
	}
	return out
}

// sorted returns all indexes by depth, then address.
func (g *Graph) sorted() []int {
	out := make([]int, len(g.Units))
	for i := range out {
		out[i] = i
	}
	slices.SortFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(g.depth[a], g.depth[b]), cmp.Compare(a, b))
	})
	return out
}

// Order returns the units so that each comes after all that it depends on: by
// length of the longest chain of dependencies, then by address.
func (g *Graph) Order() []Unit {
	out := make([]Unit, len(g.Units))
	for n, i := range g.sorted() {
		out[n] = g.Units[i]
	}
	return out
}

// Levels returns the addresses in the order of Order, cut where the chain of
// dependencies grows. The units of a level do not depend on each other.
func (g *Graph) Levels() [][]addr.Unit {
	var out [][]addr.Unit
	for _, i := range g.sorted() {
		if g.depth[i] == len(out) {
			out = append(out, nil)
		}
		out[g.depth[i]] = append(out[g.depth[i]], g.Units[i].Addr)
	}
	return out
}

// Unit returns the unit of that address.
func (g *Graph) Unit(a addr.Unit) (Unit, bool) {
	if i, ok := g.index[a]; ok {
		return g.Units[i], true
	}
	return Unit{}, false
}

// Dependents returns the units that depend on a directly, sorted.
func (g *Graph) Dependents(a addr.Unit) []addr.Unit {
	if i, ok := g.index[a]; ok {
		return g.addrs(g.dependents[i])
	}
	return nil
}

// Direct returns the units that a depends on through no other unit, sorted: its
// dependencies less those that follow from the others.
func (g *Graph) Direct(a addr.Unit) []addr.Unit {
	i, ok := g.index[a]
	if !ok {
		return nil
	}
	// What several dependencies have below them is gone through once.
	below := map[int]bool{}
	var down func(i int)
	down = func(i int) {
		for _, j := range g.needs[i] {
			if !below[j] {
				below[j] = true
				down(j)
			}
		}
	}
	for _, j := range g.needs[i] {
		down(j)
	}
	return g.addrs(slices.DeleteFunc(slices.Clone(g.needs[i]), func(j int) bool { return below[j] }))
}

// Closure returns the units of those addresses and all that they depend on, however
// far down, sorted. Addresses that are not in the graph are left out.
func (g *Graph) Closure(addrs ...addr.Unit) []addr.Unit {
	return g.reach(addrs, g.needs)
}

// Affected returns the units of those addresses and all that depend on them, however
// far up, sorted. Addresses that are not in the graph are left out.
func (g *Graph) Affected(addrs ...addr.Unit) []addr.Unit {
	return g.reach(addrs, g.dependents)
}

func (g *Graph) reach(from []addr.Unit, edges [][]int) []addr.Unit {
	in := make([]bool, len(g.Units))
	var found []int
	visit := func(i int) {
		if !in[i] {
			in[i] = true
			found = append(found, i)
		}
	}
	for _, a := range from {
		if i, ok := g.index[a]; ok {
			visit(i)
		}
	}
	for n := 0; n < len(found); n++ {
		for _, j := range edges[found[n]] {
			visit(j)
		}
	}
	slices.Sort(found)
	return g.addrs(found)
}

// Digest returns the SHA-256, in hexadecimal, of the environment's name and of all
// units' addresses, dependencies and digests.
func (g *Graph) Digest() string {
	h := sha256.New()
	var line []byte
	for i := range g.Units {
		u := &g.Units[i]
		// Quotes keep one text from reading as two.
		line = strconv.AppendQuote(line[:0], u.Addr.String())
		line = strconv.AppendQuote(line, u.Digest)
		for _, d := range u.DependsOn {
			line = strconv.AppendQuote(line, d.String())
		}
		// Writing to a hash cannot fail.
		_, _ = h.Write(append(line, '\n'))
	}
	_, _ = h.Write(strconv.AppendQuote(nil, g.Environment))
	return hex.EncodeToString(h.Sum(nil))
}
