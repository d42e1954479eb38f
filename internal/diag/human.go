package diag

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// HumanOptions says how diagnostics are shown to people.
type HumanOptions struct {
	// Color turns on ANSI colours. The caller decides by the terminal and NO_COLOR.
	Color bool
	// Width is the number of columns to fill; 0 means 80.
	Width int
}

const (
	defaultWidth = 80
	// maxProse bounds the lines of prose: wider ones are hard to read, however
	// wide the terminal is.
	maxProse = 110
	// minSource is the least that an excerpt gets, however narrow the terminal is.
	minSource = 20
)

// Human writes diagnostics for people, in their sorted order: the statement, the
// place, an excerpt of the source with the range underlined, the detail and the
// remedy, with a blank line between diagnostics. src returns the text of a file,
// or nil when there is none; it is asked once for each file. Whatever the source
// and the diagnostics hold, no control character of theirs reaches w.
func Human(w io.Writer, l List, src func(file string) []byte, opt HumanOptions) error {
	if opt.Width <= 0 {
		opt.Width = defaultWidth
	}
	h := &human{w: bufio.NewWriter(w), opt: opt, src: src, files: map[string]*sourceFile{}}
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
	w     *bufio.Writer
	opt   HumanOptions
	src   func(string) []byte
	files map[string]*sourceFile
}

// The ANSI styles in use.
const (
	styleBold   = "\x1b[1m"
	styleRed    = "\x1b[1;31m"
	styleYellow = "\x1b[1;33m"
	styleBlue   = "\x1b[1;34m"
	styleGreen  = "\x1b[1;32m"
	styleReset  = "\x1b[0m"
)

func (h *human) paint(style, s string) string {
	if !h.opt.Color || s == "" {
		return s
	}
	return style + s + styleReset
}

func severityStyle(s Severity) string {
	if s == Error {
		return styleRed
	}
	return styleYellow
}

func (h *human) line(s string) {
	_, _ = h.w.WriteString(strings.TrimRight(s, " "))
	_ = h.w.WriteByte('\n')
}

func (h *human) diagnostic(d Diagnostic) {
	label := d.Severity.String()
	if d.Rule != "" {
		label += "[" + clean(d.Rule) + "]"
	}
	label += ":"
	lines := wrap(d.Summary, h.prose(2), displayWidth(label)+1)
	for i, s := range lines {
		if i == 0 {
			h.line(h.paint(severityStyle(d.Severity), label) + " " + h.paint(styleBold, s))
			continue
		}
		h.line("  " + h.paint(styleBold, s))
	}

	ex := h.excerpt(d)
	gutter := 1
	if len(ex) > 0 {
		gutter = len(strconv.Itoa(ex[len(ex)-1].number))
	}
	if d.File != "" {
		h.line(strings.Repeat(" ", gutter) + h.paint(styleBlue, "-->") + " " + place(d, len(ex) > 0))
	}
	h.source(d, ex, gutter)
	h.note(d, gutter, "", d.Detail)
	h.note(d, gutter, "help: ", d.Remedy)
}

// place says where a diagnostic is. The path helps where no source is shown.
func place(d Diagnostic, shown bool) string {
	s := clean(d.File)
	if !d.Range.Start.IsZero() {
		s += ":" + strconv.Itoa(d.Range.Start.Line) + ":" + strconv.Itoa(d.Range.Start.Column)
	}
	if !shown && len(d.Path) > 0 {
		s += " (" + clean(d.Path.String()) + ")"
	}
	return s
}

// prose is the width of wrapped text that stands behind indent columns.
func (h *human) prose(indent int) int {
	return max(minSource, min(h.opt.Width, maxProse)-indent)
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
		for _, s := range wrap(para, h.prose(len(indent)+2), displayWidth(label)) {
			if first {
				h.line(indent + h.paint(styleBlue, "=") + " " + h.paint(styleGreen, strings.TrimSuffix(label, " ")) + trailing(label) + s)
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

// wrap breaks text into lines of at most width columns at spaces; a longer word
// stands on a line of its own. used is what is taken of the first line already.
func wrap(text string, width, used int) []string {
	var lines []string
	var b strings.Builder
	at := used
	for _, word := range strings.Fields(text) {
		word = clean(word)
		n := displayWidth(word)
		switch {
		case b.Len() == 0:
		case at+1+n > width:
			lines = append(lines, b.String())
			b.Reset()
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return append(lines, b.String())
}
