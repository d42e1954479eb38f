package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/model"
)

// Param describes one parameter of a contract for people.
type Param struct {
	// Name is the parameter's path, such as "size", "metrics.cpu" or
	// "nodePools[].name".
	Name string `json:"name"`
	// Type says what to write: text, whole number, yes or no, list of text...
	Type     string `json:"type"`
	Required bool   `json:"required,omitempty"`
	Default  any    `json:"default,omitempty"`
	Enum     []any  `json:"enum,omitempty"`
	// Min and Max are inclusive bounds, nil where there is none.
	Min any `json:"min,omitempty"`
	Max any `json:"max,omitempty"`
	// Form completes "must be ..." for text that has to have a form.
	Form string `json:"form,omitempty"`
	Unit string `json:"unit,omitempty"`
	Doc  string `json:"doc"`
}

// The keywords that contracts use beside JSON Schema's own. Validators ignore
// keywords that they do not know.
const (
	keyUnit = "x-unit" // unit of the value
	keySays = "x-says" // completes "must be ..." for a pattern
)

// maxDepth bounds the description of parameters whose schema contains itself.
const maxDepth = 6

// Params describes the parameters of a contract, nested ones after the one that
// holds them, else in the order of names with the required ones first.
func (c *Catalog) Params(k *model.Contract) []Param {
	var out []Param
	flatten(&out, k.Spec.Params, k.Spec.Params, "", 0)
	return out
}

func flatten(out *[]Param, root, s map[string]any, prefix string, depth int) {
	props, _ := s["properties"].(map[string]any)
	required, _ := s["required"].([]any)
	isRequired := func(name string) bool { return slices.Contains(required, any(name)) }
	names := model.SortedKeys(props)
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case isRequired(a) == isRequired(b):
			return 0
		case isRequired(a):
			return -1
		}
		return 1
	})
	for _, name := range names {
		p := resolve(root, props[name])
		*out = append(*out, describe(prefix+name, p, isRequired(name)))
		if depth == maxDepth {
			continue
		}
		flatten(out, root, p, prefix+name+".", depth+1)
		flatten(out, root, resolve(root, p["items"]), prefix+name+"[].", depth+1)
	}
}

// resolve follows references within the schema; others are refused when the
// contract is checked.
func resolve(root map[string]any, v any) map[string]any {
	s, _ := v.(map[string]any)
	for range maxDepth {
		ref, ok := s["$ref"].(string)
		if !ok {
			break
		}
		target := lookup(root, strings.TrimPrefix(ref, "#"))
		if target == nil {
			break
		}
		s = target
	}
	return s
}

func describe(name string, s map[string]any, required bool) Param {
	p := Param{Name: name, Type: typeName(s), Required: required, Default: s["default"], Min: s["minimum"], Max: s["maximum"]}
	p.Enum, _ = s["enum"].([]any)
	p.Unit, _ = s[keyUnit].(string)
	p.Doc, _ = s["description"].(string)
	p.Form = form(s)
	if items, ok := s["items"].(map[string]any); ok && p.Form == "" {
		if f := form(items); f != "" {
			p.Form = "a list, each item " + f
		}
	}
	return p
}

// form completes "must be ..." for a schema with a pattern.
func form(s map[string]any) string {
	if says, ok := s[keySays].(string); ok {
		return says
	}
	if expr, ok := s["pattern"].(string); ok {
		return "text that matches " + expr
	}
	return ""
}

var typeWords = map[string]string{
	"string":  "text",
	"integer": "whole number",
	"number":  "number",
	"boolean": "true or false",
	"array":   "list",
	"object":  "mapping",
	"null":    "null",
}

func typeName(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		if items, ok := s["items"].(map[string]any); ok && t == "array" {
			return "list of " + typeName(items)
		}
		return typeWords[t]
	case []any:
		words := make([]string, len(t))
		for i, w := range t {
			words[i] = typeWords[fmt.Sprint(w)]
		}
		return strings.Join(words, " or ")
	}
	return "any"
}

func defaultsOf(params map[string]any) map[string]any {
	props, _ := params["properties"].(map[string]any)
	out := map[string]any{}
	for name, p := range props {
		if d, ok := resolve(params, p)["default"]; ok {
			out[name] = d
		}
	}
	return out
}
