package compile

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// expander resolves the placeholders of one workload.
type expander struct {
	c         *Compiled
	w         *model.Workload
	resources map[string]*resolved
	used      map[kube.Output]bool
}

// order returns the workload's resources so that one whose parameters name
// another comes after it; otherwise by name. Circles stay in the order of names
// and fail when they are expanded.
func (x *expander) order() []string {
	var out []string
	state := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if _, ok := x.w.Resources[name]; !ok || state[name] {
			return
		}
		state[name] = true
		for _, dep := range paramRefs(x.w.Resources[name].Params) {
			visit(dep)
		}
		out = append(out, name)
	}
	for _, name := range model.SortedKeys(x.w.Resources) {
		visit(name)
	}
	return out
}

// paramRefs lists the resources that placeholders in v name.
func paramRefs(v any) []string {
	var out []string
	switch t := v.(type) {
	case string:
		parts, _ := model.ParseTemplate(t)
		for _, p := range parts {
			if len(p.Ref) > 1 && p.Ref[0] == "resources" {
				out = append(out, p.Ref[1])
			}
		}
	case map[string]any:
		for _, k := range model.SortedKeys(t) {
			out = append(out, paramRefs(t[k])...)
		}
	case []any:
		for _, e := range t {
			out = append(out, paramRefs(e)...)
		}
	}
	return out
}

// value resolves a placeholder: text known now, or an output.
func (x *expander) value(ref []string) (string, *kube.Output, error) {
	name := "${" + strings.Join(ref, ".") + "}"
	if ref[0] == "metadata" {
		s, ok := x.w.Metadata.Lookup(ref[1:])
		if !ok {
			return "", nil, fmt.Errorf("placeholder %s names nothing", name)
		}
		return s, nil, nil
	}
	if ref[0] != "resources" || len(ref) != 3 {
		return "", nil, fmt.Errorf("placeholder %s names no output of a resource", name)
	}
	res := x.resources[ref[1]]
	if res == nil {
		return "", nil, fmt.Errorf("placeholder %s names a resource that is not there, or that waits for this one", name)
	}
	out, ok := res.con.Spec.Outputs[ref[2]]
	if !ok {
		return "", nil, fmt.Errorf("type %s has no output %q", res.eff.Type, ref[2])
	}
	if v, ok := res.literal[ref[2]]; ok {
		return fmt.Sprint(v), nil, nil
	}
	return "", &kube.Output{Resource: ref[1], Name: ref[2], Secret: out.Secret(), SecretPath: res.secret[ref[2]]}, nil
}

// expand resolves the placeholders of a text that becomes a variable or file.
func (x *expander) expand(s string) ([]kube.Part, error) {
	parts, err := model.ParseTemplate(s)
	if err != nil {
		return nil, err
	}
	var out []kube.Part
	for _, p := range parts {
		if p.Ref == nil {
			out = appendText(out, p.Text)
			continue
		}
		text, o, err := x.value(p.Ref)
		if err != nil {
			return nil, err
		}
		if o == nil {
			out = appendText(out, text)
			continue
		}
		x.used[*o] = true
		out = append(out, kube.Part{Output: o})
	}
	return out, nil
}

func appendText(parts []kube.Part, s string) []kube.Part {
	if n := len(parts); n > 0 && parts[n-1].Output == nil {
		parts[n-1].Text += s
		return parts
	}
	return append(parts, kube.Part{Text: s})
}

// outputs returns the outputs that were used, sorted.
func (x *expander) outputs() []kube.Output {
	var out []kube.Output
	for o := range x.used {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b kube.Output) int {
		return cmp.Or(strings.Compare(a.Resource, b.Resource), strings.Compare(a.Name, b.Name))
	})
	return out
}

// params resolves placeholders in resource parameters. A parameter that is one
// placeholder of an output known only later becomes a graph.Ref; such an output
// within a longer text or deeper down is refused, because a module's input is
// either a value or a reference.
func (x *expander) params(params map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(params))
	for _, k := range model.SortedKeys(params) {
		if s, ok := params[k].(string); ok {
			v, err := x.param(s)
			if err != nil {
				return nil, fmt.Errorf("parameter %q: %w", k, err)
			}
			out[k] = v
			continue
		}
		v, err := x.deep(params[k])
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", k, err)
		}
		out[k] = v
	}
	return out, nil
}

func (x *expander) param(s string) (any, error) {
	parts, err := model.ParseTemplate(s)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Ref == nil {
			b.WriteString(p.Text)
			continue
		}
		text, o, err := x.value(p.Ref)
		if err != nil {
			return nil, err
		}
		if o == nil {
			b.WriteString(text)
			continue
		}
		res := x.resources[o.Resource]
		if len(parts) != 1 || res.unit == (addr.Unit{}) {
			return nil, fmt.Errorf("an output that is known only after applying must be the whole parameter, not part of %q", s)
		}
		return graph.Ref{Unit: res.unit, Output: o.Name, Type: res.con.Spec.Outputs[o.Name].Type, Secret: o.Secret}, nil
	}
	return b.String(), nil
}

func (x *expander) deep(v any) (any, error) {
	switch t := v.(type) {
	case string:
		r, err := x.param(t)
		if _, ok := r.(graph.Ref); ok {
			return nil, fmt.Errorf("an output that is known only after applying must be the whole parameter, not part of one")
		}
		return r, err
	case map[string]any:
		out := make(map[string]any, len(t))
		for _, k := range model.SortedKeys(t) {
			r, err := x.deep(t[k])
			if err != nil {
				return nil, err
			}
			out[k] = r
		}
		return out, nil
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			r, err := x.deep(e)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	}
	return v, nil
}

func (x *expander) file(target string, f model.ContainerFile) (kube.File, error) {
	out := kube.File{Path: path.Clean(target), Mode: f.Mode}
	if f.BinaryContent != nil {
		b, err := f.Bytes()
		out.Binary = b
		return out, err
	}
	if f.Content == nil && !utf8.Valid(f.Data) {
		out.Binary = f.Data
		return out, nil
	}
	text := string(f.Data)
	if f.Content != nil {
		text = *f.Content
	}
	if f.NoExpand {
		out.Content = []kube.Part{{Text: text}}
		return out, nil
	}
	parts, err := x.expand(text)
	out.Content = parts
	return out, err
}
