package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/status"
	"github.com/stratahq/strata/internal/term"
)

// wide is from how many columns on a table says when units were applied.
const wide = 110

// statusTable lays out the lines of units below each other.
type statusTable struct {
	s                *statusView
	name, what, pods int
}

func (s *statusView) table(units []status.Unit) statusTable {
	t := statusTable{s: s}
	for _, u := range units {
		t.name = max(t.name, term.Width(u.Addr.Name))
		t.what = max(t.what, term.Width(unitWhat(u)))
		t.pods = max(t.pods, term.Width(pods(u)))
	}
	t.name = min(t.name, nameColumn)
	if s.opt.Width < wide {
		t.name = min(t.name, 36)
	}
	return t
}

func unitWhat(u status.Unit) string {
	if u.Contract != "" {
		return u.Contract
	}
	return string(u.Kind)
}

// pods says how many pods of a unit are ready.
func pods(u status.Unit) string {
	if u.Wanted == 0 && u.Pods == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", u.Pods, u.Wanted)
}

// row is the line of a unit.
func (t statusTable) row(u status.Unit) string {
	p, now := t.s.p, t.s.opt.Now
	ready := p.Paint(term.Dim, pad(pods(u), t.pods))
	if u.Pods < u.Wanted {
		ready = p.Paint(term.Yellow, pad(pods(u), t.pods))
	}
	old := ""
	if !u.Since.IsZero() {
		old = age(now.Sub(u.Since))
	}
	line := t.s.mark(u.State) + " " + pad(term.Cut(term.Clean(u.Addr.Name), t.name), t.name) + "  " + p.Paint(term.Blue, pad(unitWhat(u), t.what)) + "  "
	used := 2 + t.name + 2 + t.what + 2
	if t.pods > 0 {
		line += ready + "  " + p.Paint(term.Dim, pad(old, 5)) + "  "
		used += t.pods + 2 + 5 + 2
	}
	if t.s.opt.Width >= wide {
		applied := ""
		if !u.Applied.IsZero() {
			applied = "applied " + age(now.Sub(u.Applied)) + " ago"
		}
		line += p.Paint(term.Dim, pad(applied, 18)) + "  "
		used += 20
	}
	return line + t.notes(u, t.s.opt.Width-used)
}

// notes says what is particular about a unit, what matters most first, in the room
// that there is.
func (t statusTable) notes(u status.Unit, room int) string {
	now := t.s.opt.Now
	type note struct {
		text  string
		style term.Style
	}
	var notes []note
	if u.Changed {
		notes = append(notes, note{"changed since", term.Yellow})
	}
	if u.Restarts > 0 {
		text := number(u.Restarts, "restart")
		style := term.Dim
		if !u.Restarted.IsZero() {
			text += ", " + age(now.Sub(u.Restarted)) + " ago"
			if now.Sub(u.Restarted) < 10*time.Minute {
				style = term.Yellow
			}
		}
		notes = append(notes, note{text, style})
	}
	switch {
	case u.State == status.NotApplied:
		notes = append(notes, note{"not applied", term.Dim})
	case u.State == status.Existing:
		notes = append(notes, note{"existing", term.Dim})
	case u.Schedule != "" && u.LastRun.IsZero():
		notes = append(notes, note{"at " + u.Schedule + ", has not run", term.Dim})
	case u.Schedule != "":
		notes = append(notes, note{"at " + u.Schedule + ", ran " + age(now.Sub(u.LastRun)) + " ago", term.Dim})
	case t.s.opt.Width < wide && pods(u) == "" && !u.Applied.IsZero():
		notes = append(notes, note{"applied " + age(now.Sub(u.Applied)) + " ago", term.Dim})
	}
	var out []string
	for _, n := range notes {
		if room < 6 {
			break
		}
		text := term.Cut(term.Clean(n.text), room)
		out = append(out, t.s.p.Paint(n.style, text))
		room -= term.Width(text) + 2
	}
	return strings.Join(out, "  ")
}

// age says how long ago something was, in the largest unit.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d m", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
