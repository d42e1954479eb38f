package view

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/term"
)

// RunOptions says how failures and outcomes are shown.
type RunOptions struct {
	Color bool
	Width int
	// Next is the command that goes on with the run.
	Next string
	// Outputs is the command that shows all outputs.
	Outputs string
}

// maxProblems is how many problems of one failure are shown.
const maxProblems = 5

// Failures writes what went wrong with units: the unit, the cause, what was and
// was not changed, and what to do.
func Failures(w io.Writer, fs []*engine.Failure, opt RunOptions) error {
	out := bufio.NewWriter(w)
	p := term.Painter(opt.Color)
	width := term.Prose(opt.Width, 2)
	line := func(s string) { _, _ = out.WriteString(s + "\n") }
	para := func(style term.Style, text string) {
		for _, l := range term.Wrap(text, width, 0) {
			line("  " + p.Paint(style, l))
		}
	}
	for _, f := range fs {
		line("")
		line(p.Paint(term.Red, "error") + " " + p.Paint(term.Bold, term.Clean(f.Unit.String())) + ": " + f.Stage + " failed " + p.Paint(term.Dim, "("+string(f.Cause)+")"))
		problems := f.Problems
		if len(problems) == 0 && f.Err != nil {
			problems = []engine.Problem{{Summary: f.Err.Error()}}
		}
		for i, pr := range problems {
			if i == maxProblems {
				para(term.Dim, fmt.Sprintf("and %d more", len(problems)-i))
				break
			}
			head := pr.Summary
			if pr.Resource != "" {
				head = pr.Resource + ": " + head
			}
			if pr.File != "" {
				head = fmt.Sprintf("%s:%d: %s", pr.File, pr.Line, head)
			}
			para(term.Bold, head)
			if pr.Detail != "" && pr.Detail != pr.Summary {
				para("", pr.Detail)
			}
		}
		switch {
		case len(f.Changed) > 0:
			para("", "Changed before it failed: "+list(f.Changed)+".")
		case f.Stage == "apply":
			para("", "Nothing in this unit was changed.")
		}
		if len(f.Open) > 0 {
			para("", "What became of these is not known yet: "+list(f.Open)+". The next apply looks after them.")
		}
		if f.Next != "" {
			para("", "Next: "+f.Next)
		}
	}
	return out.Flush()
}

func list(words []string) string {
	const most = 8
	if len(words) > most {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
	}
	return strings.Join(words, ", ")
}

// Outcome writes how a run ended: counts, outputs of what was applied, failures and
// what to do next.
func Outcome(w io.Writer, o *engine.Outcome, opt RunOptions) error {
	if err := Failures(w, o.Failures, opt); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	p := term.Painter(opt.Color)
	line := func(s string) { _, _ = out.WriteString(s + "\n") }
	for _, pe := range o.Paused {
		line("")
		line(p.Paint(term.Yellow, "paused") + " " + p.Paint(term.Bold, term.Clean(pe.Unit.String())) + ": its plan now does more than what was approved")
		for _, r := range pe.Reasons {
			for i, l := range term.Wrap(r, term.Prose(opt.Width, 4), 0) {
				line(map[bool]string{true: "  - ", false: "    "}[i == 0] + l)
			}
		}
		line("  Nothing of this unit was changed. Plan again and have the new plan approved.")
	}
	line("")
	resources := 0
	for _, c := range o.Changed {
		resources += len(c)
	}
	verb := "Applied"
	if o.Run.Operation == "destroy" {
		verb = "Destroyed"
	}
	head := fmt.Sprintf("%s %s, %s changed", verb, number(len(o.Applied), "unit"), number(resources, "resource"))
	if n := len(o.Unchanged); n > 0 {
		head += fmt.Sprintf("; %s unchanged", number(n, "unit"))
	}
	if n := len(o.Failures); n > 0 {
		head += fmt.Sprintf("; %d failed", n)
	}
	if n := len(o.Skipped); n > 0 {
		head += fmt.Sprintf("; %d not begun", n)
	}
	line(p.Paint(term.Bold, head+"."))
	line(p.Paint(term.Dim, fmt.Sprintf("Run %s, %s.", o.Run.ID, seconds(o.Run.Ended.Sub(o.Run.Started)))))
	if o.OK() {
		outputsOf(line, p, o, opt)
	}
	if opt.Next != "" && !o.OK() {
		line("Go on with: " + opt.Next)
	}
	return out.Flush()
}

// maxOutputs is how many units' outputs Outcome lists.
const maxOutputs = 12

func outputsOf(line func(string), p term.Painter, o *engine.Outcome, opt RunOptions) {
	var with []addr.Unit
	for _, a := range o.Applied {
		if len(o.Outputs[a]) > 0 {
			with = append(with, a)
		}
	}
	if len(with) == 0 {
		return
	}
	line("")
	line(p.Paint(term.Bold, "Outputs"))
	width := opt.Width
	if width <= 0 {
		width = term.DefaultWidth
	}
	for i, a := range with {
		if i == maxOutputs {
			line(p.Paint(term.Dim, fmt.Sprintf("  and those of %d more units: %s", len(with)-i, opt.Outputs)))
			return
		}
		line("  " + term.Clean(a.Name))
		names := make([]string, 0, len(o.Outputs[a]))
		for n := range o.Outputs[a] {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			line(term.Cut("    "+term.Clean(n)+" = "+term.Clean(string(o.Outputs[a][n])), width-1))
		}
	}
}

// OutcomeJSON writes how a run ended for machines.
func OutcomeJSON(w io.Writer, o *engine.Outcome) error {
	type failure struct {
		Unit    addr.Unit        `json:"unit"`
		Stage   string           `json:"stage"`
		Cause   engine.Cause     `json:"cause"`
		Error   []engine.Problem `json:"problems"`
		Changed []string         `json:"changed,omitempty"`
		Open    []string         `json:"open,omitempty"`
		Next    string           `json:"next,omitempty"`
	}
	doc := struct {
		Version   string                                   `json:"version"`
		Run       string                                   `json:"run"`
		Status    string                                   `json:"status"`
		Operation string                                   `json:"operation"`
		Applied   []addr.Unit                              `json:"applied"`
		Unchanged []addr.Unit                              `json:"unchanged"`
		Skipped   []addr.Unit                              `json:"skipped"`
		Changed   map[addr.Unit][]string                   `json:"changed"`
		Outputs   map[addr.Unit]map[string]json.RawMessage `json:"outputs"`
		Failures  []failure                                `json:"failures"`
		Paused    []*engine.PausedError                    `json:"paused"`
	}{
		Version: "1", Run: o.Run.ID, Status: string(o.Run.Status), Operation: o.Run.Operation, Applied: some(o.Applied), Unchanged: some(o.Unchanged),
		Skipped: some(o.Skipped), Changed: o.Changed, Outputs: o.Outputs, Failures: []failure{}, Paused: some(o.Paused),
	}
	for _, f := range o.Failures {
		doc.Failures = append(doc.Failures, failure{f.Unit, f.Stage, f.Cause, f.Problems, f.Changed, f.Open, f.Next})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}

// some is a list that is never null in JSON.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
