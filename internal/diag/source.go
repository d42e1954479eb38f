package diag

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stratahq/strata/internal/term"
)

// tabStop is the distance of tab stops in excerpts.
const tabStop = 4

// sourceFile is a file's text with the places where its lines begin.
type sourceFile struct {
	text   []byte
	starts []int
}

func newSourceFile(text []byte) *sourceFile {
	f := &sourceFile{text: text, starts: []int{0}}
	for i := 0; ; {
		n := bytes.IndexByte(text[i:], '\n')
		if n < 0 {
			return f
		}
		i += n + 1
		f.starts = append(f.starts, i)
	}
}

// line returns the line of that number, which counts from 1, without its end.
func (f *sourceFile) line(n int) ([]byte, bool) {
	if n < 1 || n > len(f.starts) {
		return nil, false
	}
	end := len(f.text)
	if n < len(f.starts) {
		end = f.starts[n] - 1
	}
	return bytes.TrimSuffix(f.text[f.starts[n-1]:end], []byte("\r")), true
}

// excerptLine is a line of an excerpt; marked lines get the carets.
type excerptLine struct {
	number int
	text   []byte
	marked bool
}

// excerpt returns the line that d is about and its neighbours as far as they say
// something, or nothing when the source is not there.
func (h *human) excerpt(d Diagnostic) []excerptLine {
	if d.File == "" || d.Range.Start.IsZero() || h.src == nil {
		return nil
	}
	f, ok := h.files[d.File]
	if !ok {
		if text := h.src(d.File); text != nil {
			f = newSourceFile(text)
		}
		h.files[d.File] = f
	}
	if f == nil {
		return nil
	}
	n := d.Range.Start.Line
	text, ok := f.line(n)
	if !ok {
		return nil
	}
	out := []excerptLine{{number: n, text: text, marked: true}}
	if before, ok := f.line(n - 1); ok && len(bytes.TrimSpace(before)) > 0 {
		out = append([]excerptLine{{number: n - 1, text: before}}, out...)
	}
	if after, ok := f.line(n + 1); ok && len(bytes.TrimSpace(after)) > 0 {
		out = append(out, excerptLine{number: n + 1, text: after})
	}
	return out
}

// source writes an excerpt. All its lines are cut to the same window, so that
// they stay aligned.
func (h *human) source(d Diagnostic, ex []excerptLine, gutter int) {
	if len(ex) == 0 {
		return
	}
	bar := h.Paint(term.Blue, "|")
	blank := strings.Repeat(" ", gutter+1)
	room := max(minSource, h.width-gutter-3)
	var win window
	var from, to int
	for _, l := range ex {
		if l.marked {
			from, to = caret(l.text, d.Range)
			win = newWindow(l.text, from, to, room)
		}
	}
	h.line(blank + bar)
	for _, l := range ex {
		n := strings.Repeat(" ", gutter)
		num := strconv.Itoa(l.number)
		n = n[len(num):] + num
		h.line(h.Paint(term.Blue, n) + " " + bar + " " + win.cut(l.text))
		if l.marked {
			from, to := win.clamp(from, to)
			h.line(blank + bar + " " + strings.Repeat(" ", from) +
				h.Paint(severityStyle(d.Severity), strings.Repeat("^", to-from)))
		}
	}
	if d.Detail != "" || d.Remedy != "" {
		h.line(blank + bar)
	}
}

// caret returns the display columns, from 0, of the range on its first line.
func caret(line []byte, r Range) (from, to int) {
	first := r.Start.Column - 1
	last := first + 1
	switch {
	case r.End.IsZero():
	case r.End.Line > r.Start.Line:
		last = utf8.RuneCount(bytes.TrimRight(line, " \t"))
	default:
		last = r.End.Column - 1
	}
	// No line has more characters than bytes, so neither does a range on it.
	first = min(max(first, 0), len(line))
	last = min(max(last, first+1), len(line)+1)
	from, to = -1, -1
	char, col := 0, 0
	for _, w := range cells(line) {
		if char == first {
			from = col
		}
		if char == last {
			to = col
			break
		}
		char, col = char+1, col+w
	}
	if from < 0 {
		from = col
	}
	if to < 0 {
		to = col
	}
	// Past the end of the line, and on characters without width, one caret is
	// still shown.
	return from, max(to, from+1)
}

// window is the part of a line's display columns that is shown.
type window struct {
	start, room int
}

// newWindow chooses the window of a marked line: its beginning when the range is in
// sight there, else a stretch with the range's start at a third of it.
func newWindow(line []byte, from, to, room int) window {
	total := 0
	for _, w := range cells(line) {
		total += w
		if total > room && total > to {
			break
		}
	}
	if total <= room || to < room {
		return window{0, room}
	}
	if from < room/3 {
		return window{0, room}
	}
	return window{from - room/3, room}
}

// clamp moves a range of display columns into the window.
func (w window) clamp(from, to int) (int, int) {
	from = min(max(from-w.start, 0), w.room-1)
	to = min(max(to-w.start, from+1), w.room)
	return from, to
}

// cut returns what the window shows of a line, with an ellipsis where text is
// left out.
func (w window) cut(line []byte) string {
	var shown []string
	var widths []int
	col, used := 0, 0
	add := func(s string, n int) {
		shown, widths, used = append(shown, s), append(widths, n), used+n
	}
	for s, n := range cells(line) {
		at := col
		col += n
		if w.start > 0 && at <= w.start {
			continue
		}
		if w.start > 0 && used == 0 {
			// Wide characters may have ended beyond the window's first column.
			add("…"+strings.Repeat(" ", at-w.start-1), at-w.start)
		}
		if used+n <= w.room {
			add(s, n)
			continue
		}
		for used > w.room-1 {
			used -= widths[len(widths)-1]
			shown, widths = shown[:len(shown)-1], widths[:len(widths)-1]
		}
		shown = append(shown, "…")
		break
	}
	if len(shown) == 0 && col > 0 {
		return "…"
	}
	return strings.Join(shown, "")
}

// cells goes through a line's characters: what is printed for each and how many
// columns that takes. Tabs become spaces, and what could steer a terminal becomes
// a visible stand-in of one column.
func cells(line []byte) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		col := 0
		for len(line) > 0 {
			r, size := utf8.DecodeRune(line)
			line = line[size:]
			s, n := string(r), term.RuneWidth(r)
			switch {
			case r == '\t':
				n = tabStop - col%tabStop
				s = strings.Repeat(" ", n)
			case term.Hostile(r):
				s, n = string(term.StandIn(r)), 1
			}
			if !yield(s, n) {
				return
			}
			col += n
		}
	}
}
