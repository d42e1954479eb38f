package view

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/policy"
	"github.com/stratahq/strata/internal/term"
)

// Report is what a check found.
type Report struct {
	Diagnostics             diag.List
	Findings                []policy.Finding
	Environments, Workloads int
	Units, Objects          int
	Version                 string
	Rules                   []diag.RuleInfo
}

// Open returns how many findings deny and have no exception.
func (r Report) Open() int {
	n := 0
	for _, f := range r.Findings {
		if f.Denies() {
			n++
		}
	}
	return n
}

// JSON writes the report as one versioned document.
func (r Report) JSON(w io.Writer) error {
	errors, warnings := r.Diagnostics.Count()
	doc := struct {
		Version      string        `json:"version"`
		Errors       int           `json:"errors"`
		Warnings     int           `json:"warnings"`
		Environments int           `json:"environments"`
		Workloads    int           `json:"workloads"`
		Units        int           `json:"units"`
		Objects      int           `json:"objects"`
		Diagnostics  diag.List     `json:"diagnostics"`
		Policy       policy.Report `json:"policy"`
	}{"1", errors, warnings, r.Environments, r.Workloads, r.Units, r.Objects, r.Diagnostics, policy.NewReport(r.Findings)}
	if doc.Diagnostics == nil {
		doc.Diagnostics = diag.List{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// SARIF writes diagnostics and findings as SARIF 2.1.0.
func (r Report) SARIF(w io.Writer) error {
	all := append(diag.List{}, r.Diagnostics...)
	rules := append([]diag.RuleInfo{}, r.Rules...)
	seen := map[string]bool{}
	for _, f := range r.Findings {
		if f.Excepted != nil {
			continue
		}
		all.Add(f.Diagnostic())
		if !seen[f.Rule] {
			seen[f.Rule] = true
			rules = append(rules, diag.RuleInfo{ID: f.Rule, Summary: f.Title, Severity: diag.Error})
		}
	}
	return diag.SARIF(w, all.Sorted(), r.Version, rules)
}

// Human writes the report for people. read returns a file's content for the
// excerpts.
func (r Report) Human(w io.Writer, read func(string) []byte, opt diag.HumanOptions) error {
	if err := diag.Human(w, r.Diagnostics, read, opt); err != nil {
		return err
	}
	var b strings.Builder
	if len(r.Diagnostics) > 0 {
		b.WriteString("\n")
	}
	Findings(&b, r.Findings, opt)
	b.WriteString(r.summary(term.Painter(opt.Color)) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) summary(p term.Painter) string {
	errors, warnings := r.Diagnostics.Count()
	scope := fmt.Sprintf("%s, %s", count(r.Environments, "environment"), count(r.Workloads, "workload"))
	switch {
	case errors > 0:
		line := p.Paint(term.Red, count(errors, "error"))
		if warnings > 0 {
			line += ", " + count(warnings, "warning")
		}
		return line + " in " + scope + ".\nPolicy was not asked: the description has to be right first."
	case r.Open() > 0:
		return p.Paint(term.Red, count(r.Open(), "finding")) + r.others(warnings) + " in " + scope + ", " + count(r.Objects, "object") + "."
	}
	return p.Paint(term.Green, "No findings") + r.others(warnings) + " in " + scope + ", " + count(r.Units, "unit") + ", " + count(r.Objects, "object") + "."
}

func (r Report) others(warnings int) string {
	var advice, excepted int
	for _, f := range r.Findings {
		switch {
		case f.Excepted != nil:
			excepted++
		case f.Warn:
			advice++
		}
	}
	out := ""
	if excepted > 0 {
		out += fmt.Sprintf(", %d excepted", excepted)
	}
	if advice+warnings > 0 {
		out += ", " + count(advice+warnings, "warning")
	}
	return out
}

// Findings writes findings for people: what is wrong, with what, and who says
// so, worst first. Findings of one rule and message are written together.
func Findings(w io.Writer, fs []policy.Finding, opt diag.HumanOptions) {
	p := term.Painter(opt.Color)
	type key struct{ rule, msg string }
	var order []key
	groups := map[key][]policy.Finding{}
	for _, f := range fs {
		if f.Excepted != nil {
			continue
		}
		k := key{f.Rule, f.Message}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], f)
	}
	slices.SortStableFunc(order, func(a, b key) int {
		return rank(groups[a][0]) - rank(groups[b][0])
	})
	const most = 8
	for _, k := range order {
		g := groups[k]
		f := g[0]
		style, word := term.Red, "finding"
		if f.Warn {
			style, word = term.Yellow, "advice"
		}
		head := fmt.Sprintf("%s [%s] %s: ", word, f.Rule, f.Severity)
		lines := term.Wrap(f.Message, term.Prose(opt.Width, 0), term.Width(head))
		fmt.Fprintln(w, p.Paint(style, head)+strings.Join(lines, "\n"))
		for i, f := range g {
			if i == most {
				fmt.Fprintf(w, "  and %s\n", count(len(g)-most, "other"))
				break
			}
			line := "  " + term.Clean(f.FullAddress())
			if f.File != "" {
				line += " (" + term.Clean(f.File)
				if f.Line > 0 {
					line += fmt.Sprintf(":%d", f.Line)
				}
				line += ")"
			}
			fmt.Fprintln(w, line)
		}
		if len(f.Controls) > 0 {
			for _, line := range term.Wrap(strings.Join(f.Controls, "; "), term.Prose(opt.Width, 2), 0) {
				fmt.Fprintln(w, "  "+p.Paint(term.Dim, line))
			}
		}
		fmt.Fprintln(w)
	}
}

// rank orders findings for reading: what stops comes before advice, the worst
// first.
func rank(f policy.Finding) int {
	r := slices.Index(policy.Severities, f.Severity)
	if f.Warn {
		r += len(policy.Severities)
	}
	return r
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
