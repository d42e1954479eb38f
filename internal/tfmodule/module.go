// Package tfmodule reads the source of OpenTofu modules: their variables, outputs,
// resources and what their authors say about them. It compares a module with the
// contract that it fulfils and writes its README. It runs no OpenTofu and evaluates
// no expression.
package tfmodule

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Module is the source of a module.
type Module struct {
	// Intro is what the comment at the head of main.tf says, in paragraphs.
	Intro     []string
	Variables []Variable
	Outputs   []Output
	// Resources and Data are addresses within the module without instance keys, sorted.
	Resources, Data []string
	// Waivers are the security checks that a default waives, in the order of files.
	Waivers []Waiver
	// Requires are the version constraints of OpenTofu ("tofu") and of providers, by
	// name.
	Requires map[string]string
	// Files are the names of its .tf files, sorted.
	Files []string
	// Configures names the providers that it configures itself.
	Configures []string
}

// Variable is an input of a module.
type Variable struct {
	Name, Description string
	// Type is the type as it is written, Cty what it means.
	Type string
	Cty  cty.Type
	// Default is the default as it is written; empty where the variable is required.
	Default string
	// Nullable says that null may be given.
	Nullable bool
	// Validations counts validation blocks.
	Validations int
}

// Output is an output of a module.
type Output struct {
	Name, Description string
	// Whole says that its value is a resource with everything in it, whatever that is
	// in the next version of the provider.
	Whole bool
}

// Waiver is a security check that a default does not pass, and why: a comment such as
// "# Waives iam-user: the protocol knows keys only".
type Waiver struct{ Check, Reason string }

// Read reads the .tf files of a module's folder. The error says in which file and
// line something cannot be understood.
func Read(module fs.FS) (*Module, error) {
	names, err := fs.Glob(module, "*.tf")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("there is no .tf file")
	}
	out := &Module{Requires: map[string]string{}, Files: names}
	for _, name := range names {
		src, err := fs.ReadFile(module, name)
		if err != nil {
			return nil, err
		}
		file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
		if diags.HasErrors() {
			return nil, diags
		}
		body, ok := file.Body.(*hclsyntax.Body)
		if !ok {
			return nil, fmt.Errorf("%s: not in HCL's native syntax", name)
		}
		for _, b := range body.Blocks {
			if err := out.block(b, src); err != nil {
				return nil, err
			}
		}
		out.Waivers = append(out.Waivers, waivers(src)...)
		if path.Base(name) == "main.tf" {
			out.Intro = intro(src)
		}
	}
	slices.Sort(out.Resources)
	slices.Sort(out.Data)
	return out, nil
}

// labels are how many labels each kind of block has.
var labels = map[string]int{"variable": 1, "output": 1, "resource": 2, "data": 2, "provider": 1}

func (m *Module) block(b *hclsyntax.Block, src []byte) error {
	if n, ok := labels[b.Type]; ok && len(b.Labels) != n {
		return fmt.Errorf("%s: a %s block has %d labels", b.Range(), b.Type, n)
	}
	switch b.Type {
	case "variable":
		v, err := variable(b, src)
		m.Variables = append(m.Variables, v)
		return err
	case "output":
		m.Outputs = append(m.Outputs, Output{Name: b.Labels[0], Description: text(b.Body, "description"), Whole: whole(b.Body)})
	case "resource":
		m.Resources = append(m.Resources, strings.Join(b.Labels, "."))
	case "data":
		m.Data = append(m.Data, strings.Join(b.Labels, "."))
	case "provider":
		m.Configures = append(m.Configures, b.Labels[0])
	case "terraform":
		m.Requires["tofu"] = text(b.Body, "required_version")
		for _, inner := range b.Body.Blocks {
			if inner.Type == "required_providers" {
				for name, a := range inner.Body.Attributes {
					m.Requires[name] = member(a.Expr, "version")
				}
			}
		}
	}
	return nil
}

// whole reports whether an output's value is a resource, a data source or a module
// call, and not something of it.
func whole(b *hclsyntax.Body) bool {
	a, ok := b.Attributes["value"]
	if !ok {
		return false
	}
	e, ok := a.Expr.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return false
	}
	names := 0
	for _, step := range e.Traversal {
		switch step.(type) {
		case hcl.TraverseRoot, hcl.TraverseAttr:
			names++
		}
	}
	switch e.Traversal.RootName() {
	case "var", "local", "path", "each", "count", "terraform":
		return false
	case "data":
		return names <= 3
	}
	return names <= 2
}

// member is a text within an object that is written out.
func member(e hclsyntax.Expression, key string) string {
	v, diags := e.Value(nil)
	if diags.HasErrors() || !v.Type().IsObjectType() || !v.Type().HasAttribute(key) {
		return ""
	}
	if at := v.GetAttr(key); at.Type() == cty.String {
		return at.AsString()
	}
	return ""
}

// text is an attribute that is plain text; empty where it is not.
func text(b *hclsyntax.Body, name string) string {
	a, ok := b.Attributes[name]
	if !ok {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || v.IsNull() {
		return ""
	}
	return v.AsString()
}

func variable(b *hclsyntax.Block, src []byte) (Variable, error) {
	v := Variable{Name: b.Labels[0], Description: text(b.Body, "description"), Nullable: true, Cty: cty.DynamicPseudoType}
	if a, ok := b.Body.Attributes["type"]; ok {
		v.Type = written(a.Expr, src)
		t, _, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		if diags.HasErrors() {
			return v, diags
		}
		v.Cty = t
	}
	if a, ok := b.Body.Attributes["default"]; ok {
		v.Default = written(a.Expr, src)
	}
	if a, ok := b.Body.Attributes["nullable"]; ok {
		v.Nullable = written(a.Expr, src) != "false"
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type == "validation" {
			v.Validations++
		}
	}
	return v, nil
}

func written(e hclsyntax.Expression, src []byte) string { return string(e.Range().SliceBytes(src)) }

// intro is the comment that a file begins with. A line "#" separates paragraphs; an
// empty line ends it.
func intro(src []byte) []string {
	var out []string
	var words []string
	flush := func() {
		if len(words) > 0 {
			out = append(out, strings.Join(words, " "))
			words = nil
		}
	}
	for line := range strings.SplitSeq(string(src), "\n") {
		if !strings.HasPrefix(line, "#") {
			break
		}
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if line == "" {
			flush()
			continue
		}
		words = append(words, line)
	}
	flush()
	return out
}

var waives = regexp.MustCompile(`(?m)^\s*# Waives ([a-z0-9-]+): (.*(?:\n\s*#   .*)*)`)

// waivers are the comments that say which check is waived. Lines that go on are
// indented by two further columns.
func waivers(src []byte) []Waiver {
	var out []Waiver
	for _, m := range waives.FindAllStringSubmatch(string(src), -1) {
		var words []string
		for line := range strings.SplitSeq(m[2], "\n") {
			words = append(words, strings.TrimSpace(strings.TrimLeft(line, " \t#")))
		}
		out = append(out, Waiver{Check: m[1], Reason: strings.Join(words, " ")})
	}
	return out
}
