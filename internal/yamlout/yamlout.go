// Package yamlout writes JSON as block-style YAML, fast and for people to
// review: keys keep the order they have in the JSON, a string is plain only
// when every YAML 1.1 and 1.2 reader takes it for that string, and text of
// several lines becomes a literal block.
//
// It knows nothing of Kubernetes or of what the document means, and it does
// not read YAML. General YAML libraries build a tree of nodes first and cost
// several hundred microseconds for a Kubernetes object; a platform has a
// hundred thousand of them, so this package goes from bytes to bytes in one
// pass.
package yamlout

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxKey is below the 1024 characters that YAML allows for a key without the
// "? " indicator. No key that Strata writes comes near.
const maxKey = 1000

// maxDepth bounds recursion, as encoding/json does when it reads.
const maxDepth = 1000

// errSyntax is what a caller sees who passes something other than JSON.
var errSyntax = errors.New("input is not valid JSON")

// Append appends the JSON value src to dst as one YAML document, ending in a
// newline. It returns an error when src is not JSON, is nested more than a
// thousand levels deep or has a key of more than 1000 bytes.
func Append(dst, src []byte) ([]byte, error) {
	e := emitter{src: src, out: dst}
	e.space()
	if err := e.value(0, 0, atRoot); err != nil {
		return dst, err
	}
	e.space()
	if e.pos != len(e.src) {
		return dst, e.syntax()
	}
	return e.out, nil
}

// place says what stands on the line before a value, on which its first
// characters depend.
type place int

const (
	atRoot  place = iota // nothing
	inItem               // "-"
	inEntry              // "key:"
)

// emitter holds what is read and what is written.
type emitter struct {
	src []byte
	pos int
	out []byte
	buf []byte // scratch for strings with escapes
}

func (e *emitter) syntax() error {
	return fmt.Errorf("%w (at byte %d)", errSyntax, e.pos)
}

// space skips white space.
func (e *emitter) space() {
	for e.pos < len(e.src) {
		switch e.src[e.pos] {
		case ' ', '\n', '\t', '\r':
			e.pos++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, or 0 at the end.
func (e *emitter) peek() byte {
	e.space()
	if e.pos < len(e.src) {
		return e.src[e.pos]
	}
	return 0
}

// value writes the next value. Lines that it starts are indented by indent.
func (e *emitter) value(indent, depth int, at place) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	switch c := e.peek(); {
	case c == '{':
		return e.object(indent, depth, at)
	case c == '[':
		return e.array(indent, depth, at)
	case c == '"':
		s, err := e.str()
		if err != nil {
			return err
		}
		e.gap(at)
		// A literal block's text must be indented deeper than its parent.
		e.scalar(s, indent, at)
	default:
		lit, err := e.literal()
		if err != nil {
			return err
		}
		e.gap(at)
		e.out = append(appendNumber(e.out, lit), '\n')
	}
	return nil
}

// gap separates an inline value from "key:" or "-".
func (e *emitter) gap(at place) {
	if at != atRoot {
		e.out = append(e.out, ' ')
	}
}

// object writes a mapping. Its first key shares the line with "- ".
func (e *emitter) object(indent, depth int, at place) error {
	e.pos++ // {
	if e.peek() == '}' {
		e.pos++
		e.gap(at)
		e.out = append(e.out, "{}\n"...)
		return nil
	}
	switch at {
	case inItem:
		e.out = append(e.out, ' ')
	case inEntry:
		e.out = append(e.out, '\n')
	}
	for first := true; ; first = false {
		if e.peek() != '"' {
			return e.syntax()
		}
		key, err := e.str()
		if err != nil {
			return err
		}
		if len(key) > maxKey {
			return fmt.Errorf("key %q... is longer than %d bytes", key[:32], maxKey)
		}
		if !first || at != inItem {
			e.indent(indent)
		}
		if plain(key) {
			e.out = append(e.out, key...)
		} else {
			e.out = appendQuoted(e.out, key)
		}
		e.out = append(e.out, ':')
		if e.peek() != ':' {
			return e.syntax()
		}
		e.pos++
		next := indent + 2
		if e.peek() == '[' {
			// As kubectl does: the items of a list under a key are not
			// indented further.
			next = indent
		}
		if err := e.value(next, depth+1, inEntry); err != nil {
			return err
		}
		switch e.peek() {
		case ',':
			e.pos++
		case '}':
			e.pos++
			return nil
		default:
			return e.syntax()
		}
	}
}

// array writes a sequence. Its first item shares the line with "- ".
func (e *emitter) array(indent, depth int, at place) error {
	e.pos++ // [
	if e.peek() == ']' {
		e.pos++
		e.gap(at)
		e.out = append(e.out, "[]\n"...)
		return nil
	}
	switch at {
	case inItem:
		e.out = append(e.out, ' ')
	case inEntry:
		e.out = append(e.out, '\n')
	}
	for first := true; ; first = false {
		if !first || at != inItem {
			e.indent(indent)
		}
		e.out = append(e.out, '-')
		if err := e.value(indent+2, depth+1, inItem); err != nil {
			return err
		}
		switch e.peek() {
		case ',':
			e.pos++
		case ']':
			e.pos++
			return nil
		default:
			return e.syntax()
		}
	}
}

const spaces = "                                                                "

func (e *emitter) indent(n int) {
	for n > len(spaces) {
		e.out = append(e.out, spaces...)
		n -= len(spaces)
	}
	e.out = append(e.out, spaces[:n]...)
}

// literal reads a number, true, false or null.
func (e *emitter) literal() ([]byte, error) {
	start := e.pos
	for e.pos < len(e.src) {
		switch e.src[e.pos] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
		default:
			e.pos++
			continue
		}
		break
	}
	lit := e.src[start:e.pos]
	if len(lit) == 0 || !json.Valid(lit) {
		e.pos = start
		return nil, e.syntax()
	}
	return lit, nil
}

// str reads a string and returns its value, which is only good until the next
// call.
func (e *emitter) str() ([]byte, error) {
	e.pos++ // opening quote
	start := e.pos
	for i := start; i < len(e.src); i++ {
		switch c := e.src[i]; {
		case c == '"':
			e.pos = i + 1
			return e.src[start:i], nil
		case c == '\\':
			e.buf = append(e.buf[:0], e.src[start:i]...)
			e.pos = i
			return e.escaped()
		case c < ' ':
			e.pos = i
			return nil, e.syntax()
		}
	}
	e.pos = len(e.src)
	return nil, e.syntax()
}

// escaped reads the rest of a string from its first escape on.
func (e *emitter) escaped() ([]byte, error) {
	for e.pos < len(e.src) {
		c := e.src[e.pos]
		switch {
		case c == '"':
			e.pos++
			return e.buf, nil
		case c < ' ':
			return nil, e.syntax()
		case c != '\\':
			e.buf = append(e.buf, c)
			e.pos++
			continue
		}
		if e.pos+1 >= len(e.src) {
			break
		}
		c = e.src[e.pos+1]
		e.pos += 2
		switch c {
		case '"', '\\', '/':
			e.buf = append(e.buf, c)
		case 'b':
			e.buf = append(e.buf, '\b')
		case 'f':
			e.buf = append(e.buf, '\f')
		case 'n':
			e.buf = append(e.buf, '\n')
		case 'r':
			e.buf = append(e.buf, '\r')
		case 't':
			e.buf = append(e.buf, '\t')
		case 'u':
			r, ok := e.hex4()
			if !ok {
				return nil, e.syntax()
			}
			if r >= 0xd800 && r < 0xdc00 && e.pos+1 < len(e.src) && e.src[e.pos] == '\\' && e.src[e.pos+1] == 'u' {
				back := e.pos
				e.pos += 2
				low, ok := e.hex4()
				if !ok {
					return nil, e.syntax()
				}
				if low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				} else {
					e.pos = back
				}
			}
			// A lone surrogate becomes U+FFFD, as in encoding/json.
			e.buf = utf8.AppendRune(e.buf, r)
		default:
			return nil, e.syntax()
		}
	}
	return nil, e.syntax()
}

// hex4 reads the four digits of a \u escape.
func (e *emitter) hex4() (rune, bool) {
	if e.pos+4 > len(e.src) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(e.src[e.pos:e.pos+4]), 16, 16)
	if err != nil {
		return 0, false
	}
	e.pos += 4
	return rune(n), true
}
