// Package yamlout writes JSON values as readable YAML, quickly: block style,
// keys sorted, strings plain where every reader agrees that they are strings.
// What it writes reads back as the same JSON in YAML 1.1 and 1.2. It reads no
// YAML; packages that do use a library.
package yamlout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Append writes v, built of the types that encoding/json decodes into (nil,
// bool, float64, json.Number, string, []any, map[string]any), to dst as one YAML
// document that ends with a line break. It returns an error for other types.
func Append(dst []byte, v any) ([]byte, error) {
	switch x := v.(type) {
	case map[string]any:
		if len(x) > 0 {
			return mapping(dst, x, 0)
		}
	case []any:
		if len(x) > 0 {
			return sequence(dst, x, 0)
		}
	}
	dst, err := scalar(dst, v, 0)
	return append(dst, '\n'), err
}

func mapping(dst []byte, m map[string]any, depth int) ([]byte, error) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var err error
	for i, k := range keys {
		// The first key may follow "- " on the same line.
		if i > 0 || len(dst) == 0 || dst[len(dst)-1] == '\n' {
			dst = indent(dst, depth)
		}
		dst = text(dst, k)
		dst = append(dst, ':')
		if dst, err = value(dst, m[k], depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// value writes what follows "key:".
func value(dst []byte, v any, depth int) ([]byte, error) {
	switch x := v.(type) {
	case map[string]any:
		if len(x) > 0 {
			return mapping(append(dst, '\n'), x, depth+1)
		}
	case []any:
		if len(x) > 0 {
			return sequence(append(dst, '\n'), x, depth)
		}
	}
	dst, err := scalar(append(dst, ' '), v, depth+1)
	return append(dst, '\n'), err
}

func sequence(dst []byte, list []any, depth int) ([]byte, error) {
	var err error
	for i, v := range list {
		if i > 0 || len(dst) == 0 || dst[len(dst)-1] == '\n' {
			dst = indent(dst, depth)
		}
		dst = append(dst, '-', ' ')
		switch x := v.(type) {
		case map[string]any:
			if len(x) > 0 {
				if dst, err = mapping(dst, x, depth+1); err != nil {
					return dst, err
				}
				continue
			}
		case []any:
			if len(x) > 0 {
				if dst, err = sequence(dst, x, depth+1); err != nil {
					return dst, err
				}
				continue
			}
		}
		if dst, err = scalar(dst, v, depth+1); err != nil {
			return dst, err
		}
		dst = append(dst, '\n')
	}
	return dst, nil
}

func scalar(dst []byte, v any, depth int) ([]byte, error) {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case string:
		if literal(x) {
			return block(dst, x, depth), nil
		}
		return text(dst, x), nil
	case json.Number:
		return append(dst, x...), nil
	case float64:
		b, err := json.Marshal(x)
		return append(dst, b...), err
	case map[string]any:
		return append(dst, "{}"...), nil
	case []any:
		return append(dst, "[]"...), nil
	}
	return dst, fmt.Errorf("yamlout: %T is no JSON value", v)
}

func indent(dst []byte, depth int) []byte {
	for range depth {
		dst = append(dst, ' ', ' ')
	}
	return dst
}

// text writes a string on one line.
func text(dst []byte, s string) []byte {
	if plain(s) {
		return append(dst, s...)
	}
	return quoted(dst, s)
}

// plain reports whether s can stand without quotes: words of letters, digits and
// harmless signs that no YAML reader takes for anything but a string.
func plain(s string) bool {
	if s == "" || len(s) > 200 {
		return false
	}
	c := s[0]
	if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '/') {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '/', c == '.', c == '-', c == '@', c == '$', c == '(', c == ')':
		case c == ':' && i+1 < len(s) && s[i+1] != ' ':
		case c == ' ' && i+1 < len(s) && s[i+1] != ' ' && s[i+1] != '#':
		default:
			return false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return false
	}
	return true
}

// quoted writes a JSON string, which YAML reads too, with the characters escaped
// that YAML does not print.
func quoted(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case r >= 0x7f && r <= 0x9f, r == 0xfeff, r == 0xfffe, r == 0xffff:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// literal reports whether s reads better as a literal block, and survives it:
// several lines of printable text, none of which is only space.
func literal(s string) bool {
	if !strings.Contains(s, "\n") || strings.HasSuffix(s, "\n\n") || !utf8.ValidString(s) {
		return false
	}
	if c := s[0]; c == ' ' || c == '\t' || c == '\n' {
		return false
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		if line != "" && strings.TrimSpace(line) == "" {
			return false
		}
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && (!unicode.IsPrint(r) || r == 0xfeff || r == 0x2028 || r == 0x2029 || r == 0x85) {
			return false
		}
	}
	return true
}

func block(dst []byte, s string, depth int) []byte {
	dst = append(dst, '|')
	body, terminated := strings.CutSuffix(s, "\n")
	if !terminated {
		dst = append(dst, '-')
	}
	for line := range strings.SplitSeq(body, "\n") {
		dst = append(dst, '\n')
		if line != "" {
			dst = append(indent(dst, max(depth, 1)), line...)
		}
	}
	return dst
}
