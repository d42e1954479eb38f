package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
)

// bindingsAnnotation is on pods that outputs flow into. It changes with them, so that
// pods start anew with what is now right.
const bindingsAnnotation = "strata.dev/bindings"

// item is an object that a unit should consist of. Saved plans hold items, so they
// have no secret values: a Secret's data is put together when it is applied.
type item struct {
	Object *unstructured.Unstructured `json:"object"`
	// Bound says that outputs of other units flow into the object.
	Bound bool `json:"bound,omitempty"`
	// Secret has the data of a Secret: text and paths of the central secrets service.
	Secret map[string][]piece `json:"secret,omitempty"`
	// Unknown is the tree of what is not known yet, as plan.Values has it. Items of a
	// saved plan have none.
	Unknown map[string]any `json:"-"`
	// Action is what the plan does with the object; empty for nothing.
	Action plan.Action `json:"action,omitempty"`
	// Force says that the plan shows what is taken over from other managers.
	Force bool `json:"force,omitempty"`
}

// piece is text or a secret.
type piece struct {
	Text string `json:"text,omitempty"`
	Path string `json:"path,omitempty"`
	// Given says that people put the secret into the service, not a unit.
	Given bool `json:"given,omitempty"`
}

func (i *item) key() string { return cluster.Name(i.Object) }

// unknown marks a path as not known yet.
func (i *item) unknown(path ...string) {
	if i.Unknown == nil {
		i.Unknown = map[string]any{}
	}
	m := i.Unknown
	for _, p := range path[:len(path)-1] {
		next, ok := m[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[p] = next
		}
		m = next
	}
	m[path[len(path)-1]] = true
}

// desired renders what a unit should consist of: its objects, after the ConfigMaps and
// Secrets that outputs of other units flow into.
func desired(t engine.Task) ([]*item, error) {
	objs, err := t.Objects()
	if err != nil {
		return nil, err
	}
	items := make([]*item, 0, len(objs))
	for _, o := range objs {
		b, err := kube.MarshalJSON(o)
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(b); err != nil {
			return nil, fmt.Errorf("%s: %w", o.GetName(), err)
		}
		items = append(items, &item{Object: u})
	}
	if len(items) == 0 || len(t.Unit.Bindings) == 0 {
		return items, nil
	}
	return append(bound(t, items[0].Object), items...), nil
}

// bound returns the objects that outputs flow into, with the labels of like.
func bound(t engine.Task, like *unstructured.Unstructured) []*item {
	var out []*item
	byName := map[string]*item{}
	for _, b := range t.Unit.Bindings {
		name := b.Kind + "/" + b.Namespace + "/" + b.Name
		it := byName[name]
		if it == nil {
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": b.Kind, "data": map[string]any{}}}
			u.SetName(b.Name)
			u.SetNamespace(b.Namespace)
			u.SetLabels(like.GetLabels())
			u.SetAnnotations(map[string]string{kube.AnnotationUnit: t.Unit.Addr.String()})
			it = &item{Object: u, Bound: true}
			if b.Kind == "Secret" {
				it.Secret = map[string][]piece{}
			}
			byName[name] = it
			out = append(out, it)
		}
		pieces, ok := pieces(t, b)
		switch {
		case !ok:
			it.unknown("data", b.Key)
		case it.Secret != nil:
			it.Secret[b.Key] = pieces
		default:
			var text strings.Builder
			for _, p := range pieces {
				text.WriteString(p.Text)
			}
			it.Object.Object["data"].(map[string]any)[b.Key] = text.String() //nolint:forcetypeassert // made above
		}
	}
	return out
}

// pieces puts a binding together; false when one of its outputs is not known yet.
func pieces(t engine.Task, b graph.Binding) ([]piece, bool) {
	parts := b.Template
	if b.Ref != nil {
		parts = []graph.TemplatePart{{Ref: b.Ref, SecretPath: b.SecretPath}}
	}
	out := make([]piece, 0, len(parts))
	for _, p := range parts {
		if p.Ref == nil {
			out = append(out, piece{Text: p.Text})
			continue
		}
		name := p.Ref.Unit.Name + "." + p.Ref.Output
		if p.Ref.Secret {
			if slices.Contains(t.Unknown, name) {
				return nil, false
			}
			// The unit of the service itself stands for what people put there.
			out = append(out, piece{Path: p.SecretPath, Given: strings.HasSuffix(p.Ref.Unit.Name, "platform/secrets")})
			continue
		}
		v, ok := t.Values[name]
		if !ok {
			return nil, false
		}
		s := text(v)
		if b.GoTemplate {
			s = kube.EscapeTemplate(s)
		}
		out = append(out, piece{Text: s})
	}
	return out, true
}

// text is how a ConfigMap holds a value.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// secrets holds what is known of secrets, by path.
type secrets map[string]secretValue

// secretValue is a secret with what tells it from its predecessors without saying
// anything about its value.
type secretValue struct{ value, version string }

// paths lists the secrets that items need.
func paths(items []*item) map[string]piece {
	out := map[string]piece{}
	for _, it := range items {
		for _, list := range it.Secret {
			for _, p := range list {
				if p.Path != "" {
					out[p.Path] = p
				}
			}
		}
	}
	return out
}

// fill puts secrets into the Secrets among the items. What is missing is marked as
// unknown.
func fill(items []*item, have secrets) {
	for _, it := range items {
		if it.Secret == nil {
			continue
		}
		data := map[string]any{}
		for key, list := range it.Secret {
			var b strings.Builder
			whole := true
			for _, p := range list {
				if p.Path == "" {
					b.WriteString(p.Text)
					continue
				}
				s, ok := have[p.Path]
				whole = whole && ok
				b.WriteString(s.value)
			}
			if !whole {
				it.unknown("data", key)
				continue
			}
			data[key] = encode(b.String())
		}
		it.Object.Object["data"] = data
	}
}

// empty takes the values out of the Secrets again, so that items may be written down.
func empty(items []*item) {
	for _, it := range items {
		if it.Secret != nil {
			delete(it.Object.Object, "data")
		}
	}
}

// stamp marks the pods of the items with what flows into them.
func stamp(items []*item, have secrets) {
	h := sha256.New()
	flows, whole := false, true
	for _, it := range items {
		if it.Bound && it.Secret == nil {
			flows = true
			b, err := json.Marshal(it.Object.Object["data"])
			whole = whole && err == nil && it.Unknown == nil
			h.Write(b)
		}
	}
	need := paths(items)
	keys := make([]string, 0, len(need))
	for p := range need {
		keys = append(keys, p)
	}
	slices.Sort(keys)
	for _, p := range keys {
		flows = true
		s, ok := have[p]
		whole = whole && ok
		fmt.Fprintf(h, "%s %s\n", p, s.version)
	}
	if !flows {
		return
	}
	digest := hex.EncodeToString(h.Sum(nil))[:16]
	for _, it := range items {
		path := podTemplate(it.Object.GetKind())
		if path == nil {
			continue
		}
		path = append(path, "metadata", "annotations")
		if !whole {
			it.unknown(append(path, bindingsAnnotation)...)
			continue
		}
		m, _, err := unstructured.NestedStringMap(it.Object.Object, path...)
		if err != nil || m == nil {
			m = map[string]string{}
		}
		m[bindingsAnnotation] = digest
		_ = unstructured.SetNestedStringMap(it.Object.Object, m, path...)
	}
}

// podTemplate is where the pods of a kind are described; nil for kinds without pods.
func podTemplate(kind string) []string {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Job":
		return []string{"spec", "template"}
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template"}
	}
	return nil
}

// images lists the images that pods of the items use, and those that they make others use.
func images(items []*item) []string {
	var out []string
	for _, it := range items {
		if more := it.Object.GetAnnotations()[kube.AnnotationImages]; more != "" {
			out = append(out, strings.Split(more, ",")...)
		}
		path := podTemplate(it.Object.GetKind())
		if path == nil {
			continue
		}
		for _, field := range []string{"initContainers", "containers"} {
			list, _, _ := unstructured.NestedSlice(it.Object.Object, append(slices.Clone(path), "spec", field)...)
			for _, c := range list {
				if m, ok := c.(map[string]any); ok {
					if ref, ok := m["image"].(string); ok {
						out = append(out, ref)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
