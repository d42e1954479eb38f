// Package term writes text for terminals: how wide it is, where it breaks, its
// colours, and that nothing a hostile file holds can steer the terminal. It knows
// no domain and does not ask whether there is a terminal: callers do.
package term

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Style is a colour or weight of text.
type Style string

// The styles in use.
const (
	Bold    Style = "\x1b[1m"
	Dim     Style = "\x1b[2m"
	Red     Style = "\x1b[1;31m"
	Green   Style = "\x1b[1;32m"
	Yellow  Style = "\x1b[1;33m"
	Blue    Style = "\x1b[1;34m"
	Magenta Style = "\x1b[1;35m"
	Cyan    Style = "\x1b[1;36m"
	reset   Style = "\x1b[0m"
)

// DefaultWidth is the number of columns where nobody says how many there are.
const DefaultWidth = 80

// maxProse bounds lines of prose: wider ones are hard to read, however wide the
// terminal is.
const maxProse = 110

// Painter paints text when it is true.
type Painter bool

// Paint returns s in that style.
func (p Painter) Paint(style Style, s string) string {
	if !p || s == "" {
		return s
	}
	return string(style) + s + string(reset)
}

// Prose returns how wide wrapped text should be in a terminal of that width, where
// indent columns are taken. Width 0 stands for DefaultWidth.
func Prose(columns, indent int) int {
	if columns <= 0 {
		columns = DefaultWidth
	}
	return max(20, min(columns, maxProse)-indent)
}

// Wrap cleans text and breaks it at spaces into lines of at most columns; a longer word
// stands on a line of its own. used is what is taken of the first line already.
func Wrap(text string, columns, used int) []string {
	var lines []string
	var b strings.Builder
	at := used
	for _, word := range strings.Fields(text) {
		word = Clean(word)
		n := Width(word)
		switch {
		case b.Len() == 0:
		case at+1+n > columns:
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

// Clean replaces hostile characters in a text by visible stand-ins of one column.
func Clean(s string) string {
	if !strings.ContainsFunc(s, Hostile) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if Hostile(r) {
			r = StandIn(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Hostile reports whether a character could change how a terminal shows what is
// around it: control characters, and those of Unicode's format class, which
// reorder or hide text.
func Hostile(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' ||
		r == utf8.RuneError
}

// StandIn returns the picture of an ASCII control character, and the replacement
// character for all else.
func StandIn(r rune) rune {
	switch {
	case r < 0x20:
		return 0x2400 + r
	case r == 0x7f:
		return 0x2421
	}
	return utf8.RuneError
}

// RuneWidth is the number of columns that terminals give to a character.
func RuneWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Width is the number of columns that a text takes.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += RuneWidth(r)
	}
	return n
}

// Cut shortens a text to a number of columns; what is left out is an ellipsis.
func Cut(s string, columns int) string {
	if Width(s) <= columns {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && Width(string(runes))+1 > columns {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
