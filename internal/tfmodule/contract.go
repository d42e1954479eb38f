package tfmodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/model"
)

// files are what every module has of the standard structure.
var files = []string{"main.tf", "outputs.tf", "variables.tf", "versions.tf"}

// Style says what is missing from a module: files of the standard structure, variables
// without type, description, validation or refusal of null, outputs without
// description. And it says what must not be there: providers that it configures itself,
// so that nobody could use it twice, and outputs that are whole resources. Texts name
// what is wrong.
func (m *Module) Style() []string {
	var out []string
	for _, f := range files {
		if !slices.Contains(m.Files, f) {
			out = append(out, "there is no "+f)
		}
	}
	for _, p := range m.Configures {
		out = append(out, "it configures provider "+p+", which is for whoever calls it")
	}
	for _, v := range m.Variables {
		if v.Type == "" {
			out = append(out, "variable "+v.Name+" has no type")
		}
		if v.Description == "" {
			out = append(out, "variable "+v.Name+" has no description")
		}
		// Of a bool there is nothing wrong to be given.
		if v.Validations == 0 && v.Cty != cty.Bool {
			out = append(out, "variable "+v.Name+" takes every value of its type (validation)")
		}
		if v.Nullable && v.Default != "null" {
			out = append(out, "variable "+v.Name+" takes null, which means nothing (nullable = false)")
		}
	}
	for _, o := range m.Outputs {
		if o.Description == "" {
			out = append(out, "output "+o.Name+" has no description")
		}
		if o.Whole {
			out = append(out, "output "+o.Name+" is a whole resource")
		}
	}
	for _, want := range []string{"tofu", "aws", "google", "azurerm", "strata"} {
		if c, ok := m.Requires[want]; ok && c == "" {
			out = append(out, "the version of "+want+" is not constrained")
		}
	}
	return out
}

// Fulfils compares a module with what its contract and binding ask of it: every
// output, every parameter and every input that the binding passes. Texts say what
// does not fit.
func (m *Module) Fulfils(c *catalog.Catalog, k *model.Contract, binding model.ModuleBinding) []string {
	var out []string
	has := map[string]bool{}
	for _, o := range m.Outputs {
		has[o.Name] = true
	}
	promised := make([]string, 0, len(k.Spec.Outputs))
	for name := range k.Spec.Outputs {
		promised = append(promised, name)
		if !has[name] {
			out = append(out, "there is no output "+name)
		}
	}
	for _, o := range m.Outputs {
		if !slices.Contains(promised, o.Name) {
			out = append(out, "output "+o.Name+" is in no contract")
		}
	}
	variables := map[string]Variable{}
	for _, v := range m.Variables {
		variables[v.Name] = v
	}
	passed := map[string]bool{}
	for name := range binding.Inputs {
		passed[name] = true
		if _, ok := variables[name]; !ok {
			out = append(out, "there is no variable "+name+", which the contract passes")
		}
	}
	for _, p := range c.Params(k) {
		if strings.ContainsAny(p.Name, ".[") {
			continue // a part of another
		}
		name := catalog.VariableName(k.Metadata.Name, p.Name)
		passed[name] = true
		v, ok := variables[name]
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("there is no variable %s for the parameter %s", name, p.Name))
		case v.Default == "" && !p.Required && p.Default == nil:
			out = append(out, fmt.Sprintf("variable %s is required, and the parameter %s is not", name, p.Name))
		}
	}
	for _, v := range m.Variables {
		if v.Default == "" && !passed[v.Name] {
			out = append(out, "variable "+v.Name+" is required, and nothing passes it")
		}
	}
	slices.Sort(out)
	return out
}
