package view

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/term"
)

// PlanOptions says how Plan shows a plan.
type PlanOptions struct {
	// Color turns on ANSI colours.
	Color bool
	// Width is the number of columns to fill; 0 means 80.
	Width int
	// Full shows everything: every unit, resource and attribute, values at length.
	Full bool
	// Read returns the content of one of the user's files, for the line that a
	// finding is about; nil leaves these lines out.
	Read func(file string) []byte
	// Program is how the program is called in commands to go on with; empty means
	// strata.
	Program string
	// File is where the plan is saved; empty when it is not.
	File string
	// Seal is the saved plan's seal.
	Seal plan.Seal
	// Verdict says whether the saved plan's approvals suffice; nil when nobody asked.
	Verdict *plan.Verdict
}

// Of larger plans only what deserves a look is shown at length.
const (
	// briefUnits is how many changing units a plan may have before units that only
	// create take one line.
	briefUnits = 60
	// terseCreates is how many resources a plan may create before their attributes
	// are left out, except where somebody says something about them.
	terseCreates = 60
	// foldRecords is how many units that only record something are listed.
	foldRecords = 10
	// foldCreating is how many units that only create are listed, in such a plan.
	foldCreating = 20
)

// Plan writes a plan for people: by layer, the units in the order in which they are
// applied, their resources, what changes about them and what policy says of it; in the
// end what it comes to and what to do next. No line is wider than the width, and
// nothing that a plan holds can steer the terminal. The error is the writer's.
func Plan(w io.Writer, p *plan.Plan, opt PlanOptions) error {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	if opt.Program == "" {
		opt.Program = "strata"
	}
	out := bufio.NewWriter(w)
	v := &planView{p: p, opt: opt, out: out, paint: term.Painter(opt.Color), findings: byUnit(p)}
	v.header()
	v.layers()
	v.summary()
	// Write errors stick to the buffered writer, whose Flush returns them.
	return out.Flush()
}

// planView is a plan being written.
type planView struct {
	p        *plan.Plan
	opt      PlanOptions
	out      *bufio.Writer
	paint    term.Painter
	findings map[addr.Unit][]plan.Finding
	// brief says that the plan is a large one; folded, that something was left out.
	brief, folded bool
	// terse says that the plan creates much.
	terse bool
}

// span is a piece of a line in one style.
type span struct {
	style term.Style
	text  string
}

func plain(s string) span { return span{"", s} }

// line writes spans behind an indent. What does not fit is cut, so that no terminal
// breaks a line where the eye does not expect it.
func (v *planView) line(indent int, spans ...span) {
	room := v.opt.Width - indent
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", indent))
	for i, s := range spans {
		text := term.Clean(s.text)
		if i == len(spans)-1 {
			text = strings.TrimRight(text, " ")
		}
		full := term.Width(text) > room
		if full {
			text = clip(text, room)
		}
		room -= term.Width(text)
		if s.style != "" {
			text = v.paint.Paint(s.style, text)
		}
		b.WriteString(text)
		if full {
			break
		}
	}
	_, _ = v.out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
}

// command writes a line that is copied: it is never cut.
func (v *planView) command(mark, text string) {
	_, _ = v.out.WriteString(term.Clean(mark) + v.paint.Paint(term.Bold, term.Clean(text)) + "\n")
}

// markColumn is how long a mark may be for text to stand below its end.
const markColumn = 12

// prose writes text in lines that end at spaces. A mark stands before the first; the
// others stand below its end, or two columns in where it is long.
func (v *planView) prose(indent int, mark span, style term.Style, text string) {
	wide := term.Width(term.Clean(mark.text))
	at, used := indent+wide, 0
	switch {
	case v.opt.Width-at < 20 && wide > 0:
		v.line(indent, mark)
		mark, at = plain("  "), indent+2
	case wide > markColumn:
		at, used = indent+2, wide-2
	}
	lines := term.Wrap(text, min(term.Prose(v.opt.Width, at), max(1, v.opt.Width-at)), used)
	for i, l := range lines {
		if i == 0 {
			v.line(indent, mark, span{style, l})
		} else {
			v.line(at, span{style, l})
		}
	}
}

func (v *planView) blank() { _ = v.out.WriteByte('\n') }

// clip cuts a text to so many columns.
func clip(s string, columns int) string {
	if term.Width(s) <= columns {
		return s
	}
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n+term.RuneWidth(r) > columns-1 {
			break
		}
		n += term.RuneWidth(r)
		b.WriteRune(r)
	}
	if columns > 0 {
		b.WriteString("…")
	}
	return b.String()
}

// byUnit returns the findings of each unit, what denies first.
func byUnit(p *plan.Plan) map[addr.Unit][]plan.Finding {
	out := map[addr.Unit][]plan.Finding{}
	for _, f := range p.Findings {
		if _, ok := p.Unit(f.Unit); !ok {
			f.Unit = addr.Unit{}
		}
		out[f.Unit] = append(out[f.Unit], f)
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b plan.Finding) int { return gravity(a) - gravity(b) })
	}
	return out
}

func gravity(f plan.Finding) int {
	switch {
	case f.Excepted != "":
		return 2
	case f.Denies:
		return 0
	}
	return 1
}

func (v *planView) header() {
	p := v.p
	what := string(p.Operation)
	if p.Offline {
		what += ", offline"
	}
	v.line(0, span{term.Bold, p.Environment}, plain("  "+what), span{term.Dim, fmt.Sprintf("  planned %s by %s", p.Created.UTC().Format("2006-01-02 15:04 UTC"), p.Author)})
	if len(p.Selection) > 0 {
		v.line(0, span{term.Yellow, "only "}, plain(strings.Join(p.Selection, " ")))
	}
	if p.Offline && p.Operation != plan.Drift {
		v.line(0, span{term.Dim, "Planned against stand-ins of the cloud; applying it changes only them."})
	}
}

// layers writes the units layer by layer, in the order in which the first of each has
// its turn: the foundation at first, and last when everything goes.
func (v *planView) layers() {
	units := map[string][]plan.Unit{}
	var order []string
	changing := 0
	for _, u := range v.p.Units {
		if units[u.Layer] == nil {
			order = append(order, u.Layer)
		}
		units[u.Layer] = append(units[u.Layer], u)
		if u.Status == plan.Changes {
			changing++
		}
	}
	v.brief = changing > briefUnits && !v.opt.Full
	v.terse = v.p.Counts().Create > terseCreates && !v.opt.Full
	for _, l := range order {
		v.layer(l, units[l])
	}
}

func (v *planView) layer(name string, units []plan.Unit) {
	var c plan.Counts
	for _, u := range units {
		c = c.Add(u.Counts)
	}
	v.blank()
	if name == "" {
		name = "other"
	}
	heading := number(len(units), "unit")
	if !c.Zero() {
		heading += " · " + v.counts(c)
	}
	v.line(0, span{term.Bold, name}, span{term.Dim, "  " + heading})
	quiet := map[plan.Status][]plan.Unit{}
	for _, u := range units {
		if len(v.findings[u.Addr]) == 0 && len(u.Notes) == 0 && (u.Status != plan.Changes || onlyCreates(u)) {
			quiet[u.Status] = append(quiet[u.Status], u)
		}
	}
	// A few are news; many are what a new environment or an upgrade looks like.
	if !v.brief || len(quiet[plan.Changes]) < foldCreating {
		delete(quiet, plan.Changes)
	}
	if v.opt.Full || len(quiet[plan.Record]) < foldRecords {
		delete(quiet, plan.Record)
	}
	folded := map[addr.Unit]bool{}
	for _, list := range quiet {
		for _, u := range list {
			folded[u.Addr] = true
		}
	}
	for _, u := range units {
		if !folded[u.Addr] {
			v.unit(u)
		}
	}
	if list := quiet[plan.Changes]; len(list) > 0 {
		v.creating(list)
	}
	if n := len(quiet[plan.Record]); n > 0 {
		v.folded = true
		v.line(2, span{term.Blue, "  = "}, plain(number(n, "unit")), span{term.Dim, " only to be recorded"})
	}
	for _, s := range []struct {
		status plan.Status
		words  string
	}{{plan.Existing, "there already"}, {plan.Unchanged, "unchanged"}} {
		list := quiet[s.status]
		if len(list) == 0 {
			continue
		}
		names := make([]string, len(list))
		for i, u := range list {
			names[i] = u.Addr.Name
		}
		text := number(len(list), "unit") + " " + s.words
		if s.status == plan.Existing || v.opt.Full {
			text += ": " + strings.Join(names, ", ")
		}
		if v.opt.Full {
			v.prose(6, plain(""), term.Dim, text)
			continue
		}
		v.line(6, span{term.Dim, text})
	}
}

// creating writes the many units of a layer that only create as one.
func (v *planView) creating(units []plan.Unit) {
	v.folded = true
	var c plan.Counts
	provisional := 0
	names := make([]string, len(units))
	for i, u := range units {
		c = c.Add(u.Counts)
		names[i] = term.Clean(u.Addr.Name)
		if u.Provisional {
			provisional++
		}
	}
	rest := "  " + v.counts(c)
	if provisional > 0 {
		rest += ", " + thousands(provisional) + " provisional"
	}
	v.line(2, symbol(plan.Create), plain(" "), span{term.Bold, number(len(units), "unit")}, span{term.Dim, rest})
	v.line(6, span{term.Dim, shorten(strings.Join(names, ", "), v.opt.Width-6)})
}

// onlyCreates reports whether a unit creates resources and does nothing else.
func onlyCreates(u plan.Unit) bool {
	return u.Counts.Create > 0 && u.Counts == plan.Counts{Create: u.Counts.Create}
}

// countWords says what happens to how many resources, without what happens to none.
func countWords(c plan.Counts) string {
	var parts []string
	for _, n := range []struct {
		n    int
		what string
	}{{c.Create, "create"}, {c.Update, "update"}, {c.Replace, "replace"}, {c.Delete, "delete"}, {c.Import, "import"}, {c.Forget, "forget"}, {c.Move, "move"}} {
		if n.n > 0 {
			parts = append(parts, thousands(n.n)+" to "+n.what)
		}
	}
	return strings.Join(parts, ", ")
}

// driftWords says what somebody else did to how many resources.
func driftWords(c plan.Counts) string {
	var parts []string
	for _, n := range []struct {
		n    int
		what string
	}{{c.Create, "new"}, {c.Update + c.Replace, "changed"}, {c.Delete, "gone"}} {
		if n.n > 0 {
			parts = append(parts, thousands(n.n)+" "+n.what)
		}
	}
	return strings.Join(parts, ", ")
}

// counts says what happens to how many resources, in the words of the operation.
func (v *planView) counts(c plan.Counts) string {
	if v.p.Operation == plan.Drift {
		return driftWords(c)
	}
	return countWords(c)
}

// PlanSummary says in one line what a plan comes to.
func PlanSummary(p *plan.Plan) string {
	changing, provisional, records := 0, 0, 0
	for _, u := range p.Units {
		switch u.Status {
		case plan.Changes:
			changing++
		case plan.Record:
			records++
		}
		if u.Provisional {
			provisional++
		}
	}
	c := p.Counts()
	if changing == 0 {
		switch {
		case records > 0:
			return "Plan: no resource changes; " + number(records, "unit") + " to be recorded."
		case p.Operation == plan.Destroy:
			return "Destroy: there is nothing to destroy."
		case p.Operation == plan.Drift:
			return "Drift: none in " + number(len(p.Units), "unit") + "."
		}
		return "Plan: nothing to do; " + number(len(p.Units), "unit") + " are as described."
	}
	var s string
	switch p.Operation {
	case plan.Destroy:
		s = "Destroy: " + thousands(c.Delete) + " to delete"
		c.Delete = 0
		if rest := countWords(c); rest != "" {
			s += ", " + rest
		}
	case plan.Drift:
		s = "Drift: " + driftWords(c)
	default:
		s = fmt.Sprintf("Plan: %s to create, %s to update, %s to replace, %s to delete", thousands(c.Create), thousands(c.Update), thousands(c.Replace), thousands(c.Delete))
		if rest := countWords(plan.Counts{Import: c.Import, Forget: c.Forget, Move: c.Move}); rest != "" {
			s += ", " + rest
		}
	}
	s += " in " + number(changing, "unit")
	if provisional > 0 {
		s += "; " + thousands(provisional) + " provisional"
	}
	return s + "."
}
