package view

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/term"
)

// summary writes what the plan comes to and what to do next.
func (v *planView) summary() {
	if rest := v.findings[addr.Unit{}]; len(rest) > 0 {
		v.blank()
		v.line(0, span{term.Bold, "policy"}, span{term.Dim, "  about the environment"})
		for _, f := range rest {
			v.finding(2, f, true)
		}
	}
	v.blank()
	style := term.Bold
	if c := v.p.Counts(); c.Delete+c.Replace > 0 {
		style = term.Red
	}
	v.prose(0, plain(""), style, PlanSummary(v.p))
	if v.p.Operation != plan.Drift {
		v.policy()
	}
	v.approvals()
	v.next()
}

func (v *planView) policy() {
	var n [3]int
	for _, f := range v.p.Findings {
		n[gravity(f)]++
	}
	var parts []string
	for i, words := range []string{"denying", "advice", "excepted"} {
		if n[i] > 0 {
			parts = append(parts, thousands(n[i])+" "+words)
		}
	}
	switch {
	case v.p.Denied():
		v.prose(0, span{term.Red, "Policy: "}, "", strings.Join(parts, ", ")+". The plan may not be applied.")
	case len(parts) > 0:
		v.prose(0, plain("Policy: "), "", strings.Join(parts, ", ")+".")
	default:
		v.line(0, plain("Policy: "), span{term.Green, "no findings"}, plain("."))
	}
}

func (v *planView) approvals() {
	req := v.p.Approvals
	if v.p.Operation == plan.Drift || v.p.Empty() || req.Required == 0 && v.opt.Verdict == nil {
		return
	}
	if verdict := v.opt.Verdict; verdict != nil {
		switch {
		case !verdict.OK():
			for i, r := range verdict.Missing {
				mark := span{term.Yellow, "Approvals: "}
				if i > 0 {
					mark = plain("           ")
				}
				v.prose(0, mark, "", r.Text+".")
			}
		case len(verdict.Approved) == 0:
			v.line(0, plain("Approvals: none needed."))
		default:
			v.prose(0, span{term.Green, "Approvals: "}, "", "approved by "+strings.Join(verdict.Approved, ", ")+".")
		}
		return
	}
	s := thousands(req.Required) + " needed"
	if len(req.Groups) > 0 {
		s += " from " + strings.Join(req.Groups, ", ")
	}
	if req.NotAuthor {
		s += ", not by " + v.p.Author
	}
	v.prose(0, plain("Approvals: "), "", s+".")
}

func (v *planView) next() {
	if v.opt.Seal != "" {
		v.command("Seal: "+v.opt.Seal.Short()+"  ", v.opt.File)
	}
	if v.folded && v.opt.File != "" {
		v.command("Shortened; all of it: ", v.opt.Program+" show --full "+QuoteFile(v.opt.File))
	}
	if v.opt.File == "" || v.p.Operation == plan.Drift || v.p.Empty() || v.p.Denied() {
		return
	}
	file := QuoteFile(v.opt.File)
	approve := v.p.Approvals.Required > 0
	if v.opt.Verdict != nil {
		approve = !v.opt.Verdict.OK()
	}
	v.blank()
	if approve {
		v.command("Next: ", v.opt.Program+" approve "+file)
		v.command("then: ", v.opt.Program+" apply "+file)
		return
	}
	v.command("Next: ", v.opt.Program+" apply "+file)
}

// QuoteFile writes a file's name as it is typed in a shell.
func QuoteFile(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "." + string(filepath.Separator) + name
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./+:@,%", r))
	}) {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

// finding writes what a policy says; whole says that nothing above it names the
// resource.
func (v *planView) finding(indent int, f plan.Finding, whole bool) {
	mark := span{term.Yellow, "! advice [" + f.Rule + "] "}
	var style term.Style
	switch gravity(f) {
	case 0:
		mark = span{term.Red, "✗ denied [" + f.Rule + "] "}
	case 2:
		mark = span{term.Dim, "· excepted [" + f.Rule + "] "}
		style = term.Dim
	}
	text := f.Summary
	if f.Severity != "" && f.Excepted == "" {
		text = f.Severity + ": " + text
	}
	if whole && f.Resource != "" {
		text = f.Resource + ": " + text
	}
	if f.Excepted != "" {
		text += " (" + f.Excepted + ")"
	}
	v.prose(indent, mark, style, text)
	if f.Detail != "" && (f.Denies && f.Excepted == "" || v.opt.Full) {
		v.prose(indent+2, plain(""), term.Dim, f.Detail)
	}
	v.place(indent+2, f)
}

// place writes the user's text that a finding is about.
func (v *planView) place(indent int, f plan.Finding) {
	if f.File == "" || f.Excepted != "" && !v.opt.Full {
		return
	}
	at := f.File
	if f.Line > 0 {
		at = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	spans := []span{{term.Blue, at}}
	if f.Line > 0 && v.opt.Read != nil {
		lines := strings.Split(string(v.opt.Read(f.File)), "\n")
		if f.Line <= len(lines) {
			spans = append(spans, span{term.Dim, "  " + strings.TrimSpace(strings.ReplaceAll(lines[f.Line-1], "\t", " "))})
		}
	}
	v.line(indent, spans...)
}
