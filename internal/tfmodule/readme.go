package tfmodule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/model"
)

// ReadmeOptions is what a README says besides what is in the module.
type ReadmeOptions struct {
	// Name is the module's, such as aws/postgres.
	Name string
	// Contract is what the module fulfils; nil for none.
	Contract *model.Contract
	// Example is an example of its use in HCL; empty for none.
	Example string
}

// Readme writes a module's README in Markdown.
func (m *Module) Readme(o ReadmeOptions) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("<!-- Written by `strata module docs` from the module's HCL; do not edit. -->\n")
	line("# %s\n", o.Name)
	for _, p := range m.Intro {
		line("%s\n", p)
	}
	if o.Contract != nil {
		line("It fulfils the contract `%s`: %s. `strata explain %s` shows its parameters.\n", o.Contract.Metadata.Name, lowerFirst(o.Contract.Spec.Summary), o.Contract.Metadata.Name)
	}
	if o.Example != "" {
		line("## Example\n\n```hcl\n%s\n```\n", strings.TrimSpace(o.Example))
	}
	line("## Inputs\n")
	line("| Name | Type | Default | Description |\n|---|---|---|---|")
	for _, v := range sortedVariables(m.Variables) {
		def := "required"
		if v.Default != "" {
			def = code(v.Default)
		}
		line("| `%s` | %s | %s | %s |", v.Name, code(v.Type), def, cell(v.Description))
	}
	line("\n## Outputs\n")
	line("| Name | Description |\n|---|---|")
	for _, out := range slices.SortedFunc(slices.Values(m.Outputs), func(a, b Output) int { return strings.Compare(a.Name, b.Name) }) {
		line("| `%s` | %s |", out.Name, cell(out.Description))
	}
	line("\n## Resources\n")
	for _, r := range m.Resources {
		line("- `%s`", r)
	}
	if len(m.Waivers) > 0 {
		line("\n## Security checks that a default waives\n")
		for _, w := range m.Waivers {
			line("- `%s`: %s", w.Check, w.Reason)
		}
	}
	line("\n## Requirements\n")
	for _, name := range slices.Sorted(maps.Keys(m.Requires)) {
		label := "provider `" + name + "`"
		if name == "tofu" {
			label = "OpenTofu"
		}
		line("- %s `%s`", label, m.Requires[name])
	}
	return b.String()
}

// sortedVariables puts the required ones first.
func sortedVariables(list []Variable) []Variable {
	return slices.SortedFunc(slices.Values(list), func(a, b Variable) int {
		if (a.Default == "") != (b.Default == "") {
			if a.Default == "" {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
}

func lowerFirst(s string) string {
	if len(s) < 2 || strings.ToUpper(s[:2]) == s[:2] {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// code writes HCL within a cell of a table.
func code(s string) string {
	return "`" + strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|") + "`"
}

func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}
