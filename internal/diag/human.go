package diag

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/term"
)

// HumanOptions says how diagnostics are shown to people.
type HumanOptions struct {
	// Color turns on ANSI colours. The caller decides by the terminal and NO_COLOR.
	Color bool
	// Width is the number of columns to fill; 0 means 80.
	Width int
}

// minSource is the least that an excerpt gets, however narrow the terminal is.
const minSource = 20

// Human writes diagnostics for people, in their sorted order: the statement, the
// place, an excerpt of the source with the range underlined, the detail and the
// remedy, with a blank line between diagnostics. src returns the text of a file,
// or nil when there is none; it is asked once for each file. Whatever the source
// and the diagnostics hold, no control character of theirs reaches w.
func Human(w io.Writer, l List, src func(file string) []byte, opt HumanOptions) error {
	if opt.Width <= 0 {
		opt.Width = term.DefaultWidth
	}
	h := &human{Painter: term.Painter(opt.Color), w: bufio.NewWriter(w), width: opt.Width, src: src, files: map[string]*sourceFile{}}
	for i, d := range l.Sorted() {
		if i > 0 {
			h.line("")
		}
		h.diagnostic(d)
	}
	return h.w.Flush()
}

// human is one rendering. Write errors stick to the buffered writer, whose Flush
// returns them.
type human struct {
	term.Painter
	w     *bufio.Writer
	width int
	src   func(string) []byte
	files map[string]*sourceFile
}

func severityStyle(s Severity) term.Style {
	if s == Error {
		return term.Red
	}
	return term.Yellow
}

func (h *human) line(s string) {
	_, _ = h.w.WriteString(strings.TrimRight(s, " "))
	_ = h.w.WriteByte('\n')
}

func (h *human) diagnostic(d Diagnostic) {
	label := d.Severity.String()
	if d.Rule != "" {
		label += "[" + term.Clean(d.Rule) + "]"
	}
	label += ":"
	lines := term.Wrap(d.Summary, term.Prose(h.width, 2), term.Width(label)+1)
	for i, s := range lines {
		if i == 0 {
			h.line(h.Paint(severityStyle(d.Severity), label) + " " + h.Paint(term.Bold, s))
			continue
		}
		h.line("  " + h.Paint(term.Bold, s))
	}

	ex := h.excerpt(d)
	gutter := 1
	if len(ex) > 0 {
		gutter = len(strconv.Itoa(ex[len(ex)-1].number))
	}
	if d.File != "" {
		h.line(strings.Repeat(" ", gutter) + h.Paint(term.Blue, "-->") + " " + place(d, len(ex) > 0))
	}
	h.source(d, ex, gutter)
	h.note(d, gutter, "", d.Detail)
	h.note(d, gutter, "help: ", d.Remedy)
}

// place says where a diagnostic is. The path helps where no source is shown.
func place(d Diagnostic, shown bool) string {
	s := term.Clean(d.File)
	if !d.Range.Start.IsZero() {
		s += ":" + strconv.Itoa(d.Range.Start.Line) + ":" + strconv.Itoa(d.Range.Start.Column)
	}
	if !shown && len(d.Path) > 0 {
		s += " (" + term.Clean(d.Path.String()) + ")"
	}
	return s
}

// note writes a paragraph after the excerpt, behind "= " on its first line.
func (h *human) note(d Diagnostic, gutter int, label, text string) {
	if text == "" {
		return
	}
	indent := strings.Repeat(" ", gutter+1)
	if d.File == "" {
		indent = "  "
	}
	first := true
	for para := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		for _, s := range term.Wrap(para, term.Prose(h.width, len(indent)+2), term.Width(label)) {
			if first {
				h.line(indent + h.Paint(term.Blue, "=") + " " + h.Paint(term.Green, strings.TrimSuffix(label, " ")) + trailing(label) + s)
				first, label = false, ""
				continue
			}
			h.line(indent + "  " + s)
		}
	}
}

func trailing(label string) string {
	if label == "" {
		return ""
	}
	return " "
}
