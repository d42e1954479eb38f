// Package reqpath brings the path of a request into one form, so that a gateway that
// decides by the path and the server behind it that acts on it cannot read it differently.
// It knows nothing of routes.
//
// A path is taken as it was sent, with percent encoding. It is refused if
//
//   - it does not begin with a slash,
//   - a percent encoding is broken, or what it stands for is not UTF-8,
//   - it holds a slash or a backslash in percent encoding, a backslash, a "#", or a control
//     character in any form,
//   - it leads above the root,
//   - a segment consists of parameters alone (";a"), or of dots and parameters ("..;a"),
//     where a semicolon counts in percent encoding too.
//
// It is then changed without a change of meaning (RFC 3986, section 6.2.2): letters, digits
// and "-._~" are not encoded, all else that needs it is, in capitals; "." and ".." are
// resolved and slashes in a row are one.
package reqpath

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrRefused is the error for a path that the package's rules refuse.
var ErrRefused = errors.New("the path is ambiguous or not valid")

// Path is a path in the form of this package. The zero value is none; Parse makes them.
type Path struct {
	// Escaped is the path in percent encoding, as it is sent on.
	Escaped string
	// Plain is what Escaped stands for, without the parameters of segments (from ";" on):
	// many servers leave those out when they look for what a path names. It has as many
	// segments as Escaped.
	Plain string
}

// Parse returns a path, given in percent encoding, in the form of this package, or
// ErrRefused.
func Parse(raw string) (Path, error) {
	if clean(raw) {
		return Path{Escaped: raw, Plain: raw}, nil
	}
	if raw == "" || raw[0] != '/' {
		return Path{}, ErrRefused
	}
	var segments []segment
	folder := false // whether the path ends with a slash
	for text := range strings.SplitSeq(raw[1:], "/") {
		s, err := parseSegment(text)
		if err != nil {
			return Path{}, err
		}
		folder = true
		switch s.plain {
		case "", ".":
		case "..":
			if len(segments) == 0 {
				return Path{}, ErrRefused
			}
			segments = segments[:len(segments)-1]
		default:
			segments = append(segments, s)
			folder = false
		}
	}
	return join(segments, folder), nil
}

// clean says whether a path is in this package's form as it is, which most are.
func clean(raw string) bool {
	if raw == "" || raw[0] != '/' {
		return false
	}
	last := byte(0)
	for i := range len(raw) {
		c := raw[i]
		if c == '/' && last == '/' || c == '.' && last == '/' || c == ';' || !literal(c) && c != '/' {
			return false
		}
		last = c
	}
	return true
}

// segment is what lies between two slashes.
type segment struct{ escaped, plain string }

func join(segments []segment, folder bool) Path {
	if len(segments) == 0 {
		return Path{Escaped: "/", Plain: "/"}
	}
	var escaped, plain strings.Builder
	for _, s := range segments {
		escaped.WriteByte('/')
		escaped.WriteString(s.escaped)
		plain.WriteByte('/')
		plain.WriteString(s.plain)
	}
	if folder {
		escaped.WriteByte('/')
		plain.WriteByte('/')
	}
	return Path{Escaped: escaped.String(), Plain: plain.String()}
}

const hex = "0123456789ABCDEF"

func parseSegment(text string) (segment, error) {
	var escaped, decoded strings.Builder
	for i := 0; i < len(text); i++ {
		c, encoded := text[i], false
		if c == '%' {
			if i+2 >= len(text) {
				return segment{}, ErrRefused
			}
			hi, lo := unhex(text[i+1]), unhex(text[i+2])
			if hi < 0 || lo < 0 {
				return segment{}, ErrRefused
			}
			c, encoded = byte(hi<<4|lo), true
			i += 2
		}
		if c < ' ' || c == 0x7f || c == '\\' || c == '/' || c == '#' && !encoded {
			return segment{}, ErrRefused
		}
		decoded.WriteByte(c)
		// A sub-delimiter means one thing by itself and may mean another encoded.
		if unreserved(c) || !encoded && literal(c) {
			escaped.WriteByte(c)
		} else {
			escaped.WriteByte('%')
			escaped.WriteByte(hex[c>>4])
			escaped.WriteByte(hex[c&15])
		}
	}
	plain, _, params := strings.Cut(decoded.String(), ";")
	if params && (plain == "" || plain == "." || plain == "..") || !utf8.ValidString(decoded.String()) {
		return segment{}, ErrRefused
	}
	return segment{escaped.String(), plain}, nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func unreserved(c byte) bool { return classes[c] == 'u' }

// literal says whether c may stand in a segment without encoding (pchar of RFC 3986).
func literal(c byte) bool { return classes[c] != 0 }

// classes has 'u' for unreserved characters and 's' for others that need no encoding.
var classes = func() (t [256]byte) {
	for _, c := range []byte("!$&'()*+,;=:@") {
		t[c] = 's'
	}
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") {
		t[c] = 'u'
	}
	return t
}()

// HasPrefix says whether the plain path begins with the segments of prefix, in which a
// slash at the end does not count: "/a/b" and "/a" begin with "/a", "/ab" does not.
func (p Path) HasPrefix(prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return strings.HasPrefix(p.Plain, prefix) && (len(p.Plain) == len(prefix) || p.Plain[len(prefix)] == '/')
}

// ReplacePrefix returns p with another path in place of the segments of prefix, with
// which it begins, after the table in the documentation of the Gateway API's
// HTTPPathModifier. The zero Path takes them away.
func (p Path) ReplacePrefix(prefix string, with Path) Path {
	for range strings.Count(strings.TrimSuffix(prefix, "/"), "/") {
		p = Path{Escaped: after(p.Escaped), Plain: after(p.Plain)}
	}
	p.Escaped = strings.TrimSuffix(with.Escaped, "/") + p.Escaped
	p.Plain = strings.TrimSuffix(with.Plain, "/") + p.Plain
	if p.Escaped == "" {
		return Path{Escaped: "/", Plain: "/"}
	}
	return p
}

// after returns a path without its first segment.
func after(path string) string {
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		return path[i+1:]
	}
	return ""
}
