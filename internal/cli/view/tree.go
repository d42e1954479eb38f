package view

import (
	"bufio"
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/term"
)

// TreeOptions says how Tree shows a graph.
type TreeOptions struct {
	// Color turns on ANSI colours.
	Color bool
	// Width is the number of columns to fill; 0 means 80.
	Width int
	// Full lists every unit, however many there are.
	Full bool
}

const (
	// treeUnits is how many units Tree lists; of more it counts families.
	treeUnits = 200
	// nameColumn bounds the column of names, so that one long name does not push all
	// else aside.
	nameColumn = 44
)

// row is a line of the tree below a layer.
type row struct{ name, what, note string }

// GraphTree writes a graph as text: the units of each of the five layers, bottom up,
// and what each depends on, less what follows from its other dependencies. Large graphs are summarised by family of unit.
func GraphTree(w io.Writer, g *graph.Graph, opt TreeOptions) error {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	p := term.Painter(opt.Color)
	out := bufio.NewWriter(w)
	// Write errors stick to the buffered writer, whose Flush returns them.
	line := func(s string) { _, _ = out.WriteString(strings.TrimRight(s, " ") + "\n") }
	line(p.Paint(term.Bold, g.Environment) + "  " + counts(g.Units))
	layers := byLayer(g)
	for _, l := range model.Layers {
		units := layers[l]
		line("")
		line(p.Paint(term.Bold, string(l)) + "  " + p.Paint(term.Dim, number(len(units), "unit")))
		rows := familyRows(units)
		if len(g.Units) <= treeUnits || opt.Full {
			rows = unitRows(g, units)
		}
		column, kinds := 0, 0
		for _, r := range rows {
			column = max(column, term.Width(r.name))
			kinds = max(kinds, term.Width(r.what))
		}
		column = min(column, nameColumn)
		for i, r := range rows {
			branch := "├─ "
			if i == len(rows)-1 {
				branch = "└─ "
			}
			// Three columns of branch, and two spaces after name and kind.
			room := opt.Width - 3 - max(column, term.Width(r.name)) - 2 - kinds - 2
			line(p.Paint(term.Dim, branch) + pad(r.name, column) + "  " + p.Paint(term.Blue, pad(r.what, kinds)) + "  " + p.Paint(term.Dim, shorten(r.note, room)))
		}
	}
	if len(g.Units) > treeUnits && !opt.Full {
		line("")
		line("Summarised by family; --full lists all units.")
	}
	return out.Flush()
}

func unitRows(g *graph.Graph, units []graph.Unit) []row {
	rows := make([]row, len(units))
	for i, u := range units {
		rows[i] = row{name: u.Addr.Name, what: kind(u)}
		if u.Existing {
			rows[i].note = "(existing)"
		}
		needs := g.Direct(u.Addr)
		if len(needs) == 0 {
			continue
		}
		names := make([]string, len(needs))
		for j, d := range needs {
			names[j] = d.Name
		}
		rows[i].note = strings.TrimSpace(rows[i].note + " ← " + strings.Join(names, ", "))
	}
	return rows
}

// familyRows counts the units of each family: the first part of the name, with a
// star for each further part.
func familyRows(units []graph.Unit) []row {
	type family struct{ name, what string }
	n := map[family]int{}
	for _, u := range units {
		f := family{u.Addr.Name, what(u)}
		if head, rest, ok := strings.Cut(u.Addr.Name, "/"); ok && head != "platform" {
			f.name = head + strings.Repeat("/*", 1+strings.Count(rest, "/"))
		}
		n[f]++
	}
	families := make([]family, 0, len(n))
	for f := range n {
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b family) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.what, b.what))
	})
	rows := make([]row, len(families))
	for i, f := range families {
		rows[i] = row{name: f.name, what: f.what}
		if n[f] > 1 || strings.Contains(f.name, "*") {
			rows[i].note = number(n[f], "unit")
		}
	}
	return rows
}

func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-term.Width(s)))
}

// shorten cuts a list to so many columns, between its items where it can, and says
// how many items are left out.
func shorten(list string, columns int) string {
	if term.Width(list) <= columns {
		return list
	}
	items := strings.Split(list, ", ")
	for n := len(items) - 1; n > 0; n-- {
		s := strings.Join(items[:n], ", ") + " +" + thousands(len(items)-n)
		if term.Width(s) <= columns {
			return s
		}
	}
	if head, needs, ok := strings.Cut(list, "← "); ok && len(items) > 1 {
		return head + "← " + number(strings.Count(needs, ", ")+1, "unit")
	}
	if runes := []rune(list); columns > 1 && len(runes) > columns {
		return string(runes[:columns-1]) + "…"
	}
	return list
}
