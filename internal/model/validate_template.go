package model

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/stratahq/strata/internal/diag"
)

// place says what happens to placeholders in a text.
type place int

const (
	// expanded texts have their placeholders resolved, secrets by reference.
	expanded place = iota
	// literal texts are copied as they stand to where everybody can read them.
	literal
	// parameter texts are resolved and become inputs of modules and routes.
	parameter
)

// template checks the placeholders of a text of workload w.
func (v *validator) template(file string, at diag.Path, w *Workload, s string, where place) {
	if !strings.Contains(s, "$") {
		return
	}
	parts, err := ParseTemplate(s)
	if err != nil {
		var te *TemplateError
		if where != literal && errors.As(err, &te) {
			v.err(RulePlaceholder, file, at, "%s", te.Message)
		}
		return
	}
	for _, p := range parts {
		if p.Ref != nil {
			v.placeholder(file, at, w, p.Ref, where)
		}
	}
}

func (v *validator) placeholder(file string, at diag.Path, w *Workload, ref []string, where place) {
	text := "${" + strings.Join(ref, ".") + "}"
	switch ref[0] {
	case "metadata":
		if _, ok := w.Metadata.Lookup(ref[1:]); !ok && where != literal {
			v.err(RulePlaceholder, file, at, "placeholder %s names no text in this workload's metadata", text)
			return
		}
	case "resources":
		if !v.resourceRef(file, at, w, ref, where) {
			return
		}
	default:
		if where != literal {
			d := v.err(RulePlaceholder, file, at, "placeholder %s starts with %q; only metadata and resources can be named", text, ref[0])
			d.Remedy = "Write $" + text + " for the characters themselves, or noExpand: true for a whole file."
		}
		return
	}
	if where == literal {
		d := v.list.Warnf(RuleNotExpanded, file, at, "placeholder %s is not expanded here", text)
		d.Detail = "Score resolves placeholders in variables, files, volume sources and resource parameters only."
		d.Remedy = "Pass it as an environment variable."
	}
}

// resourceRef checks ${resources.NAME.OUTPUT}; it reports whether all is well.
func (v *validator) resourceRef(file string, at diag.Path, w *Workload, ref []string, where place) bool {
	text := "${" + strings.Join(ref, ".") + "}"
	if len(ref) < 2 {
		v.err(RulePlaceholder, file, at, "placeholder %s names no resource", text)
		return false
	}
	r, ok := w.Resources[ref[1]]
	if !ok {
		v.unknown(RuleUnknownResource, file, at, "resource", ref[1], SortedKeys(w.Resources))
		return false
	}
	con, ok := v.c.Resource(r.Type)
	if !ok {
		return false // reported with the resource itself
	}
	if len(ref) != 3 {
		d := v.err(RulePlaceholder, file, at, "placeholder %s must name one output of resource %q", text, ref[1])
		d.Remedy = "Outputs of " + r.Type + ": " + joinComma(SortedKeys(con.Spec.Outputs)) + "."
		return false
	}
	out, ok := con.Spec.Outputs[ref[2]]
	if !ok {
		v.unknown(RuleUnknownOutput, file, at, "output of "+r.Type, ref[2], SortedKeys(con.Spec.Outputs))
		return false
	}
	if out.Secret() && where != expanded {
		d := v.err(RuleSecretExposed, file, at, "secret output %s would be readable here by everybody", text)
		d.Detail = "A secret may stand in a container's variables and files only, where it is put by reference."
		d.Remedy = "Pass it as an environment variable or a file."
		return false
	}
	return true
}

// paramTemplates checks placeholders within resource parameters, at any depth.
// whole says that a parameter may be the output of another resource, known
// only after applying: at the top level of a resource that a module fulfils.
func (v *validator) paramTemplates(w *Workload, at diag.Path, val any, whole bool) {
	switch x := val.(type) {
	case string:
		before := len(v.list)
		v.template(w.Source.File, at, w, x, parameter)
		if len(v.list) == before && strings.Contains(x, "${") {
			v.knownLater(w, at, x, whole)
		}
	case map[string]any:
		for _, k := range SortedKeys(x) {
			v.paramTemplates(w, at.With(k), x[k], false)
		}
	case []any:
		for i, e := range x {
			v.paramTemplates(w, at.With(i), e, false)
		}
	}
}

// knownLater refuses outputs that are known only after applying where a
// parameter needs its value earlier. The text has valid placeholders.
func (v *validator) knownLater(w *Workload, at diag.Path, s string, whole bool) {
	parts, err := ParseTemplate(s)
	if err != nil {
		return
	}
	for _, p := range parts {
		if len(p.Ref) != 3 || p.Ref[0] != "resources" {
			continue
		}
		con, ok := v.c.Resource(w.Resources[p.Ref[1]].Type)
		if !ok || con.Spec.Native || whole && len(parts) == 1 {
			continue
		}
		d := v.err(RulePlaceholder, w.Source.File, at, "output ${%s} is known only after applying, but this parameter is needed before", strings.Join(p.Ref, "."))
		d.Detail = "It may be the whole of a top-level parameter of a resource that a module fulfils, not part of a text and not of a type that Strata fulfils itself."
	}
}

// Bytes decodes binary content. It returns an error when that is not base64.
func (f ContainerFile) Bytes() ([]byte, error) {
	if f.BinaryContent == nil {
		return nil, nil
	}
	clean := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, *f.BinaryContent)
	b, err := base64.StdEncoding.DecodeString(clean)
	if err != nil {
		return nil, fmt.Errorf("decode base64: %w", err)
	}
	return b, nil
}

// Resource returns the name of the resource that a volume's source names.
func (m ContainerVolume) Resource() (string, bool) {
	parts, err := ParseTemplate(m.Source)
	if err != nil || len(parts) != 1 {
		return "", false
	}
	ref := parts[0].Ref
	if len(ref) == 2 && ref[0] == "resources" || len(ref) == 3 && ref[0] == "resources" && ref[2] == "source" {
		return ref[1], true
	}
	// A bare resource name is what score-compose once accepted.
	return parts[0].Text, parts[0].Text != "" && !strings.ContainsAny(parts[0].Text, "/. ")
}
