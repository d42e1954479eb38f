package schema

import (
	"reflect"
	"strconv"
)

// Dialect is the JSON Schema dialect that JSONSchema writes.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// JSONSchema returns the JSON Schema of documents that decode into struct type t,
// as a value for encoding/json. id and title name the schema. Every Go struct type
// below t becomes a definition of its name.
func JSONSchema(t reflect.Type, id, title string) map[string]any {
	g := generator{defs: map[string]any{}}
	out := g.object(t)
	out["$schema"] = Dialect
	out["$id"] = id
	out["title"] = title
	if len(g.defs) > 0 {
		out["$defs"] = g.defs
	}
	return out
}

// generator collects the definitions of one schema.
type generator struct {
	defs map[string]any
}

func (g generator) object(t reflect.Type) map[string]any {
	s := Of(t)
	props := map[string]any{}
	var required []any
	for i := range s.Fields {
		f := &s.Fields[i]
		props[f.Name] = g.field(f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": s.Rest >= 0}
	if required != nil {
		out["required"] = required
	}
	if s.ExactlyOne != nil {
		out["oneOf"] = eachRequired(s.ExactlyOne)
	}
	if s.AtLeastOne != nil {
		out["anyOf"] = eachRequired(s.AtLeastOne)
	}
	return out
}

func eachRequired(names []string) []any {
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = map[string]any{"required": []any{n}}
	}
	return out
}

func (g generator) field(f *Field) map[string]any {
	out := g.typ(f.Type, f)
	if f.ListKey != "" {
		out = g.keyed(f, out)
	}
	if f.Doc != "" {
		out["description"] = f.Doc
	}
	if d := f.DefaultValue(); d != nil {
		out["default"] = d
	}
	return out
}

// typ describes a value of type t that stands in field f. The field's bounds of
// text apply to the items of a list and the values of a map.
func (g generator) typ(t reflect.Type, f *Field) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return g.typ(t.Elem(), f)
	case reflect.Struct:
		return g.ref(t)
	case reflect.Map:
		return g.mapping(t, f)
	case reflect.Slice:
		out := map[string]any{"type": "array", "items": g.typ(t.Elem(), itemField(f))}
		if f.MinItems > 0 {
			out["minItems"] = f.MinItems
		}
		return out
	case reflect.String:
		return text(f)
	case reflect.Int:
		out := map[string]any{"type": "integer"}
		if f.Min != nil {
			out["minimum"] = *f.Min
		}
		if f.Max != nil {
			out["maximum"] = *f.Max
		}
		return out
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Interface:
		return map[string]any{}
	}
	panic("schema: no JSON Schema for " + t.String())
}

func itemField(f *Field) *Field { return &Field{Pattern: f.Pattern, Enum: f.Enum} }

// ref defines struct type t once and refers to it.
func (g generator) ref(t reflect.Type) map[string]any {
	if _, ok := g.defs[t.Name()]; !ok {
		g.defs[t.Name()] = nil // ends the recursion of types that hold themselves
		g.defs[t.Name()] = g.object(t)
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

func (g generator) mapping(t reflect.Type, f *Field) map[string]any {
	out := map[string]any{"type": "object"}
	if f.KeyPattern != nil {
		out["propertyNames"] = text(&Field{Pattern: f.KeyPattern})
		delete(out["propertyNames"].(map[string]any), "type")
	}
	if f.MinItems > 0 {
		out["minProperties"] = f.MinItems
	}
	if t.Elem().Kind() == reflect.Interface {
		out["additionalProperties"] = true
		return out
	}
	out["additionalProperties"] = g.typ(t.Elem(), itemField(f))
	return out
}

// keyed describes a map that may also be written as a list. The key is a field of
// the list's items only.
func (g generator) keyed(f *Field, asMap map[string]any) map[string]any {
	item := asMap["additionalProperties"]
	asMap["additionalProperties"] = map[string]any{"allOf": []any{
		map[string]any{"not": map[string]any{"type": "object", "required": []any{f.ListKey}}},
		item,
	}}
	asList := map[string]any{"type": "array", "items": map[string]any{
		"allOf": []any{map[string]any{"required": []any{f.ListKey}}, item},
	}}
	return map[string]any{"anyOf": []any{asMap, asList}}
}

func text(f *Field) map[string]any {
	out := map[string]any{"type": "string"}
	if f.Enum != nil {
		enum := make([]any, len(f.Enum))
		for i, e := range f.Enum {
			enum[i] = e
		}
		out["enum"] = enum
	}
	if f.MinLength > 0 {
		out["minLength"] = f.MinLength
	}
	if p := f.Pattern; p != nil {
		out["pattern"] = p.Expr
		// Not part of the standard, but the editors that read these schemas
		// show it instead of the expression.
		out["patternErrorMessage"] = "must be " + p.Says
		if p.MinLength > f.MinLength {
			out["minLength"] = p.MinLength
		}
		if p.MaxLength > 0 {
			out["maxLength"] = p.MaxLength
		}
	}
	return out
}

// DefaultValue returns the field's default as a value of its type, or nil when it
// has none. It panics when the tag does not fit the type: that is a mistake in
// Strata, which the package's tests find.
func (f *Field) DefaultValue() any {
	if f.Default == "" {
		return nil
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var v any = f.Default
	var err error
	switch t.Kind() {
	case reflect.String:
	case reflect.Int:
		v, err = strconv.Atoi(f.Default)
	case reflect.Bool:
		v, err = strconv.ParseBool(f.Default)
	default:
		panic("schema: field " + f.Name + " of type " + t.String() + " cannot have a default")
	}
	if err != nil {
		panic("schema: default of " + f.Name + ": " + err.Error())
	}
	return v
}
