package model

import "github.com/stratahq/strata/internal/diag"

// Contracts is what validation needs to know of resource types. Package catalog
// implements it.
type Contracts interface {
	// Resource returns the contract of a resource type.
	Resource(typ string) (*Contract, bool)
	// Platform returns the contract of a platform module, such as "network".
	Platform(name string) (*Contract, bool)
	// ResourceTypes lists the known resource types, sorted.
	ResourceTypes() []string
	// Defaults returns the default parameters of a resource type.
	Defaults(typ string) map[string]any
	// PlatformDefaults returns the default parameters of a platform module.
	PlatformDefaults(name string) map[string]any
	// ValidateParams says what is wrong with parameters of a type.
	ValidateParams(typ string, params map[string]any) []Problem
	// ValidateExisting says what is wrong with the outputs given for something
	// that exists already.
	ValidateExisting(c *Contract, existing map[string]any) []Problem
	// ModuleFor returns the module that fulfils a contract in a cloud.
	ModuleFor(c *Contract, cloud string) (ModuleBinding, bool)
}

// Problem is one thing wrong with a free-form value.
type Problem struct {
	// Path is relative to the value that was checked.
	Path diag.Path
	// Message completes the sentence that begins with the value's name, or
	// stands alone.
	Message string
	// Unknown says that the key itself is not known; Suggestion is then the nearest right
	// spelling, or empty.
	Unknown    bool
	Suggestion string
	// Missing says that a required key is not there.
	Missing bool
}

// DefaultClass is the class of a resource whose type knows no classes.
const DefaultClass = "default"

// Effective is a resource of a workload as it is in one environment: class and
// parameters merged from, in rising order of weight, the contract's defaults, the
// environment's defaults for the type, the workload's own and the environment's
// override for the workload. Maps are merged key by key; lists are replaced.
type Effective struct {
	Name     string
	Type     string
	Class    string
	ID       string
	Params   map[string]any
	Existing Existing
}

// EffectiveResource merges resource name of workload w for environment e. The
// resource must exist; its type may be unknown.
func EffectiveResource(c Contracts, e *Environment, w *Workload, name string) Effective {
	r := w.Resources[name]
	out := Effective{Name: name, Type: r.Type, ID: r.ID, Class: DefaultClass}
	if con, ok := c.Resource(r.Type); ok && len(con.Spec.Classes) > 0 {
		out.Class = con.Spec.Classes[0]
	}
	def := e.Spec.Resources[r.Type]
	over := e.Spec.Workloads[w.Metadata.Name].Resources[name]
	for _, class := range []string{def.Class, r.Class, over.Class} {
		if class != "" {
			out.Class = class
		}
	}
	out.Params = map[string]any{}
	for _, p := range []map[string]any{c.Defaults(r.Type), def.Params, r.Params, over.Params} {
		merge(out.Params, p)
	}
	out.Existing = over.Existing
	return out
}

// merge copies src over dst, key by key at every level, without sharing maps.
func merge(dst, src map[string]any) {
	for k, v := range src {
		sub, ok := v.(map[string]any)
		if !ok {
			dst[k] = v
			continue
		}
		into := map[string]any{}
		if have, ok := dst[k].(map[string]any); ok {
			merge(into, have)
		}
		merge(into, sub)
		dst[k] = into
	}
}

// Int reads a whole number from a free-form value; ok is false when it is none.
func Int(v any) (n int, ok bool) {
	switch x := v.(type) {
	case int:
		return x, true
	case int64:
		return int(x), true
	case float64:
		if x == float64(int(x)) {
			return int(x), true
		}
	}
	return 0, false
}
