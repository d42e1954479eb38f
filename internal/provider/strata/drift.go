package strata

import (
	"maps"
	"reflect"
)

// drifted returns what was applied as it is in the cluster now: every field that was
// set has the value that it has there. wanted is what applying it again would make of
// the object, so that what the API server writes in another way, or fills in, or
// another manager adds, is not taken for a change.
func drifted(applied, wanted, live any) any {
	switch a := applied.(type) {
	case map[string]any:
		w, okW := wanted.(map[string]any)
		l, okL := live.(map[string]any)
		if !okW || !okL {
			break
		}
		out := maps.Clone(a)
		for k, v := range a {
			there, ok := l[k]
			if _, expected := w[k]; !ok && expected {
				delete(out, k)
				continue
			}
			out[k] = drifted(v, w[k], there)
		}
		return out
	case []any:
		w, okW := wanted.([]any)
		l, okL := live.([]any)
		if !okW || !okL || len(w) != len(l) || len(a) != len(w) {
			break
		}
		out := make([]any, len(a))
		for i := range a {
			out[i] = drifted(a[i], w[i], l[i])
		}
		return out
	}
	if reflect.DeepEqual(wanted, live) {
		return applied
	}
	return live
}
