package stack

import (
	"bytes"
	"encoding/json"
	"strings"
)

// escape returns the OpenTofu template whose value is text. In JSON every string
// is a template, so without this a user's "${...}" would be evaluated.
//
// "${" is written "$${" and "%{" is written "%%{". A longer run of signs, of
// either kind, cannot be doubled that way, because the sequence would be read
// from the left; it is put into an expression of its own.
//
// OpenTofu takes a few strings as they stand, such as descriptions. They are
// escaped too: a doubled sign in a description is a small price for a root in
// which no text of a user reads as an expression, whoever reads it.
func escape(text string) string {
	if !strings.Contains(text, "${") && !strings.Contains(text, "%{") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		sign := text[i]
		if sign != '$' && sign != '%' {
			b.WriteByte(sign)
			i++
			continue
		}
		n := i
		for n < len(text) && (text[n] == '$' || text[n] == '%') {
			n++
		}
		run := text[i:n]
		switch {
		case n == len(text) || text[n] != '{':
			b.WriteString(run)
		case len(run) == 1:
			b.WriteString(run + run)
		default:
			b.WriteString(`${"` + run + `"}`)
		}
		i = n
	}
	return b.String()
}

// escapeValue escapes every string in a literal, keys included: OpenTofu
// evaluates the keys of an object as templates too.
func escapeValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int, int64, uint64, float64, json.Number:
		return v, nil
	case string:
		return escape(v), nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = escapeValue(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			var err error
			if out[escape(k)], err = escapeValue(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	// Typed slices, maps and structs: what JSON makes of them.
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, err
	}
	return escapeValue(plain)
}

func escapeStrings(m map[string]string) object {
	out := make(object, len(m))
	for k, v := range m {
		out[escape(k)] = escape(v)
	}
	return out
}
