package view

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/status"
	"github.com/stratahq/strata/internal/term"
)

// StatusOptions says how Status shows an environment.
type StatusOptions struct {
	Color bool
	Width int
	// All shows the objects of each unit, and every unit of large environments.
	All bool
	// Now is what ages are counted from.
	Now time.Time
	// Program is how to call Strata in commands to go on with.
	Program string
}

// StatusJSON writes how an environment is as one versioned document.
func StatusJSON(w io.Writer, e *status.Environment) error {
	doc := struct {
		Version string `json:"version"`
		Ready   bool   `json:"ready"`
		*status.Environment
	}{"1", e.Well(), e}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// Status writes how an environment is: what is not well first and in full, then a line
// a unit, layer by layer, then where people reach it.
func Status(w io.Writer, e *status.Environment, opt StatusOptions) error {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	s := &statusView{e: e, opt: opt, p: term.Painter(opt.Color)}
	s.head()
	s.trouble()
	s.layers()
	s.routes()
	s.next()
	_, err := io.WriteString(w, s.b.String())
	return err
}

// statusView collects the lines of a status.
type statusView struct {
	e   *status.Environment
	opt StatusOptions
	p   term.Painter
	b   strings.Builder
}

func (s *statusView) line(text string) { s.b.WriteString(strings.TrimRight(text, " ") + "\n") }

func (s *statusView) head() {
	c := s.e.Cluster
	not := 0
	for _, u := range s.e.Units {
		if !u.State.Well() {
			not++
		}
	}
	verdict := s.p.Paint(term.Green, "ready")
	switch {
	case c.Access == status.Stopped:
		verdict = s.p.Paint(term.Yellow, "stopped")
	case c.Access == status.Absent:
		verdict = s.p.Paint(term.Yellow, "not made yet")
	case c.Access == status.Unreachable && s.e.Count(status.Unknown) == not:
		verdict = s.p.Paint(term.Yellow, "cannot be asked")
	case not > 0 && s.e.Count(status.NotApplied) == not:
		verdict = s.p.Paint(term.Yellow, fmt.Sprintf("%d of %s not applied", not, number(len(s.e.Units), "unit")))
	case not > 0:
		verdict = s.p.Paint(term.Red, fmt.Sprintf("%d of %s not ready", not, number(len(s.e.Units), "unit")))
	}
	s.line(s.p.Paint(term.Bold, s.e.Name) + "  " + verdict)
	var facts []string
	add := func(ok bool, text string) {
		if ok {
			facts = append(facts, text)
		}
	}
	add(c.Node != "", "node "+c.Node)
	add(c.Version != "", "Kubernetes "+c.Version)
	add(!c.Since.IsZero(), "up "+age(s.opt.Now.Sub(c.Since)))
	add(c.Access == status.Running && c.Server != "", c.Server)
	add(c.Access == status.Running && c.HTTP != 0 && c.HTTPS == 0, fmt.Sprintf("routes on port %d", c.HTTP))
	add(c.Access == status.Running && c.HTTPS != 0, fmt.Sprintf("routes on ports %d and %d", c.HTTP, c.HTTPS))
	s.list(facts)
	if c.Problem != "" {
		for _, l := range term.Wrap(c.Problem, term.Prose(s.opt.Width, 2), 0) {
			s.line("  " + l)
		}
	}
}

// list writes facts, as many a line as there is room for.
func (s *statusView) list(facts []string) {
	line := ""
	for _, f := range facts {
		f = term.Clean(f)
		switch {
		case line == "":
			line = f
		case term.Width(line)+2+term.Width(f) > s.opt.Width-2:
			s.line("  " + s.p.Paint(term.Dim, line))
			line = f
		default:
			line += ", " + f
		}
	}
	if line != "" {
		s.line("  " + s.p.Paint(term.Dim, line))
	}
}

// marks are how states are shown.
var marks = map[status.State]struct {
	sign  string
	style term.Style
}{
	status.Ready: {"✓", term.Green}, status.NotReady: {"!", term.Yellow}, status.Failed: {"✗", term.Red}, status.Partial: {"‖", term.Yellow},
	status.NotApplied: {"+", term.Blue}, status.Left: {"-", term.Yellow}, status.Existing: {"=", term.Dim}, status.Unknown: {"·", term.Dim},
}

func (s *statusView) mark(st status.State) string { return s.p.Paint(marks[st].style, marks[st].sign) }

// troubled reports whether a unit is told of at the top.
func troubled(u status.Unit) bool {
	return u.State == status.NotReady || u.State == status.Failed || u.State == status.Partial || u.State == status.Left
}

// trouble writes what is not well, what failed first.
func (s *statusView) trouble() {
	var units []status.Unit
	for _, u := range s.e.Units {
		if troubled(u) {
			units = append(units, u)
		}
	}
	if len(units) == 0 {
		return
	}
	order := []status.State{status.Failed, status.NotReady, status.Partial, status.Left}
	slices.SortStableFunc(units, func(a, b status.Unit) int { return slices.Index(order, a.State) - slices.Index(order, b.State) })
	s.line("")
	t := s.table(units)
	for _, u := range units {
		s.line(t.row(u))
		for _, w := range s.why(u) {
			style, indent := term.Style(""), "    "
			if rest, ok := strings.CutPrefix(w, "  "); ok {
				style, indent, w = term.Dim, "      ", rest
			}
			for _, l := range term.Wrap(w, max(20, s.opt.Width-len(indent)), 0) {
				s.line(indent + s.p.Paint(style, l))
			}
		}
		s.objects(u)
	}
}

func (s *statusView) why(u status.Unit) []string {
	switch u.State {
	case status.Partial:
		return append([]string{"Its last apply did not come to its end."}, u.Why...)
	case status.Left:
		return append([]string{"It is not in the description any more; applying the environment removes it."}, u.Why...)
	}
	return u.Why
}

// layers writes what is left: a line a unit, or a family of units where there are many.
func (s *statusView) layers() {
	for _, l := range model.Layers {
		var units, rest []status.Unit
		for _, u := range s.e.Units {
			if u.Layer != l {
				continue
			}
			units = append(units, u)
			if !troubled(u) {
				rest = append(rest, u)
			}
		}
		if len(units) == 0 {
			continue
		}
		s.line("")
		head := s.p.Paint(term.Bold, string(l)) + "  " + s.p.Paint(term.Dim, number(len(units), "unit"))
		if n := len(units) - len(rest); n > 0 {
			head += s.p.Paint(term.Dim, fmt.Sprintf(", %d above", n))
		}
		s.line(head)
		if len(s.e.Units) > treeUnits && !s.opt.All {
			s.families(rest)
			continue
		}
		t := s.table(rest)
		for _, u := range rest {
			s.line(t.row(u))
			s.objects(u)
		}
	}
}

// families counts the units of each family that are alike.
func (s *statusView) families(units []status.Unit) {
	for _, st := range []status.State{status.Unknown, status.NotApplied, status.Existing, status.Ready} {
		var alike []graph.Unit
		changed := map[string]int{}
		for _, u := range units {
			if u.State == st {
				g := graph.Unit{Addr: u.Addr, Kind: u.Kind, Contract: u.Contract}
				alike = append(alike, g)
				if u.Changed {
					changed[familyOf(g)]++
				}
			}
		}
		for _, r := range familyRows(alike) {
			text := pad(r.name, 32) + "  " + s.p.Paint(term.Blue, pad(r.what, 16)) + "  " + s.p.Paint(term.Dim, r.note)
			if n := changed[r.name+" "+r.what]; n > 0 {
				text += s.p.Paint(term.Yellow, fmt.Sprintf("  %d changed", n))
			}
			s.line(s.mark(st) + " " + text)
		}
	}
}

// familyOf names the family row of a unit.
func familyOf(u graph.Unit) string {
	r := familyRows([]graph.Unit{u})[0]
	return r.name + " " + r.what
}

// objects writes the objects of a unit where all are wanted.
func (s *statusView) objects(u status.Unit) {
	if !s.opt.All {
		return
	}
	for _, o := range u.Objects {
		name := o.String()
		indent := "    "
		if o.Pod != nil {
			name, indent = "Pod/"+o.Name, "      "
		}
		state := s.p.Paint(term.Green, "✓")
		if !o.Ready {
			state = s.p.Paint(term.Yellow, "!")
		}
		note := ""
		if !o.Created.IsZero() {
			note = age(s.opt.Now.Sub(o.Created))
		}
		if o.Pod != nil {
			note += ", " + strings.ToLower(o.Pod.Phase)
			if o.Pod.Restarts > 0 {
				note += ", " + number(o.Pod.Restarts, "restart")
			}
		}
		if o.Reason != "" {
			note = strings.TrimPrefix(note+", "+o.Reason, ", ")
		}
		text := term.Clean(name)
		s.line(indent + state + " " + text + "  " + s.p.Paint(term.Dim, term.Cut(term.Clean(note), max(10, s.opt.Width-len(indent)-4-term.Width(text)))))
	}
}

func (s *statusView) routes() {
	if len(s.e.Routes) == 0 {
		return
	}
	s.line("")
	s.line(s.p.Paint(term.Bold, "routes"))
	column := 0
	for _, r := range s.e.Routes {
		column = max(column, term.Width(r.URL))
	}
	for _, r := range s.e.Routes {
		st := status.Ready
		if !r.Ready {
			st = status.NotReady
		}
		url := term.Clean(r.URL)
		s.line(s.mark(st) + " " + pad(url, min(column, s.opt.Width-30)) + "  " + s.p.Paint(term.Dim, r.Unit.Name))
	}
}

// next says what to do.
func (s *statusView) next() {
	apply := s.opt.Program + " plan " + s.e.Name
	if s.e.Cloud == model.CloudLocal {
		apply = s.opt.Program + " up " + s.e.Name
	}
	var out []string
	switch s.e.Cluster.Access {
	case status.Stopped:
		out = append(out, "It is stopped, with all its data. Start it: "+apply)
	case status.Absent:
		out = append(out, "Make it: "+apply)
	default:
		if n := s.e.Count(status.NotApplied) + s.e.Count(status.Partial) + s.e.Count(status.Left); n > 0 {
			out = append(out, fmt.Sprintf("%s to be applied: %s", number(n, "unit"), apply))
		}
		if n := s.e.Changed(); n > 0 {
			out = append(out, fmt.Sprintf("%s changed since being applied: %s", number(n, "unit"), apply))
		}
		for _, u := range s.e.Units {
			if u.Wanted > 0 && (u.State == status.Failed || u.State == status.NotReady) {
				out = append(out, fmt.Sprintf("More of what it says: %s logs %s %s", s.opt.Program, s.e.Name, strings.TrimPrefix(u.Addr.Name, "workloads/")))
				break
			}
		}
	}
	if len(out) > 0 {
		s.line("")
	}
	for _, l := range out {
		s.line(l)
	}
}
