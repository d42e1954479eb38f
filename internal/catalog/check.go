package catalog

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

// The rules by which own contracts are checked, as diagnostics name them.
const (
	RuleDuplicate = "contract-duplicate" // the name is taken
	RuleSchema    = "contract-schema"    // spec.params is no JSON Schema of an object
	RuleNative    = "contract-native"    // only built-in contracts can be native
	RuleModule    = "contract-module"    // no module, an unknown cloud, or a source outside the repository
	RuleInput     = "contract-input"     // an input's source does not exist
	RuleOutput    = "contract-output"    // an output's name or type is invalid
)

// Rules lists the rules that New reports.
var Rules = []string{RuleDuplicate, RuleSchema, RuleNative, RuleModule, RuleInput, RuleOutput}

var clouds = []string{model.CloudAWS, model.CloudGCP, model.CloudAzure, model.CloudLocal}

func reportDuplicate(ds *diag.List, o, prev *model.Contract) {
	d := ds.Errorf(RuleDuplicate, o.Source.File, diag.P("metadata", "name"), "contract %q is there already", o.Metadata.Name)
	d.Detail = "Strata comes with a contract of this name."
	if prev.Source.File != "" {
		d.Detail = "The other one is in " + prev.Source.File + "."
	}
	d.Remedy = "Choose another name."
}

// check reports what is wrong with an own contract.
func (c *Catalog) check(ds *diag.List, e *entry) {
	k := e.contract
	file, spec := k.Source.File, k.Spec
	if spec.Native {
		d := ds.Errorf(RuleNative, file, diag.P("spec", "native"), "only contracts that come with Strata can be native")
		d.Remedy = "Remove native and name a module under spec.modules."
	}
	for i, port := range spec.Ports {
		if port < 1 || port > 65535 {
			ds.Errorf(RuleOutput, file, diag.P("spec", "ports", i), "port %d is not from 1 to 65535", port)
		}
	}
	checkSchema(ds, e)
	for _, name := range model.SortedKeys(spec.Outputs) {
		at := diag.P("spec", "outputs", name)
		if !ValidName(name) {
			d := ds.Errorf(RuleOutput, file, at, "%q cannot be the name of an output", name)
			d.OnKey = true
			d.Remedy = "Use letters, digits, '_' and '-', with a letter first."
		}
		if _, err := ParseType(spec.Outputs[name].Type); err != nil {
			d := ds.Errorf(RuleOutput, file, at.With("type"), "output %s: %q is not an OpenTofu type", name, spec.Outputs[name].Type)
			d.Remedy = "Write a type such as string, number, bool, list(string) or map(string)."
		}
	}
	if len(spec.Modules) == 0 && !spec.Native {
		d := ds.Errorf(RuleModule, file, diag.P("spec"), "nothing fulfils %s: it names no module", k.Metadata.Name)
		d.Remedy = "Add spec.modules with a module for each cloud that should have the type."
	}
	for _, cloud := range model.SortedKeys(spec.Modules) {
		c.checkModule(ds, k, cloud)
	}
}

func checkSchema(ds *diag.List, e *entry) {
	k := e.contract
	file, at := k.Source.File, diag.P("spec", "params")
	if p := notPlain(mapping(k.Spec.Params)); p != nil {
		ds.Errorf(RuleSchema, file, at.With(p...), "a schema holds only what JSON can hold")
		return
	}
	if t, ok := k.Spec.Params["type"]; ok && t != "object" {
		ds.Errorf(RuleSchema, file, at.With("type"), "parameters are an object, not %s", literal(t))
		return
	}
	schema, err := e.schema()
	var invalid *jsonschema.SchemaValidationError
	var leaf *jsonschema.ValidationError
	switch {
	case errors.As(err, &invalid) && errors.As(invalid.Err, &leaf):
		for len(leaf.Causes) > 0 {
			leaf = leaf.Causes[0]
		}
		p, v := locate(k.Spec.Params, leaf.InstanceLocation)
		msg, _ := say(leaf.ErrorKind, nil, v)
		ds.Errorf(RuleSchema, file, at.With(p...), "not a valid JSON Schema: %s %s", at.With(p...), msg)
		return
	case err != nil:
		d := ds.Errorf(RuleSchema, file, at, "not a valid JSON Schema")
		d.Detail = err.Error()
		return
	}
	for _, p := range e.validate(schema, e.defaults) {
		// Parameters without a default are absent here, which is no
		// mistake of the contract.
		if len(p.Path) > 0 {
			name := p.Path[0]
			ds.Errorf(RuleSchema, file, at.With("properties", name, "default"), "the default of %v is not a valid value: %s", name, p.Message)
		}
	}
}

func (c *Catalog) checkModule(ds *diag.List, k *model.Contract, cloud string) {
	file, at := k.Source.File, diag.P("spec", "modules", cloud)
	if !slices.Contains(clouds, cloud) {
		d := ds.Errorf(RuleModule, file, at, "unknown cloud %q", cloud)
		d.OnKey = true
		d.Remedy = "Use " + orList(clouds) + "."
	}
	m := k.Spec.Modules[cloud]
	if reason := badSource(file, m.Source); reason != "" {
		d := ds.Errorf(RuleModule, file, at.With("source"), "module source %q %s", m.Source, reason)
		d.Remedy = "Put the module into this repository and name its folder relative to the contract, such as \"./aws\"."
	}
	for _, variable := range model.SortedKeys(m.Inputs) {
		at := at.With("inputs", variable)
		if !ValidVariable(variable) {
			ds.Errorf(RuleInput, file, at, "%q cannot be the name of a module variable", variable).OnKey = true
			continue
		}
		if reason := c.badInput(m.Inputs[variable]); reason != "" {
			ds.Errorf(RuleInput, file, at, "input %s: %s", variable, reason)
		}
		for param := range mapping(k.Spec.Params["properties"]) {
			if VariableName(k.Metadata.Name, param) == variable {
				ds.Errorf(RuleInput, file, at, "input %s is also where parameter %s is passed", variable, param).OnKey = true
			}
		}
	}
}

// badSource says why a module's source is refused, or "". Only folders of the
// repository are modules: what a plan runs must be what was reviewed with it.
func badSource(file, source string) string {
	switch {
	case source == "":
		return "is empty"
	case strings.HasPrefix(source, BuiltinPrefix):
		return "belongs to Strata's own contracts"
	case strings.Contains(source, `\`):
		return "must use forward slashes"
	case strings.ContainsAny(source, ":?"):
		return "must be a folder of this repository, not an address"
	case path.IsAbs(source):
		return "must be relative"
	}
	if p := path.Join(path.Dir(file), source); p == ".." || strings.HasPrefix(p, "../") || path.IsAbs(p) {
		return "leads out of the repository"
	}
	return ""
}

// badInput says why an input's source does not exist, or "".
func (c *Catalog) badInput(source string) string {
	unit, field, ok := strings.Cut(source, ".")
	if !ok || unit == "" || field == "" {
		return fmt.Sprintf("%q is not a source such as network.vpc_id, env.region or unit.name", source)
	}
	var known []string
	switch unit {
	case "env":
		known = model.SortedKeys(EnvFields)
	case "unit":
		known = model.SortedKeys(UnitFields)
	default:
		k, ok := c.Platform(unit)
		if !ok {
			return fmt.Sprintf("there is no platform contract %q", unit) + maybe(suggest.Nearest(unit, append(c.PlatformTypes(), "env", "unit")))
		}
		known = model.SortedKeys(k.Spec.Outputs)
	}
	if !slices.Contains(known, field) {
		return fmt.Sprintf("%s has no %q", unit, field) + maybe(suggest.Nearest(field, known))
	}
	return ""
}

func maybe(suggestion string) string {
	if suggestion == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", suggestion)
}

func mapping(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
