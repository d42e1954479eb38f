package strata

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// plain turns a value of OpenTofu into what JSON decodes to, with whole numbers as
// int64 as Kubernetes has them. Nulls within objects are left out: they are how
// OpenTofu says that a field is not set. known is false where a part of it is not
// known yet.
func plain(ctx context.Context, v attr.Value) (out any, known bool, err error) {
	t, err := v.ToTerraformValue(ctx)
	if err != nil {
		return nil, false, err
	}
	if !t.IsFullyKnown() {
		return nil, false, nil
	}
	out, err = unpack(t)
	return out, true, err
}

func unpack(v tftypes.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		return s, v.As(&s)
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		var n big.Float
		if err := v.As(&n); err != nil {
			return nil, err
		}
		if i, exact := n.Int64(); exact == big.Exact {
			return i, nil
		}
		f, _ := n.Float64()
		return f, nil
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}), t.Is(tftypes.Tuple{}):
		var list []tftypes.Value
		if err := v.As(&list); err != nil {
			return nil, err
		}
		out := make([]any, len(list))
		for i, e := range list {
			var err error
			if out[i], err = unpack(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case t.Is(tftypes.Map{}), t.Is(tftypes.Object{}):
		var fields map[string]tftypes.Value
		if err := v.As(&fields); err != nil {
			return nil, err
		}
		out := map[string]any{}
		for k, e := range fields {
			x, err := unpack(e)
			if err != nil {
				return nil, err
			}
			if x != nil {
				out[k] = x
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("a value of type %s has no place in an object", v.Type())
}

// dynamic turns what JSON decodes to into a value of OpenTofu, with objects as objects
// and lists as tuples.
func dynamic(v any) (types.Dynamic, error) {
	x, err := pack(v)
	return types.DynamicValue(x), err
}

func pack(v any) (attr.Value, error) {
	switch v := v.(type) {
	case nil:
		return basetypes.NewDynamicNull(), nil
	case string:
		return types.StringValue(v), nil
	case bool:
		return types.BoolValue(v), nil
	case int64:
		return types.NumberValue(new(big.Float).SetInt64(v)), nil
	case float64:
		return types.NumberValue(big.NewFloat(v)), nil
	case json.Number:
		f, _, err := big.ParseFloat(string(v), 10, 512, big.ToNearestEven)
		return types.NumberValue(f), err
	case []any:
		kinds, values := make([]attr.Type, len(v)), make([]attr.Value, len(v))
		for i, e := range v {
			x, err := pack(e)
			if err != nil {
				return nil, err
			}
			kinds[i], values[i] = x.Type(context.Background()), x
		}
		out, diags := types.TupleValue(kinds, values)
		if diags.HasError() {
			return nil, fmt.Errorf("%v", diags)
		}
		return out, nil
	case map[string]any:
		kinds, values := map[string]attr.Type{}, map[string]attr.Value{}
		for k, e := range v {
			x, err := pack(e)
			if err != nil {
				return nil, err
			}
			kinds[k], values[k] = x.Type(context.Background()), x
		}
		out, diags := types.ObjectValue(kinds, values)
		if diags.HasError() {
			return nil, fmt.Errorf("%v", diags)
		}
		return out, nil
	}
	return nil, fmt.Errorf("a %T has no place in OpenTofu", v)
}
