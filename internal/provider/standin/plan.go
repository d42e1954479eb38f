package standin

import (
	"reflect"
	"slices"
)

// plan returns what an object will be: what OpenTofu proposes, with computed
// attributes that nobody set unknown. prior is nil for a new object.
func (s *Server) plan(typ string, b Block, config, proposed, prior map[string]any) map[string]any {
	facts := s.facts[typ]
	out := planBlock(b, config, proposed, prior)
	if prior == nil {
		for name, v := range facts.Defaults {
			if _, open := out[name].(unknown); open {
				out[name] = fromYAML(v)
			}
		}
	}
	if _, ok := b.Attributes["tags_all"]; ok {
		out["tags_all"] = s.allTags(out["tags"])
	}
	// A new version of an object's content has another identity.
	return out
}

// planBlock marks computed attributes as unknown that neither the configuration
// nor the object before has.
func planBlock(b Block, config, proposed, prior map[string]any) map[string]any {
	out := make(map[string]any, len(proposed))
	for name, a := range b.Attributes {
		v := proposed[name]
		_, had := prior[name]
		switch {
		case a.Nested != nil && v != nil:
			v = planNested(a.Nested.Nesting, Block{Attributes: a.Nested.Attributes}, config[name], v, prior[name])
		case v == nil && a.Computed && config[name] == nil && (prior == nil || !had):
			v = unknown{}
		}
		out[name] = v
	}
	for name, n := range b.Blocks {
		out[name] = planNested(n.Nesting, n.Block, config[name], proposed[name], prior[name])
	}
	return out
}

func planNested(nesting string, b Block, config, proposed, prior any) any {
	switch p := proposed.(type) {
	case map[string]any:
		if nesting == "map" {
			out := make(map[string]any, len(p))
			c, _ := config.(map[string]any)
			was, _ := prior.(map[string]any)
			for k, e := range p {
				out[k] = planObject(b, c[k], e, was[k])
			}
			return out
		}
		return planObject(b, config, p, prior)
	case []any:
		c, _ := config.([]any)
		was, _ := prior.([]any)
		out := make([]any, len(p))
		for i, e := range p {
			var ce, pe any
			if nesting == "list" {
				ce, pe = at(c, i), at(was, i)
			} else if slices.ContainsFunc(was, func(w any) bool { return reflect.DeepEqual(w, e) }) {
				pe = e // as it was
			}
			out[i] = planObject(b, ce, e, pe)
		}
		return out
	}
	return proposed
}

func planObject(b Block, config, proposed, prior any) any {
	p, ok := proposed.(map[string]any)
	if !ok {
		return proposed
	}
	c, _ := config.(map[string]any)
	was, _ := prior.(map[string]any)
	return planBlock(b, c, p, was)
}

func at(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return nil
}

// replaced lists the attributes that force another object.
func (s *Server) replaced(typ string, planned, prior map[string]any) []string {
	facts := s.facts[typ]
	var out []string
	for _, name := range slices.Concat(facts.Replaces, facts.Key) {
		if !slices.Contains(out, name) && prior != nil && !reflect.DeepEqual(planned[name], prior[name]) {
			out = append(out, name)
		}
	}
	return out
}

// allTags merges the provider's default tags with an object's own.
func (s *Server) allTags(own any) any {
	if _, ok := own.(unknown); ok {
		return unknown{}
	}
	out := map[string]any{}
	for k, v := range s.tags {
		out[k] = v
	}
	tags, _ := own.(map[string]any)
	for k, v := range tags {
		out[k] = v
	}
	return out
}
