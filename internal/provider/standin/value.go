package standin

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Values are worked on as plain Go: nil, bool, string, json.Number, []any,
// map[string]any, and unknown for what is not known yet.
type unknown struct{}

// decode turns a value of the protocol into plain Go.
func decode(dv *tfprotov6.DynamicValue, t tftypes.Type) (any, error) {
	if dv == nil {
		return nil, nil
	}
	v, err := dv.Unmarshal(t)
	if err != nil {
		return nil, fmt.Errorf("decode value: %w", err)
	}
	return plain(v)
}

func plain(v tftypes.Value) (any, error) {
	switch {
	case !v.IsKnown():
		return unknown{}, nil
	case v.IsNull():
		return nil, nil
	}
	t := v.Type()
	switch {
	case t.Is(tftypes.String):
		var s string
		return s, v.As(&s)
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		f := new(big.Float)
		if err := v.As(&f); err != nil {
			return nil, err
		}
		return json.Number(f.Text('g', -1)), nil
	case t.Is(tftypes.Map{}), t.Is(tftypes.Object{}):
		var m map[string]tftypes.Value
		if err := v.As(&m); err != nil {
			return nil, err
		}
		out := make(map[string]any, len(m))
		for k, e := range m {
			p, err := plain(e)
			if err != nil {
				return nil, err
			}
			out[k] = p
		}
		return out, nil
	}
	var l []tftypes.Value
	if err := v.As(&l); err != nil {
		return nil, err
	}
	out := make([]any, len(l))
	for i, e := range l {
		var err error
		if out[i], err = plain(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// encode turns plain Go into a value of the protocol.
func encode(v any, t tftypes.Type) (*tfprotov6.DynamicValue, error) {
	tv, err := typed(v, t)
	if err != nil {
		return nil, err
	}
	dv, err := tfprotov6.NewDynamicValue(t, tv)
	if err != nil {
		return nil, fmt.Errorf("encode value: %w", err)
	}
	return &dv, nil
}

func typed(v any, t tftypes.Type) (tftypes.Value, error) {
	if t.Is(tftypes.DynamicPseudoType) {
		t = natural(v)
	}
	switch v := v.(type) {
	case nil:
		return tftypes.NewValue(t, nil), nil
	case unknown:
		return tftypes.NewValue(t, tftypes.UnknownValue), nil
	case json.Number:
		f, _, err := big.ParseFloat(string(v), 10, 512, big.ToNearestEven)
		if err != nil {
			return tftypes.Value{}, err
		}
		return build(t, f)
	case []any:
		return typedList(v, t)
	case map[string]any:
		out := make(map[string]tftypes.Value, len(v))
		switch t := t.(type) {
		case tftypes.Object:
			for name, at := range t.AttributeTypes {
				e, err := typed(v[name], at)
				if err != nil {
					return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
				}
				out[name] = e
			}
		case tftypes.Map:
			for name, e := range v {
				tv, err := typed(e, t.ElementType)
				if err != nil {
					return tftypes.Value{}, fmt.Errorf("%s: %w", name, err)
				}
				out[name] = tv
			}
		}
		return build(t, out)
	}
	return build(t, v)
}

// natural is the type of a value that may be of any: that of the same written out in a
// configuration.
func natural(v any) tftypes.Type {
	switch v := v.(type) {
	case bool:
		return tftypes.Bool
	case string:
		return tftypes.String
	case json.Number:
		return tftypes.Number
	case []any:
		types := make([]tftypes.Type, len(v))
		for i, e := range v {
			types[i] = natural(e)
		}
		return tftypes.Tuple{ElementTypes: types}
	case map[string]any:
		types := make(map[string]tftypes.Type, len(v))
		for k, e := range v {
			types[k] = natural(e)
		}
		return tftypes.Object{AttributeTypes: types}
	}
	return tftypes.DynamicPseudoType
}

func typedList(v []any, t tftypes.Type) (tftypes.Value, error) {
	var of func(int) tftypes.Type
	switch t := t.(type) {
	case tftypes.List:
		of = func(int) tftypes.Type { return t.ElementType }
	case tftypes.Set:
		of = func(int) tftypes.Type { return t.ElementType }
	case tftypes.Tuple:
		of = func(i int) tftypes.Type { return t.ElementTypes[i] }
	default:
		return tftypes.Value{}, fmt.Errorf("a list where a %s is wanted", t)
	}
	out := make([]tftypes.Value, len(v))
	for i, e := range v {
		var err error
		if out[i], err = typed(e, of(i)); err != nil {
			return tftypes.Value{}, err
		}
	}
	return build(t, out)
}

// build is tftypes.NewValue with an error instead of a panic.
func build(t tftypes.Type, v any) (tftypes.Value, error) {
	if err := tftypes.ValidateValue(t, v); err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.NewValue(t, v), nil
}

// wholly reports whether nothing in v is unknown.
func wholly(v any) bool {
	switch v := v.(type) {
	case unknown:
		return false
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !wholly(e) })
	case map[string]any:
		for _, e := range v {
			if !wholly(e) {
				return false
			}
		}
	}
	return true
}
