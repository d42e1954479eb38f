// Package view shows results of commands: for people as text and pictures, for
// machines as versioned JSON. A view gets values and a writer; it decides nothing,
// reads nothing and does not know flags or terminals.
package view

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// GraphVersion is the version of the document that GraphJSON writes. Fields may be
// added to a version; a change of meaning makes a new one.
const GraphVersion = "1"

// GraphJSON writes a graph as one JSON document: units by address, the levels in
// which they can be applied, and the graph's digest.
func GraphJSON(w io.Writer, g *graph.Graph) error {
	doc := struct {
		Version     string        `json:"version"`
		Environment string        `json:"environment"`
		Digest      string        `json:"digest"`
		Units       []graph.Unit  `json:"units"`
		Levels      [][]addr.Unit `json:"levels"`
	}{GraphVersion, g.Environment, g.Digest(), g.Units, g.Levels()}
	if doc.Units == nil {
		doc.Units = []graph.Unit{}
	}
	if doc.Levels == nil {
		doc.Levels = [][]addr.Unit{}
	}
	return writeJSON(w, doc)
}

// writeJSON writes a document for machines.
func writeJSON(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// counts says how many units there are of each kind.
func counts(units []graph.Unit) string {
	var tofu, kube, existing int
	for _, u := range units {
		switch {
		case u.Existing:
			existing++
		case u.Kind == graph.Kube:
			kube++
		default:
			tofu++
		}
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{tofu, "OpenTofu"}, {kube, "Kubernetes"}, {existing, "existing"}} {
		if c.n > 0 {
			parts = append(parts, thousands(c.n)+" "+c.what)
		}
	}
	s := number(len(units), "unit")
	if len(parts) > 0 {
		s += ": " + strings.Join(parts, ", ")
	}
	return s
}

func number(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes a number with its digits grouped.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// kind says in a word or two what a unit is.
func kind(u graph.Unit) string {
	if u.Contract == "" {
		return string(u.Kind)
	}
	return string(u.Kind) + " " + u.Contract
}

// what is kind, and whether the unit is there already.
func what(u graph.Unit) string {
	if u.Existing {
		return kind(u) + ", existing"
	}
	return kind(u)
}

// byLayer returns the units of each of the five layers, in the order of g.
func byLayer(g *graph.Graph) map[model.Layer][]graph.Unit {
	out := map[model.Layer][]graph.Unit{}
	for _, u := range g.Units {
		out[u.Layer] = append(out[u.Layer], u)
	}
	return out
}
