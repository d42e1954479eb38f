package kube

import (
	"fmt"
	"strconv"
	"strings"
)

// Template is a file that mixes text with outputs. When the outputs are known,
// the engine writes Expand's result under Key into the ConfigMap or Secret
// Name, before it applies the workload's objects, which mount it.
//
// In a local environment a file that embeds a secret is completed straight
// into a Secret. Elsewhere Strata never holds secrets: GoTemplate is set, the
// engine completes the file to a template with the outputs that are no secrets,
// and the external secrets operator executes it. A file that embeds secrets and
// nothing else unknown needs no engine at all; its ExternalSecret has it.
type Template struct {
	Kind                 string // ConfigMap or Secret
	Namespace, Name, Key string
	Parts                []Part
	// GoTemplate says that Expand gives a text/template in which the secrets
	// are yet to be filled in, as the external secrets operator knows it.
	GoTemplate bool
}

// Expand returns the content with the outputs put in; values holds them by
// Output.Key. With GoTemplate, secrets are not looked up, but become template
// expressions. It returns an error that names an output without a value.
func (t Template) Expand(values map[string]string) (string, error) {
	var out, text strings.Builder
	flush := func() {
		if t.GoTemplate {
			out.WriteString(EscapeTemplate(text.String()))
		} else {
			out.WriteString(text.String())
		}
		text.Reset()
	}
	for _, p := range t.Parts {
		switch {
		case p.Output == nil:
			text.WriteString(p.Text)
		case p.Output.Secret && t.GoTemplate:
			flush()
			out.WriteString("{{ index . " + strconv.Quote(p.Output.Key()) + " }}")
		default:
			v, ok := values[p.Output.Key()]
			if !ok {
				return "", fmt.Errorf("%s %s, key %s: output %q has no value", t.Kind, t.Name, t.Key, p.Output.Key())
			}
			text.WriteString(v)
		}
	}
	flush()
	return out.String(), nil
}

// EscapeTemplate returns text so that executing it as a template gives it back.
func EscapeTemplate(s string) string {
	s = strings.ReplaceAll(s, "{{", `{{ "{{" }}`)
	// A brace at the end could make "{{" with the expression that follows.
	if cut, ok := strings.CutSuffix(s, "{"); ok {
		s = cut + `{{ "{" }}`
	}
	return s
}
