package view

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// GraphDot writes a graph in the DOT language of Graphviz: units in boxes by layer,
// and an arrow from each unit to those that need it.
func GraphDot(w io.Writer, g *graph.Graph) error {
	out := bufio.NewWriter(w)
	// Write errors stick to the buffered writer, whose Flush returns them.
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	line("digraph %s {", quote(g.Environment))
	line(`  rankdir=LR;`)
	line(`  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];`)
	line(`  edge [color="#8a94a3", arrowsize=0.7];`)
	layers := byLayer(g)
	for i, l := range model.Layers {
		if len(layers[l]) == 0 {
			continue
		}
		c := colors[l]
		line("  subgraph cluster_%d {", i)
		line("    label=%s; color=%s; fontcolor=%s; fontname=\"Helvetica\";", quote(string(l)), quote(c.line), quote(c.line))
		for _, u := range layers[l] {
			style := ""
			if u.Existing {
				style = `, style="rounded,filled,dashed"`
			}
			line("    %s [label=%s, fillcolor=%s, color=%s%s];", quote(u.Addr.Name), quote(u.Addr.Name+"\n"+what(u)), quote(c.fill), quote(c.line), style)
		}
		line("  }")
	}
	for _, u := range g.Units {
		for _, d := range u.DependsOn {
			line("  %s -> %s;", quote(d.Name), quote(u.Addr.Name))
		}
	}
	line("}")
	return out.Flush()
}

// quote writes a DOT string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
