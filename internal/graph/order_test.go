package graph_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
)

func unit(name string, needs ...string) graph.Unit {
	u := graph.Unit{Addr: addr.Unit{Env: "dev", Name: name}, Digest: "digest of " + name}
	for _, n := range needs {
		u.DependsOn = append(u.DependsOn, addr.Unit{Env: "dev", Name: n})
	}
	return u
}

func names(addrs []addr.Unit) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.Name)
	}
	return strings.Join(out, " ")
}

func TestGraph(t *testing.T) {
	g, err := graph.New("dev", []graph.Unit{
		unit("workloads/web", "account", "cluster", "network", "shared/db"), unit("cluster", "network"),
		unit("shared/db", "network"), unit("network", "account"), unit("account"), unit("registry", "account"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var order []addr.Unit
	for _, u := range g.Order() {
		order = append(order, u.Addr)
	}
	if got, want := names(order), "account network registry cluster shared/db workloads/web"; got != want {
		t.Errorf("order is %q, want %q", got, want)
	}
	var levels []string
	for _, l := range g.Levels() {
		levels = append(levels, names(l))
	}
	if got, want := strings.Join(levels, " | "), "account | network registry | cluster shared/db | workloads/web"; got != want {
		t.Errorf("levels are %q, want %q", got, want)
	}
	network := addr.Foundation("dev", "network")
	if got, want := names(g.Dependents(network)), "cluster shared/db workloads/web"; got != want {
		t.Errorf("dependents are %q, want %q", got, want)
	}
	if got, want := names(g.Direct(addr.Workload("dev", "web"))), "cluster shared/db"; got != want {
		t.Errorf("direct dependencies are %q, want %q", got, want)
	}
	if got, want := names(g.Closure(addr.Foundation("dev", "cluster"), addr.Foundation("dev", "none"))), "account cluster network"; got != want {
		t.Errorf("closure is %q, want %q", got, want)
	}
	if got, want := names(g.Affected(network)), "cluster network shared/db workloads/web"; got != want {
		t.Errorf("affected are %q, want %q", got, want)
	}
	if u, ok := g.Unit(network); !ok || u.Digest != "digest of network" {
		t.Errorf("unit is %+v, %v", u, ok)
	}
	if _, ok := g.Unit(addr.Foundation("prod", "network")); ok || g.Dependents(addr.Foundation("prod", "network")) != nil {
		t.Error("a unit of another environment is found")
	}
}

func TestGraphErrors(t *testing.T) {
	_, err := graph.New("dev", []graph.Unit{unit("a"), unit("a"), unit("b", "c")})
	var dup *graph.DuplicateError
	var unknown *graph.UnknownError
	if !errors.As(err, &dup) || dup.Unit.Name != "a" {
		t.Errorf("duplicate: %v", err)
	}
	if !errors.As(err, &unknown) || unknown.Unit.Name != "b" || unknown.DependsOn.Name != "c" {
		t.Errorf("unknown: %v", err)
	}

	// d waits for the cycle without being in it.
	_, err = graph.New("dev", []graph.Unit{unit("c", "a"), unit("a", "b"), unit("b", "c"), unit("Before", "c"), unit("ok")})
	var cycle *graph.CycleError
	if !errors.As(err, &cycle) || names(cycle.Units) != "a b c" {
		t.Fatalf("cycle: %v", err)
	}
	if want := "dev/a → dev/b → dev/c → dev/a"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	if _, err = graph.New("dev", []graph.Unit{unit("a", "a")}); !errors.As(err, &cycle) {
		t.Errorf("self: %v", err)
	}

	u := unit("a")
	u.Inputs = map[string]graph.Value{"x": {Ref: &graph.Ref{Unit: addr.Foundation("dev", "b")}}, "y": {Literal: 1}}
	var undeclared *graph.UndeclaredError
	if _, err = graph.New("dev", []graph.Unit{u, unit("b")}); !errors.As(err, &undeclared) || undeclared.Refers.Name != "b" {
		t.Errorf("undeclared input: %v", err)
	}
	u = unit("a")
	u.Bindings = []graph.Binding{{Ref: &graph.Ref{Unit: addr.Foundation("dev", "b")}}}
	if _, err = graph.New("dev", []graph.Unit{u, unit("b")}); !errors.As(err, &undeclared) {
		t.Errorf("undeclared binding: %v", err)
	}
	if _, err = graph.New("prod", []graph.Unit{unit("a")}); err == nil {
		t.Error("a unit of another environment is accepted")
	}
}

// drawUnits draws units that depend only on earlier ones, so without a cycle.
func drawUnits(t *rapid.T) []graph.Unit {
	n := rapid.IntRange(0, 30).Draw(t, "units")
	units := make([]graph.Unit, n)
	// Addresses in no relation to dependencies.
	ids := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	})).Draw(t, "ids")
	for i := range units {
		var needs []string
		for range min(i, rapid.IntRange(0, 4).Draw(t, "needs")) {
			needs = append(needs, fmt.Sprintf("u%02d", ids[rapid.IntRange(0, i-1).Draw(t, "need")]))
		}
		units[i] = unit(fmt.Sprintf("u%02d", ids[i]), needs...)
	}
	return units
}

func TestOrderProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := drawUnits(t)
		g, err := graph.New("dev", units)
		if err != nil {
			t.Fatal(err)
		}
		order := g.Order()
		if len(order) != len(units) {
			t.Fatalf("%d units of %d", len(order), len(units))
		}
		at := map[addr.Unit]int{}
		for i, u := range order {
			for _, d := range u.DependsOn {
				if j, ok := at[d]; !ok || j >= i {
					t.Fatalf("%s stands before %s", u.Addr, d)
				}
			}
			at[u.Addr] = i
		}
		other, err := graph.New("dev", rapid.Permutation(units).Draw(t, "permutation"))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(order, other.Order()) || g.Digest() != other.Digest() {
			t.Fatal("the order depends on that of the input")
		}
		for _, u := range order {
			direct := g.Direct(u.Addr)
			if !reflect.DeepEqual(g.Closure(u.Addr), g.Closure(append(direct, u.Addr)...)) {
				t.Fatalf("%s depends on more than its direct dependencies' closure", u.Addr)
			}
			for _, d := range direct {
				for _, o := range direct {
					if o != d && slices.Contains(g.Closure(o), d) {
						t.Fatalf("%s follows from %s", d, o)
					}
				}
			}
			for _, c := range g.Closure(u.Addr) {
				if !slices.Contains(g.Affected(c), u.Addr) {
					t.Fatalf("%s needs %s, which does not affect it", u.Addr, c)
				}
			}
		}
	})
}

func TestDigest(t *testing.T) {
	base := []graph.Unit{unit("a"), unit("b", "a")}
	g, err := graph.New("dev", base)
	if err != nil {
		t.Fatal(err)
	}
	for name, units := range map[string][]graph.Unit{
		"digest":     {unit("a"), {Addr: base[1].Addr, DependsOn: base[1].DependsOn, Digest: "x"}},
		"dependency": {unit("a"), unit("b")},
		"unit":       {unit("a"), unit("b", "a"), unit("c")},
	} {
		h, err := graph.New("dev", units)
		if err != nil {
			t.Fatal(err)
		}
		if g.Digest() == h.Digest() {
			t.Errorf("another %s leaves the digest", name)
		}
	}
	unsorted := []graph.Unit{unit("c", "b", "a", "b"), unit("b"), unit("a")}
	h, err := graph.New("dev", unsorted)
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := h.Unit(unsorted[0].Addr); names(c.DependsOn) != "a b" || names(unsorted[0].DependsOn) != "b a b" {
		t.Errorf("dependencies are %v, and the input's %v", c.DependsOn, unsorted[0].DependsOn)
	}
}

// BenchmarkGraph builds and orders the graph of a large environment.
func BenchmarkGraph(b *testing.B) {
	units := []graph.Unit{unit("account"), unit("network", "account"), unit("cluster", "network")}
	for i := range 50_000 - len(units) {
		if i%2 == 0 {
			units = append(units, unit(fmt.Sprintf("shared/postgres/default/db%d", i), "network"))
			continue
		}
		units = append(units, unit(fmt.Sprintf("workloads/w%d", i), "cluster", fmt.Sprintf("shared/postgres/default/db%d", i-1)))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
	b.ResetTimer()
	for b.Loop() {
		g, err := graph.New("dev", units)
		if err != nil {
			b.Fatal(err)
		}
		if len(g.Order()) != len(units) || g.Digest() == "" {
			b.Fatal("units are lost")
		}
	}
}
