package view

import (
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/term"
)

const (
	// familyUnit is how many resources of one action a unit has before those of one
	// type are folded.
	familyUnit = 10
	// familySize is how many of one type make a family.
	familySize = 3
)

// symbol is how an action looks, three columns wide.
func symbol(a plan.Action) span {
	switch a {
	case plan.Create:
		return span{term.Green, "  +"}
	case plan.Update:
		return span{term.Yellow, "  ~"}
	case plan.Replace:
		return span{term.Red, "-/+"}
	case plan.Delete:
		return span{term.Red, "  -"}
	case plan.Import:
		return span{term.Blue, "  <"}
	case plan.Forget:
		return span{term.Yellow, "  x"}
	case plan.Move:
		return span{term.Blue, "  >"}
	}
	return span{"", "  ?"}
}

// unitSymbol is that of the gravest thing that happens in a unit.
func unitSymbol(u plan.Unit) span {
	c := u.Counts
	for _, s := range []struct {
		n int
		a plan.Action
	}{{c.Replace, plan.Replace}, {c.Update, plan.Update}, {c.Forget, plan.Forget}} {
		if s.n > 0 {
			return symbol(s.a)
		}
	}
	switch {
	case u.Status == plan.Record:
		return span{term.Blue, "  ="}
	case u.Status == plan.Unchanged || u.Status == plan.Existing:
		return plain("   ")
	case c.Create > 0 && c.Delete > 0:
		return symbol(plan.Update)
	case c.Delete > 0:
		return symbol(plan.Delete)
	case c.Create > 0:
		return symbol(plan.Create)
	case c.Import > 0:
		return symbol(plan.Import)
	case c.Move > 0:
		return symbol(plan.Move)
	}
	return symbol(plan.Update)
}

func (v *planView) unit(u plan.Unit) {
	what := u.Kind
	if u.Contract != "" {
		what += " " + u.Contract
	}
	rest := what
	switch words := v.counts(u.Counts); {
	case words != "":
		rest += " · " + words
	case u.Status == plan.Record:
		rest += " · to be recorded"
	case u.Status == plan.Unchanged, u.Status == plan.Existing:
		rest += " · " + string(u.Status)
	}
	v.line(2, unitSymbol(u), plain(" "), span{term.Bold, u.Addr.Name}, span{term.Dim, "  " + rest})
	const indent = 6
	if u.Provisional {
		text := "planned again when its inputs are known"
		if len(u.Waits) > 0 {
			text = "waits for " + strings.Join(u.Waits, ", ")
		}
		v.prose(indent, span{term.Yellow, "provisional: "}, "", text)
	}
	for _, n := range u.Notes {
		v.prose(indent, span{term.Yellow, "note: "}, "", n)
	}
	findings := v.findings[u.Addr]
	of := func(address string) []plan.Finding {
		var out []plan.Finding
		for _, f := range findings {
			if f.Resource == address {
				out = append(out, f)
			}
		}
		return out
	}
	addresses := map[string]bool{}
	for _, c := range u.Changes {
		addresses[c.Address] = true
	}
	for _, f := range findings {
		if !addresses[f.Resource] {
			v.finding(indent, f, true)
		}
	}
	if v.brief && onlyCreates(u) {
		v.folded = true
		for _, f := range findings {
			if addresses[f.Resource] {
				v.finding(indent, f, true)
			}
		}
		return
	}
	families := v.families(u)
	for _, c := range u.Changes {
		key := family{c.Action, c.Type}
		members := families[key]
		if len(members) == 0 {
			beside := of(c.Address)
			bare := c.Action == plan.Create && !v.opt.Full && len(beside) == 0 && (v.terse || u.Kind == "kube")
			v.change(c, len(families) > 0, bare)
			for _, f := range beside {
				v.finding(indent+4, f, false)
			}
			continue
		}
		if members[0] != c.Address {
			continue
		}
		v.family(key, members)
		for _, m := range members {
			for _, f := range of(m) {
				v.finding(indent+4, f, true)
			}
		}
	}
	v.outputs(u)
}

// family is what resources have in common that are shown as one.
type family struct {
	action plan.Action
	typ    string
}

// families returns the addresses of those resources that are shown together. What is
// destroyed or replaced is never hidden in a number, unless all is to be destroyed.
func (v *planView) families(u plan.Unit) map[family][]string {
	if v.opt.Full {
		return nil
	}
	out := map[family][]string{}
	total := map[plan.Action]int{}
	for _, c := range u.Changes {
		if c.Action == plan.Create || c.Action == plan.Move || c.Action == plan.Delete && v.p.Operation == plan.Destroy {
			out[family{c.Action, c.Type}] = append(out[family{c.Action, c.Type}], c.Address)
			total[c.Action]++
		}
	}
	for f, members := range out {
		if total[f.action] < familyUnit || len(members) < familySize {
			delete(out, f)
		}
	}
	return out
}

func (v *planView) family(f family, members []string) {
	v.folded = true
	head := f.typ + " × " + thousands(len(members))
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = strings.TrimPrefix(strings.TrimPrefix(term.Clean(m), f.typ+"."), f.typ+"/")
	}
	s := symbol(f.action)
	room := v.opt.Width - 6 - 4 - term.Width(term.Clean(head)) - 2
	v.line(6, s, plain(" "+head), span{term.Dim, "  " + shorten(strings.Join(names, ", "), room)})
}

// change writes one resource. crowded says that it is one of very many; bare, that
// its attributes are left out.
func (v *planView) change(c plan.Change, crowded, bare bool) {
	s := symbol(c.Action)
	spans := []span{s, plain(" " + c.Address)}
	switch c.Action {
	case plan.Import, plan.Forget, plan.Move:
		spans = append(spans, span{term.Dim, "  " + string(c.Action)})
	}
	v.line(6, spans...)
	const indent = 12
	if c.Reason != "" {
		v.prose(indent, plain("# "), term.Dim, c.Reason)
	}
	if bare {
		v.folded = v.folded || len(c.Attributes) > 0
		return
	}
	attributes := slices.Clone(c.Attributes)
	switch c.Action {
	case plan.Create:
		v.created(indent, attributes, crowded)
	case plan.Update, plan.Replace, plan.Import:
		v.changed(indent, attributes)
	default:
		if v.opt.Full {
			v.changed(indent, attributes)
		}
	}
}

// outputs writes the outputs that get another value; new ones only by name.
func (v *planView) outputs(u plan.Unit) {
	if v.p.Operation == plan.Destroy && !v.opt.Full {
		return // that they go too goes without saying
	}
	var fresh []string
	var changed []plan.Attribute
	for _, o := range u.Outputs {
		if o.Before == nil && !o.Sensitive && !v.opt.Full {
			fresh = append(fresh, term.Clean(o.Path))
			continue
		}
		changed = append(changed, o)
	}
	const mark = "    outputs: "
	if len(fresh) > 0 {
		v.line(6, span{term.Dim, mark + shorten(strings.Join(fresh, ", "), v.opt.Width-6-len(mark))})
	}
	if len(changed) > 0 {
		v.line(6, span{term.Dim, "    changed outputs"})
		v.changed(12, changed)
	}
}
