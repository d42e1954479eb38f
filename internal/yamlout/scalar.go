package yamlout

import (
	"bytes"
	"unicode/utf8"
)

// scalar writes a string in the most readable form that is safe.
func (e *emitter) scalar(s []byte, indent int, at place) {
	switch {
	case plain(s):
		e.out = append(append(e.out, s...), '\n')
	case literalSafe(s):
		if at == atRoot {
			indent += 2
		}
		e.block(s, indent)
	default:
		e.out = append(appendQuoted(e.out, s), '\n')
	}
}

// block writes a literal block: the text as it is, indented.
func (e *emitter) block(s []byte, indent int) {
	e.out = append(e.out, '|')
	body := bytes.TrimRight(s, "\n")
	switch len(s) - len(body) {
	case 0:
		e.out = append(e.out, '-')
	case 1:
	default:
		e.out = append(e.out, '+')
	}
	e.out = append(e.out, '\n')
	for line := range bytes.Lines(s) {
		if line[0] != '\n' {
			e.indent(indent)
		}
		e.out = append(e.out, line...)
	}
	if len(body) == len(s) {
		e.out = append(e.out, '\n')
	}
}

// literalSafe reports whether every reader takes s, written as a literal
// block, for s: it has several lines, all printable, the first of which sets
// the indentation, and the last is not blank, where readers disagree.
func literalSafe(s []byte) bool {
	body := bytes.TrimRight(s, "\n")
	if len(body) == 0 || len(body) == len(s) && bytes.IndexByte(s, '\n') < 0 {
		return false
	}
	if c := s[0]; c == ' ' || c == '\t' || c == '\n' {
		return false
	}
	if c := body[len(body)-1]; c == ' ' || c == '\t' {
		return false
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			// A tab at the start of a line could be taken for indentation.
			if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c == '\t' && s[i-1] == '\n' {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if !printable(r, n) {
			return false
		}
		i += n
	}
	return true
}

// printable reports whether a rune of n bytes can stand unescaped in YAML.
func printable(r rune, n int) bool {
	switch {
	case r == utf8.RuneError && n <= 1:
		return false
	case r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r&0xfffe == 0xfffe:
		return false
	}
	return true
}

// class says where an ASCII character may stand in a plain scalar.
type class uint8

const (
	never  class = iota
	inside       // not first
	letter
	digit
)

var classes = func() (t [128]class) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = letter, letter
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = digit
	}
	// A slash starts paths, which are many, and no number or indicator.
	t['/'] = letter
	for _, c := range "_-.:@+=,;()$~^ " {
		t[c] = inside
	}
	return t
}()

// plain reports whether s needs no quotes: it starts with a letter or slash,
// has no character that means anything to YAML, and is no word that any
// version takes for a boolean or null. A string that starts with a digit must
// be unlike every number, date and time of every version.
func plain(s []byte) bool {
	if len(s) == 0 || len(s) > 200 {
		return false
	}
	var unlike, colon, space bool
	for i, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
		switch classes[c] {
		case never:
			return false
		case inside:
			if i == 0 {
				return false
			}
			switch c {
			case ':':
				if i == len(s)-1 || s[i+1] == ' ' {
					return false
				}
				colon = true
			case ' ':
				if i == len(s)-1 {
					return false
				}
				space = true
			}
		case letter:
			// Digits, signs, dots and a to f, x, o, e, _ make numbers in
			// some base. The others make none; T and Z of a time come with
			// colons.
			if c |= 0x20; c > 'f' && c != 'x' && c != 'o' || c == '/' {
				unlike = true
			}
		}
	}
	if classes[s[0]] == digit {
		return unlike && !colon && !space
	}
	return len(s) > 5 || !reserved(s)
}

// reserved reports whether s is, in any case, a word that YAML 1.1 or 1.2
// takes for something else than a string.
func reserved(s []byte) bool {
	var b [5]byte
	for i, c := range s {
		b[i] = c | 0x20
	}
	switch string(b[:len(s)]) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return true
	}
	return false
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s in double quotes. Every escape is one that JSON and
// both versions of YAML read alike; bytes that are not UTF-8 become U+FFFD, as
// in encoding/json.
func appendQuoted(out, s []byte) []byte {
	out = append(out, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"', c == '\\':
				out = append(out, '\\', c)
			case c == '\n':
				out = append(out, '\\', 'n')
			case c == '\t':
				out = append(out, '\\', 't')
			case c == '\r':
				out = append(out, '\\', 'r')
			case c < ' ', c == 0x7f:
				out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				out = append(out, c)
			}
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			out = append(out, `\ufffd`...)
		case printable(r, n):
			out = append(out, s[i:i+n]...)
		case r <= 0xffff:
			out = append(out, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			out = append(out, '\\', 'U', '0', '0', hexDigits[r>>20&15], hexDigits[r>>16&15], hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		}
		i += n
	}
	return append(out, '"')
}

// appendNumber appends a JSON literal. YAML 1.1 takes 1e3 for a string: there,
// an exponent needs a sign and what stands before it a dot.
func appendNumber(out, lit []byte) []byte {
	exp := bytes.IndexAny(lit, "eE")
	if exp < 0 || lit[0] != '-' && classes[lit[0]] != digit {
		return append(out, lit...)
	}
	out = append(out, lit[:exp]...)
	if bytes.IndexByte(lit[:exp], '.') < 0 {
		out = append(out, '.', '0')
	}
	out = append(out, 'e')
	if c := lit[exp+1]; c != '+' && c != '-' {
		out = append(out, '+')
	}
	return append(out, lit[exp+1:]...)
}
