package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// node is a place in a JSON Schema. Kinds and parameters of contracts are both
// described so, and explained by the same code.
type node struct {
	root   map[string]any
	schema map[string]any
}

// maxRefs bounds how many references are followed in a row: a contract of the
// user's own may hold one that refers to itself.
const maxRefs = 16

// resolve follows references within the schema, and goes into the alternative
// that describes fields.
func (n node) resolve() node {
	for range maxRefs {
		if ref, ok := n.schema["$ref"].(string); ok {
			target, ok := n.at(ref)
			if !ok {
				break
			}
			n.schema = target
			continue
		}
		inner, ok := n.alternative()
		if !ok {
			break
		}
		n.schema = inner
	}
	return n
}

// alternative returns the part of an anyOf or allOf that says what the value is.
func (n node) alternative() (map[string]any, bool) {
	if n.schema["type"] != nil || n.schema["properties"] != nil {
		return nil, false
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		parts, _ := n.schema[key].([]any)
		for _, p := range parts {
			if m, ok := p.(map[string]any); ok && (m["type"] != nil || m["$ref"] != nil || m["allOf"] != nil) {
				return m, true
			}
		}
	}
	return nil, false
}

// at returns what a reference within the schema points to.
func (n node) at(ref string) (map[string]any, bool) {
	var v any = n.root
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	for seg := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if seg == "" {
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(seg)]
	}
	m, ok := v.(map[string]any)
	return m, ok
}

func (n node) with(v any) (node, bool) {
	m, ok := v.(map[string]any)
	return node{n.root, m}, ok
}

// element returns what a list or map holds.
func (n node) element() (node, bool) {
	n = n.resolve()
	if items, ok := n.with(n.schema["items"]); ok {
		return items, true
	}
	return n.with(n.schema["additionalProperties"])
}

// isMap reports whether keys are of the user's choosing.
func (n node) isMap() bool {
	n = n.resolve()
	_, typed := n.schema["additionalProperties"].(map[string]any)
	return typed && n.schema["properties"] == nil
}

// holder goes through lists and maps to what has fields of its own.
func (n node) holder() node {
	for range maxRefs {
		if r := n.resolve(); r.schema["properties"] != nil {
			return r
		}
		e, ok := n.element()
		if !ok {
			break
		}
		n = e
	}
	return n.resolve()
}

func (n node) has(name string) bool {
	_, ok := n.field(name)
	return ok
}

func (n node) field(name string) (node, bool) {
	h := n.holder()
	props, _ := h.schema["properties"].(map[string]any)
	return n.with(props[name])
}

// names returns the fields, the required ones first.
func (n node) names() []string {
	h := n.holder()
	props, _ := h.schema["properties"].(map[string]any)
	names := slices.Sorted(maps.Keys(props))
	slices.SortStableFunc(names, func(a, b string) int {
		switch ra, rb := h.required(a), h.required(b); {
		case ra == rb:
			return 0
		case ra:
			return -1
		}
		return 1
	})
	return names
}

func (n node) required(name string) bool {
	list, _ := n.schema["required"].([]any)
	return slices.Contains(list, any(name))
}

// split cuts a path into names. Indexes say nothing about what may be written
// there, so they fall away; quoted keys stay whole.
func split(path string) []string {
	var out []string
	for path = strings.TrimLeft(path, "."); path != ""; path = strings.TrimLeft(path, ".") {
		if key, ok := strings.CutPrefix(path, "["); ok {
			key, after, _ := strings.Cut(key, "]")
			if key = strings.Trim(key, `"`); key != "" && !strings.ContainsFunc(key[:1], isDigit) {
				out = append(out, key)
			}
			path = after
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		out = append(out, path[:end])
		path = path[end:]
	}
	return out
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// walk goes from n along segs and explains where that ends.
func (x *Explainer) walk(path string, n node, segs []string) (*Doc, error) {
	required := false
	for i, s := range segs {
		next, ok := n.field(s)
		if !ok && n.isMap() && i > 0 {
			// s may be a key of the map; what follows is then a field of its value.
			e, _ := n.element()
			if i+1 == len(segs) && len(n.names()) == 0 || i+1 < len(segs) && e.has(segs[i+1]) {
				path += "." + s
				n, required = e, false
				continue
			}
		}
		if !ok {
			return nil, x.unknown(path, s, n.names())
		}
		required = n.holder().required(s)
		path += "." + s
		n = next
	}
	doc := describe(path, n, required)
	h := n.holder()
	for _, name := range n.names() {
		f, _ := n.field(name)
		doc.Fields = append(doc.Fields, describe(path+"."+name, f, h.required(name)))
	}
	return &doc, nil
}

// describe explains a place without its fields.
func describe(path string, n node, required bool) Doc {
	r := n.resolve()
	doc := Doc{
		Path: path, Name: path[strings.LastIndexByte(path, '.')+1:], Type: n.words(), Required: required,
		Unit: text(r.schema, "x-unit"), Form: form(r.schema), Bounds: bounds(r.schema),
	}
	doc.Enum, _ = r.schema["enum"].([]any)
	// What stands beside a reference is about this place; what stands behind it is
	// about the type.
	for _, s := range []map[string]any{r.schema, n.schema} {
		if d := text(s, "description"); d != "" {
			doc.Doc = d
		}
		if d, ok := s["default"]; ok {
			doc.Default = d
		}
	}
	if e, ok := n.element(); ok {
		e = e.resolve()
		if doc.Form == "" {
			doc.Form = form(e.schema)
		}
		if doc.Enum == nil {
			doc.Enum, _ = e.schema["enum"].([]any)
		}
	}
	if keys, ok := r.with(r.schema["propertyNames"]); ok {
		doc.KeyForm = form(keys.schema)
	}
	return doc
}

func text(s map[string]any, key string) string {
	t, _ := s[key].(string)
	return t
}

// form completes "must be ..." for text with a pattern.
func form(s map[string]any) string {
	if says := text(s, "x-says"); says != "" {
		return says
	}
	if says := text(s, "patternErrorMessage"); says != "" {
		return strings.TrimPrefix(says, "must be ")
	}
	if p := text(s, "pattern"); p != "" {
		return "text that matches " + p
	}
	if f := text(s, "format"); f != "" {
		return "text of the format " + f
	}
	return ""
}

// bounds says which numbers, lengths or counts are allowed.
func bounds(s map[string]any) string {
	var parts []string
	add := func(lo, hi any, what string) {
		if what != "" {
			one := hi == nil && fmt.Sprint(lo) == "1" || fmt.Sprint(hi) == "1"
			switch {
			case one:
			case strings.HasSuffix(what, "y"):
				what = strings.TrimSuffix(what, "y") + "ies"
			default:
				what += "s"
			}
			what = " " + what
		}
		switch {
		case lo == nil && hi == nil:
			return
		case hi == nil:
			parts = append(parts, fmt.Sprintf("at least %v%s", lo, what))
		case lo == nil:
			parts = append(parts, fmt.Sprintf("at most %v%s", hi, what))
		default:
			parts = append(parts, fmt.Sprintf("%v to %v%s", lo, hi, what))
		}
	}
	add(s["minimum"], s["maximum"], "")
	if lo := s["exclusiveMinimum"]; lo != nil {
		parts = append(parts, fmt.Sprintf("more than %v", lo))
	}
	if hi := s["exclusiveMaximum"]; hi != nil {
		parts = append(parts, fmt.Sprintf("less than %v", hi))
	}
	if s["pattern"] == nil {
		add(s["minLength"], s["maxLength"], "character")
	}
	add(s["minItems"], s["maxItems"], "item")
	add(s["minProperties"], s["maxProperties"], "entry")
	return strings.Join(parts, ", ")
}

var typeWords = map[string]string{
	"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null",
}

// words says in words what to write.
func (n node) words() string { return n.wordsTo(4) }

func (n node) wordsTo(depth int) string {
	r := n.resolve()
	switch t := r.schema["type"].(type) {
	case string:
		if w, ok := typeWords[t]; ok {
			return w
		}
		e, typed := r.element()
		typed = typed && depth > 0
		switch {
		case t == "array" && typed:
			return "list of " + plural(e.wordsTo(depth-1))
		case t == "array":
			return "list"
		case typed && r.isMap():
			return "map of " + plural(e.wordsTo(depth-1))
		case r.schema["properties"] == nil && r.schema["additionalProperties"] != false:
			return "free mapping"
		}
		return "mapping"
	case []any:
		words := make([]string, len(t))
		for i, w := range t {
			words[i] = node{r.root, map[string]any{"type": w}}.wordsTo(depth)
		}
		return strings.Join(words, " or ")
	}
	return "any value"
}

func plural(words string) string {
	switch words {
	case "mapping", "free mapping", "whole number", "number", "any value", "list":
		return words + "s"
	}
	if rest, ok := strings.CutPrefix(words, "list of "); ok {
		return "lists of " + rest
	}
	if rest, ok := strings.CutPrefix(words, "map of "); ok {
		return "maps of " + rest
	}
	return words
}
