package catalog

import (
	"fmt"
	"math"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

// kubeconfigOutput is the one output of the cluster contract that is enough by
// itself: everything else about a cluster can be asked of the cluster.
const kubeconfigOutput = "kubeconfig"

// ValidateExisting says what is wrong with an "existing" block, sorted by path:
// keys that are no outputs of the contract, values that do not fit the output's
// type, and outputs that are missing. A secret output is given as its path in
// the central secrets service, so it is text whatever its type.
func (c *Catalog) ValidateExisting(k *model.Contract, existing map[string]any) []Problem {
	name := k.Metadata.Name
	known := model.SortedKeys(k.Spec.Outputs)
	var out []Problem
	for key, v := range existing {
		o, ok := k.Spec.Outputs[key]
		if !ok {
			msg := fmt.Sprintf("%s has no output %q", name, key)
			if len(known) == 0 {
				msg += ", it has none"
			}
			out = append(out, Problem{Path: diag.P(key), Message: msg, Unknown: true, Suggestion: suggest.Nearest(key, known)})
			continue
		}
		typ := cty.String
		if !o.Secret() {
			var err error
			if typ, err = ParseType(o.Type); err != nil { // reported when the catalog was made
				continue
			}
		}
		if p, msg := misfit(v, typ); msg != "" {
			path := append(diag.P(key), p...)
			what := ""
			if o.Secret() {
				what = ", the secret's path in the central secrets service"
			}
			out = append(out, Problem{Path: path, Message: path.String() + " " + msg + what})
		}
	}
	if missing := missingOutputs(k, existing); len(missing) > 0 {
		out = append(out, Problem{Message: fmt.Sprintf("%s also needs %s", name, andList(missing))})
	}
	return sortProblems(out)
}

func missingOutputs(k *model.Contract, existing map[string]any) []string {
	if _, ok := existing[kubeconfigOutput]; ok && k.Spec.Scope == model.ScopePlatform && k.Metadata.Name == "cluster" {
		return nil
	}
	var missing []string
	for _, name := range model.SortedKeys(k.Spec.Outputs) {
		if _, ok := existing[name]; !ok && !k.Spec.Outputs[name].Optional {
			missing = append(missing, name)
		}
	}
	return missing
}

// ParseType reads an OpenTofu type such as "list(string)".
func ParseType(s string) (cty.Type, error) {
	expr, ds := hclsyntax.ParseExpression([]byte(s), "type", hcl.InitialPos)
	if ds.HasErrors() {
		return cty.NilType, fmt.Errorf("type %q: %w", s, ds)
	}
	typ, ds := typeexpr.TypeConstraint(expr)
	if ds.HasErrors() {
		return cty.NilType, fmt.Errorf("type %q: %w", s, ds)
	}
	return typ, nil
}

// misfit says why v is not of type t, and where in v. Unlike OpenTofu it
// converts nothing: an unquoted account id that begins with a zero has already
// lost the zero when it arrives here.
func misfit(v any, t cty.Type) (diag.Path, string) {
	switch {
	case t == cty.DynamicPseudoType:
		if v == nil {
			return nil, "must not be null"
		}
		return notPlain(v), ""
	case t == cty.String:
		if s, ok := v.(string); !ok {
			return nil, wrongType("text", v)
		} else if s == "" {
			return nil, "must not be empty"
		}
	case t == cty.Number:
		switch n := v.(type) {
		case int, int64, uint64:
		case float64:
			if math.IsNaN(n) || math.IsInf(n, 0) {
				return nil, "must be a number"
			}
		default:
			return nil, wrongType("a number", v)
		}
	case t == cty.Bool:
		if _, ok := v.(bool); !ok {
			return nil, wrongType("true or false", v)
		}
	case t.IsListType(), t.IsSetType(), t.IsTupleType():
		return misfitList(v, t)
	case t.IsMapType(), t.IsObjectType():
		return misfitMapping(v, t)
	}
	return nil, ""
}

func misfitList(v any, t cty.Type) (diag.Path, string) {
	list, ok := v.([]any)
	if !ok {
		return nil, wrongType("a list", v)
	}
	if t.IsTupleType() && len(list) != t.Length() {
		return nil, fmt.Sprintf("must have %d items, not %d", t.Length(), len(list))
	}
	for i, e := range list {
		var et cty.Type
		if t.IsTupleType() {
			et = t.TupleElementType(i)
		} else {
			et = t.ElementType()
		}
		if p, msg := misfit(e, et); msg != "" {
			return append(diag.P(i), p...), msg
		}
	}
	return nil, ""
}

func misfitMapping(v any, t cty.Type) (diag.Path, string) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wrongType("a mapping", v)
	}
	for _, k := range model.SortedKeys(m) {
		var et cty.Type
		switch {
		case t.IsMapType():
			et = t.ElementType()
		case t.HasAttribute(k):
			et = t.AttributeType(k)
		default:
			return nil, fmt.Sprintf("has no attribute %q", k)
		}
		if p, msg := misfit(m[k], et); msg != "" {
			return append(diag.P(k), p...), msg
		}
	}
	if t.IsObjectType() {
		for _, k := range model.SortedKeys(t.AttributeTypes()) {
			if _, ok := m[k]; !ok && !t.AttributeOptional(k) {
				return nil, "needs " + k
			}
		}
	}
	return nil, ""
}

func wrongType(want string, v any) string {
	msg := fmt.Sprintf("must be %s, not %s", want, literal(v))
	if want == "text" {
		switch v.(type) {
		case int, int64, uint64, float64, bool:
			msg += ": write it in quotes"
		}
	}
	return msg
}
