package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

// Finding is what a rule says about one thing.
type Finding struct {
	// Rule is the rule's id.
	Rule     string      `json:"rule"`
	Title    string      `json:"title,omitempty"`
	Severity Severity    `json:"severity"`
	Layer    model.Layer `json:"layer"`
	Controls []string    `json:"controls,omitempty"`
	Message  string      `json:"message"`
	// Address names what the finding is about, without the environment: a
	// unit, "UNIT KIND/NAMESPACE/NAME", or "UNIT RESOURCE" of a plan.
	Address     string `json:"address"`
	Environment string `json:"environment,omitempty"`
	// File, Line and Path say where in the user's text it comes from, as far
	// as that is known.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Path string `json:"path,omitempty"`
	// Warn findings are advice.
	Warn bool `json:"warn,omitempty"`
	// Excepted says which exception accepts the finding; nil when none does.
	Excepted *Excepted `json:"excepted,omitempty"`

	at diag.Path
}

// Excepted is the exception that accepts a finding.
type Excepted struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"`
	File    string `json:"file,omitempty"`
}

// Denies reports whether the finding stops what is being done.
func (f Finding) Denies() bool { return !f.Warn && f.Excepted == nil }

// FullAddress is the address with its environment.
func (f Finding) FullAddress() string {
	if f.Environment == "" {
		return f.Address
	}
	return f.Environment + "/" + f.Address
}

// Diagnostic converts the finding to a diagnostic: an error when it denies, a
// warning otherwise.
func (f Finding) Diagnostic() diag.Diagnostic {
	d := diag.Diagnostic{Severity: diag.Warning, Rule: f.Rule, Summary: f.FullAddress() + ": " + f.Message, File: f.File, Path: f.at}
	if f.Denies() {
		d.Severity = diag.Error
	}
	if f.Line > 0 {
		d.Range.Start = diag.Pos{Line: f.Line, Column: 1}
	}
	details := []string{string(f.Severity)}
	if f.Title != "" {
		details = append(details, f.Title)
	}
	details = append(details, f.Controls...)
	d.Detail = strings.Join(details, "; ")
	return d
}

// Diagnostics converts the findings that no exception accepts.
func Diagnostics(fs []Finding) diag.List {
	var out diag.List
	for _, f := range fs {
		if f.Excepted == nil {
			out.Add(f.Diagnostic())
		}
	}
	return out.Sorted()
}

// SortFindings puts findings into their one order: environment, address, rule,
// message, path. Every function here that returns findings has done so.
func SortFindings(fs []Finding) {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(
			strings.Compare(a.Environment, b.Environment),
			strings.Compare(a.Address, b.Address),
			strings.Compare(a.Rule, b.Rule),
			strings.Compare(a.Message, b.Message),
			strings.Compare(a.Path, b.Path),
			strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
		)
	})
}

// finding says what the hit is about.
func (h hit) finding(env, address, file string, line int) Finding {
	r := h.rule
	if h.address != "" {
		address = strings.TrimSpace(address + " " + h.address)
	}
	return Finding{
		Rule: r.ID, Title: r.Title, Severity: r.Severity, Layer: r.Layer, Controls: r.Controls, Warn: r.Warn,
		Message: h.msg, Address: address, Environment: env, File: file, Line: line, Path: h.place, at: h.path,
	}
}

// Summary counts findings for reports.
type Summary struct {
	Denied   int              `json:"denied"`
	Warned   int              `json:"warned"`
	Excepted int              `json:"excepted"`
	Severity map[Severity]int `json:"severity"`
}

// Report is what `-o json` prints.
type Report struct {
	Version  int       `json:"version"`
	Summary  Summary   `json:"summary"`
	Findings []Finding `json:"findings"`
}

// NewReport counts findings and puts them into a report.
func NewReport(fs []Finding) Report {
	r := Report{Version: 1, Findings: slices.Clone(fs), Summary: Summary{Severity: map[Severity]int{}}}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	SortFindings(r.Findings)
	for _, f := range fs {
		switch {
		case f.Excepted != nil:
			r.Summary.Excepted++
			continue
		case f.Warn:
			r.Summary.Warned++
		default:
			r.Summary.Denied++
		}
		r.Summary.Severity[f.Severity]++
	}
	return r
}
