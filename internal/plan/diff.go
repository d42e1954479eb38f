package plan

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Values is a value before and after a change, as JSON decodes them, with trees
// of booleans that say which parts are unknown or sensitive, in the form that
// OpenTofu's plans have.
type Values struct {
	Before, After                            any
	Unknown, BeforeSensitive, AfterSensitive any
}

// DiffOptions say how values are compared.
type DiffOptions struct {
	// Create says that there is nothing before; unknown attributes are then
	// listed only if Declared names their top level.
	Create   bool
	Declared map[string]bool
	// Replaces has the paths whose change forces replacement.
	Replaces map[string]bool
	// Omit lists attributes of the top level to leave out.
	Omit []string
}

// Diff lists the leaves that differ, sorted by path, and the top-level attributes
// that force replacement. Sensitive values are never among what it returns.
func Diff(v Values, o DiffOptions) (changes []Attribute, because []string) {
	d := differ{create: o.Create, declared: o.Declared, replaces: o.Replaces, omit: o.Omit}
	d.walk("", v.Before, v.After, v.Unknown, v.BeforeSensitive, v.AfterSensitive)
	return d.out, d.because
}

// differ lists the leaves that differ.
type differ struct {
	create   bool
	declared map[string]bool // attributes of a new resource that are unknown because the configuration refers to something
	replaces map[string]bool
	omit     []string
	because  []string
	out      []Attribute
}

func (d *differ) walk(path string, before, after, unknown, wasSensitive, sensitive any) {
	hidden := isTrue(wasSensitive) || isTrue(sensitive)
	if isTrue(unknown) {
		// A computed attribute of a new resource is unknown and says nothing.
		if d.create && !d.declared[topLevel(path)] {
			return
		}
		d.leaf(Attribute{Path: path, Before: masked(before, hidden), Unknown: true, Sensitive: hidden})
		return
	}
	if hidden {
		if !reflect.DeepEqual(before, after) {
			d.leaf(Attribute{Path: path, Sensitive: true})
		}
		return
	}
	switch after := after.(type) {
	case map[string]any:
		b, ok := before.(map[string]any)
		if !ok && before != nil {
			break
		}
		um, _ := unknown.(map[string]any)
		keys := map[string]bool{}
		for k := range b {
			keys[k] = true
		}
		for k := range after {
			keys[k] = true
		}
		for k := range um {
			keys[k] = true
		}
		for _, k := range sorted(keys) {
			if path == "" && slices.Contains(d.omit, k) {
				continue
			}
			d.walk(join(path, k), b[k], after[k], um[k], field(wasSensitive, k), field(sensitive, k))
		}
		return
	case []any:
		b, ok := before.([]any)
		if !ok && before != nil || !composite(after) && !composite(b) && !AnyTrue(unknown) && !AnyTrue(sensitive) && !AnyTrue(wasSensitive) {
			break
		}
		ul, _ := unknown.([]any)
		for i := range max(len(after), len(b), len(ul)) {
			d.walk(path+"["+strconv.Itoa(i)+"]", item(b, i), item(after, i), item(ul, i), index(wasSensitive, i), index(sensitive, i))
		}
		return
	case nil:
		// An object whose parts are all unknown is absent from "after".
		if um, ok := unknown.(map[string]any); ok && AnyTrue(um) {
			b, _ := before.(map[string]any)
			for _, k := range sorted(um) {
				d.walk(join(path, k), b[k], nil, um[k], field(wasSensitive, k), field(sensitive, k))
			}
			return
		}
		if AnyTrue(wasSensitive) {
			d.leaf(Attribute{Path: path, Sensitive: true})
			return
		}
	}
	if AnyTrue(sensitive) || AnyTrue(wasSensitive) {
		d.leaf(Attribute{Path: path, Sensitive: true})
		return
	}
	if reflect.DeepEqual(before, after) || d.create && empty(after) || empty(before) && empty(after) {
		return
	}
	d.leaf(Attribute{Path: path, Before: before, After: after})
}

func (d *differ) leaf(a Attribute) {
	if d.replaces[a.Path] || d.replaces[topLevel(a.Path)] {
		a.Replaces = true
		if !slices.Contains(d.because, topLevel(a.Path)) {
			d.because = append(d.because, topLevel(a.Path))
		}
	}
	d.out = append(d.out, a)
}

func topLevel(path string) string {
	if i := strings.IndexAny(path, ".["); i > 0 {
		return path[:i]
	}
	return path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func item(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return nil
}

func index(v any, i int) any {
	if isTrue(v) {
		return true
	}
	l, _ := v.([]any)
	return item(l, i)
}

func field(v any, k string) any {
	if isTrue(v) {
		return true
	}
	m, _ := v.(map[string]any)
	return m[k]
}

func isTrue(v any) bool { b, ok := v.(bool); return ok && b }

// AnyTrue reports whether any leaf of a tree of booleans (nil, bool, []any,
// map[string]any) is true.
func AnyTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case map[string]any:
		for _, e := range v {
			if AnyTrue(e) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, AnyTrue)
	}
	return false
}

func composite(l []any) bool {
	return slices.ContainsFunc(l, func(v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func masked(v any, sensitive bool) any {
	if sensitive {
		return nil
	}
	return v
}
