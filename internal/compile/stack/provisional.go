package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/stratahq/strata/internal/catalog"
)

// UnknownResource is the address of the resource that provisional roots have
// besides their module: its output is what is not known yet. Views and policies
// pass over it.
const UnknownResource = "terraform_data.strata_unknown"

// unknowns replaces variables whose values do not exist yet. OpenTofu plans the
// output of a terraform_data resource that it is about to create as unknown, of
// the type of its input; so the root gets honest unknowns and no made-up value
// can come out of it: the values below only carry types.
func (s *scope) unknowns(doc object) error {
	if len(s.unknown) == 0 {
		return nil
	}
	input := object{}
	variables, _ := doc["variable"].(object)
	for _, v := range Variables(s.Context, s.unit) {
		if !s.unknown[v.Name] {
			continue
		}
		typ := v.Ref.Type
		if v.Ref.Secret {
			typ = "string"
		}
		t, err := catalog.ParseType(typ)
		if err != nil {
			return fmt.Errorf("output %s of %s: %w", v.Ref.Output, v.Ref.Unit, err)
		}
		expr, err := witness(t)
		if err != nil {
			return fmt.Errorf("output %s of %s: %w", v.Ref.Output, v.Ref.Unit, err)
		}
		input[v.Name] = "${" + expr + "}"
		delete(variables, v.Name)
	}
	if len(variables) == 0 {
		delete(doc, "variable")
	}
	typ, name, _ := strings.Cut(UnknownResource, ".")
	doc["resource"] = object{typ: object{name: object{"input": input}}}
	return nil
}

// witness returns an expression whose value has the type t.
func witness(t cty.Type) (string, error) {
	switch {
	case t == cty.String, t == cty.DynamicPseudoType:
		return `""`, nil
	case t == cty.Number:
		return "0", nil
	case t == cty.Bool:
		return "false", nil
	case t.IsListType():
		return wrap("tolist([", t.ElementType(), "])")
	case t.IsSetType():
		return wrap("toset([", t.ElementType(), "])")
	case t.IsMapType():
		return wrap("tomap({k=", t.ElementType(), "})")
	case t.IsObjectType():
		var parts []string
		for name, at := range t.AttributeTypes() {
			e, err := witness(at)
			if err != nil {
				return "", err
			}
			parts = append(parts, name+"="+e)
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ",") + "}", nil
	case t.IsTupleType():
		var parts []string
		for _, et := range t.TupleElementTypes() {
			e, err := witness(et)
			if err != nil {
				return "", err
			}
			parts = append(parts, e)
		}
		return "[" + strings.Join(parts, ",") + "]", nil
	}
	return "", fmt.Errorf("type %s cannot be unknown", t.FriendlyName())
}

func wrap(before string, t cty.Type, after string) (string, error) {
	e, err := witness(t)
	if err != nil {
		return "", err
	}
	return before + e + after, nil
}
