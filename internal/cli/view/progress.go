package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/term"
)

// Progress shows what the engine does while it does it. On a terminal it keeps one
// line for each unit that is under way and redraws them; elsewhere it writes a
// line when a unit begins and ends. It is not safe for concurrent use.
type Progress struct {
	w     io.Writer
	opt   ProgressOptions
	paint term.Painter

	total, done, failed int
	running             []*underWay
	drawn               int // lines on the terminal that the next drawing replaces
}

// ProgressOptions says how Progress shows things.
type ProgressOptions struct {
	Color bool
	// Live redraws lines; it needs a terminal.
	Live bool
	// Width is the number of columns.
	Width int
	// Total is the number of units, where it is known.
	Total int
	// Quiet leaves out units that end well, where only the outcome matters.
	Quiet bool
}

// underWay is a unit that is being planned or applied.
type underWay struct {
	unit     addr.Unit
	verb     string
	since    time.Time
	resource string
	finished int
}

// NewProgress returns a Progress that writes to w.
func NewProgress(w io.Writer, opt ProgressOptions) *Progress {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	return &Progress{w: w, opt: opt, paint: term.Painter(opt.Color), total: opt.Total}
}

// Event takes an event of the engine.
func (p *Progress) Event(e engine.Event) {
	name := term.Clean(e.Unit.Name)
	switch e.Type {
	case engine.PlanStarted:
		p.begin(e, "planning")
	case engine.UnitStarted:
		p.begin(e, "applying")
		if !p.opt.Live {
			p.line(fmt.Sprintf("  %s ...", name))
		}
	case engine.ResourceStarted:
		if u := p.find(e.Unit); u != nil {
			u.resource = e.Action + " " + e.Resource
		}
	case engine.ResourceFinished:
		if u := p.find(e.Unit); u != nil {
			u.finished++
			u.resource = ""
		}
	case engine.PlanFinished:
		p.end(e.Unit)
		p.done++
		if !p.opt.Live && !p.opt.Quiet && p.done%50 == 0 {
			p.line(fmt.Sprintf("  %d units planned", p.done))
		}
	case engine.UnitFinished:
		text := p.paint.Paint(term.Green, "✓") + " " + name
		if u := p.find(e.Unit); u != nil && u.finished > 0 {
			text += p.paint.Paint(term.Dim, "  "+number(u.finished, "resource"))
		}
		p.end(e.Unit)
		p.done++
		p.line(text + p.paint.Paint(term.Dim, "  "+seconds(e.Elapsed)))
	case engine.UnitFailed:
		p.end(e.Unit)
		p.failed++
		p.line(p.paint.Paint(term.Red, "✗") + " " + name + p.paint.Paint(term.Dim, "  "+seconds(e.Elapsed)))
	case engine.RunPaused:
		p.end(e.Unit)
		p.line(p.paint.Paint(term.Yellow, "‖") + " " + name + "  paused")
	case engine.Note:
		text := term.Clean(e.Text)
		if e.Unit.Name != "" {
			text = name + ": " + text
		}
		p.line(p.paint.Paint(term.Dim, "· "+text))
	}
}

func (p *Progress) begin(e engine.Event, verb string) {
	p.running = append(p.running, &underWay{unit: e.Unit, verb: verb, since: e.At})
}

func (p *Progress) find(a addr.Unit) *underWay {
	for _, u := range p.running {
		if u.unit == a {
			return u
		}
	}
	return nil
}

func (p *Progress) end(a addr.Unit) {
	p.running = slices.DeleteFunc(p.running, func(u *underWay) bool { return u.unit == a })
}

// line writes a line that stays.
func (p *Progress) line(s string) {
	p.erase()
	fmt.Fprintln(p.w, s)
}

// Draw redraws what is under way; it does nothing where there is no terminal.
func (p *Progress) Draw(now time.Time) {
	if !p.opt.Live {
		return
	}
	p.erase()
	rows := make([]string, 0, len(p.running)+1)
	for _, u := range p.running {
		rows = append(rows, fmt.Sprintf("  %s %s  %s", u.unit.Name, seconds(now.Sub(u.since)), u.resource))
	}
	head := fmt.Sprintf("%d", p.done)
	if p.total > 0 {
		head += fmt.Sprintf(" of %d", p.total)
	}
	head += " units"
	if p.failed > 0 {
		head += fmt.Sprintf(", %d failed", p.failed)
	}
	rows = append(rows, head)
	for _, r := range rows {
		fmt.Fprintln(p.w, p.paint.Paint(term.Dim, term.Cut(term.Clean(r), p.opt.Width-1)))
	}
	p.drawn = len(rows)
}

// erase removes what Draw drew.
func (p *Progress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}

// Close removes what is being redrawn.
func (p *Progress) Close() { p.erase() }

// seconds says how long something took.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	text := d.Round(time.Second).String()
	if whole, ok := strings.CutSuffix(text, "m0s"); ok {
		return whole + "m"
	}
	return text
}
