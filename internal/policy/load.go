package policy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/policies"
)

// Source is one Rego file of the user.
type Source struct {
	// File is relative to the repository, with forward slashes.
	File string
	Data []byte
}

// maxSource bounds a Rego file; a longer one is a mistake or an attack.
const maxSource = 4 << 20

// stageOf maps the packages that Strata evaluates to their stage.
var stageOf = map[string]Stage{
	"data.strata.model":   StageModel,
	"data.strata.objects": StageObjects,
	"data.strata.plan":    StagePlan,
}

// loader collects what Load finds.
type loader struct {
	diags   diag.List
	modules map[string]*ast.Module // rules, attributed
	sources []Source               // the user's files as written, for unit tests
	rules   []*Rule
}

// Load compiles the built-in rules together with the user's own. The Set is nil
// when a diagnostic is an error.
func Load(_ context.Context, sources ...Source) (*Set, diag.List) {
	l := &loader{modules: map[string]*ast.Module{}, sources: sources}
	l.readBuiltIn()
	sorted := slices.Clone(sources)
	slices.SortFunc(sorted, func(a, b Source) int { return strings.Compare(a.File, b.File) })
	for i, s := range sorted {
		if i > 0 && sorted[i-1].File == s.File {
			l.diags.Errorf("policy-syntax", s.File, nil, "the file was given twice")
			continue
		}
		l.add(s, false)
	}
	if l.diags.HasErrors() {
		return nil, l.diags
	}
	s, err := newSet(l)
	if err != nil {
		l.diags.Errorf("policy-compile", "", nil, "%v", err)
		return nil, l.diags
	}
	// The built-in rules compile: that is tested. Each stage of theirs can wait
	// until it is asked for; the user's mistakes cannot.
	if len(sources) > 0 {
		for _, stage := range []Stage{StageModel, StageObjects, StagePlan} {
			if _, err := s.compiled(stage); err != nil {
				l.astErrors("policy-compile", "", err)
			}
		}
		if l.diags = l.diags.Sorted(); l.diags.HasErrors() {
			return nil, l.diags
		}
	}
	return s, l.diags
}

func (l *loader) readBuiltIn() {
	err := fs.WalkDir(policies.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".rego") || strings.HasSuffix(name, testSuffix) {
			return err
		}
		data, err := policies.FS.ReadFile(name)
		if err != nil {
			return err
		}
		l.add(Source{File: builtInPrefix + name, Data: data}, true)
		return nil
	})
	if err != nil {
		l.diags.Errorf("policy-syntax", "", nil, "reading the built-in rules: %v", err)
	}
}

// builtInPrefix keeps the names of built-in files apart from the user's.
const builtInPrefix = "builtin:"

func (l *loader) add(s Source, builtIn bool) {
	if len(s.Data) > maxSource {
		l.diags.Errorf("policy-syntax", s.File, nil, "the file has %d bytes; a Rego file may have %d", len(s.Data), maxSource)
		return
	}
	mod, err := parse(s)
	if err != nil {
		l.astErrors("policy-syntax", s.File, err)
		return
	}
	if mod == nil || strings.HasSuffix(s.File, testSuffix) { // nil: only comments
		return
	}
	stage, judged := stageOf[mod.Package.Path.String()]
	if !judged && !strings.HasPrefix(mod.Package.Path.String()+".", "data.strata.lib.") {
		d := l.diags.Warnf("policy-package", s.File, nil, "package %s is never evaluated", strings.TrimPrefix(mod.Package.Path.String(), "data."))
		d.Range.Start = position(mod.Package.Location)
		d.Remedy = "use package strata.model, strata.objects or strata.plan for rules, and strata.lib.NAME for what they share"
	}
	if judged {
		l.attribute(mod, s.File, stage, builtIn)
	}
	if !builtIn {
		l.refuseDenyRefs(mod, s.File)
	}
	l.modules[s.File] = mod
}

// testSuffix ends the names of files that hold unit tests.
const testSuffix = "_test.rego"

func parse(s Source) (*ast.Module, error) {
	return ast.ParseModuleWithOpts(s.File, string(s.Data), ast.ParserOptions{
		ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: capabilities(),
	})
}

// attribute gives every deny and warn rule of the module a name of its own, so
// that each can be evaluated, and its results attributed, by itself.
func (l *loader) attribute(mod *ast.Module, file string, stage Stage, builtIn bool) {
	seen := map[string]int{}
	for _, r := range mod.Rules {
		name, _, _ := strings.Cut(r.Head.Ref().String(), "[")
		if name != "deny" && name != "warn" {
			continue
		}
		if r.Head.RuleKind() != ast.MultiValue || r.Else != nil || len(r.Head.Ref()) > 1 {
			d := l.diags.Errorf("policy-rule", file, nil, "%s must be a partial set: write `%s contains msg if { ... }`", name, name)
			d.Range.Start = position(r.Location)
			continue
		}
		seen[name]++
		rule := &Rule{
			Severity: Medium, Layer: model.LayerSecurity, Stage: stage, Warn: name == "warn", BuiltIn: builtIn,
			File: file, Line: r.Location.Row, index: len(l.rules),
		}
		rule.ID = strings.TrimSuffix(path.Base(strings.TrimPrefix(file, builtInPrefix)), ".rego") + "-" + name
		if n := seen[name]; n > 1 {
			rule.ID += "-" + strconv.Itoa(n)
		}
		if n := len(r.Annotations); n > 0 {
			for _, wrong := range rule.annotate(r.Annotations[n-1]) {
				d := l.diags.Errorf("policy-metadata", file, nil, "%s", wrong)
				d.Range.Start = position(r.Annotations[n-1].Location)
			}
		}
		if len(rule.Kinds) == 0 && stage == StageObjects {
			rule.Kinds = kindsOf(r.Body)
		}
		if i := slices.IndexFunc(l.rules, func(o *Rule) bool { return o.ID == rule.ID }); i >= 0 {
			d := l.diags.Errorf("policy-duplicate", file, nil, "rule %q is defined already, in %s:%d", rule.ID, l.rules[i].File, l.rules[i].Line)
			d.Range.Start = position(r.Location)
			continue
		}
		rule.name = ast.Var(fmt.Sprintf("strata_rule_%d", rule.index))
		r.Head.Name = rule.name
		r.Head.Reference = ast.Ref{ast.NewTerm(rule.name)}
		l.rules = append(l.rules, rule)
	}
}

// kindsOf finds `input.kind == "X"` in a rule's body, the way in which policies
// written for other tools say what they judge.
func kindsOf(body ast.Body) []string {
	for _, e := range body {
		if e.Negated || len(e.With) > 0 || !e.IsEquality() && !e.IsCall() {
			continue
		}
		if op := e.Operator().String(); op != "eq" && op != "equal" && op != "assign" || len(e.Operands()) != 2 {
			continue
		}
		a, b := e.Operand(0), e.Operand(1)
		if s, ok := a.Value.(ast.String); ok && b.String() == "input.kind" {
			return []string{string(s)}
		}
		if s, ok := b.Value.(ast.String); ok && a.String() == "input.kind" {
			return []string{string(s)}
		}
	}
	return nil
}

// refuseDenyRefs reports rules that read deny or warn: after attribution they
// would read nothing, silently.
func (l *loader) refuseDenyRefs(mod *ast.Module, file string) {
	judged := stageOf[mod.Package.Path.String()] != ""
	report := func(t *ast.Term) {
		d := l.diags.Errorf("policy-rule", file, nil, "%s can only be read by tests", t)
		d.Range.Start = position(t.Location)
		d.Remedy = "move the condition that both rules need into a rule of another name"
	}
	for _, r := range mod.Rules {
		ast.WalkRefs(r.Body, func(ref ast.Ref) bool {
			s := ref.String()
			for pkg := range stageOf {
				if strings.HasPrefix(s+".", pkg+".deny.") || strings.HasPrefix(s+".", pkg+".warn.") {
					report(&ast.Term{Value: ref, Location: ref[0].Location})
				}
			}
			return false
		})
		if judged {
			ast.WalkTerms(r.Body, func(t *ast.Term) bool {
				if v, ok := t.Value.(ast.Var); ok && (v == "deny" || v == "warn") {
					report(t)
				}
				return false
			})
		}
	}
}

// newCompiler returns a compiler whose rules cannot reach the network, the
// clock, the process or randomness: judging the same input twice must give the
// same findings, and a repository is not trusted with the machine.
func newCompiler() *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(capabilities()).WithDefaultRegoVersion(ast.RegoV1).WithEnablePrintStatements(false)
}

var capabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.AllowNet = []string{}
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		if b.Nondeterministic {
			return true
		}
		switch b.Name {
		// Remote schemas, and the clock behind a token's validity.
		case "json.match_schema", "json.verify_schema", "io.jwt.decode_verify", "opa.runtime", "trace":
			return true
		}
		for _, prefix := range []string{"http.", "net.lookup", "providers.", "rand.", "uuid."} {
			if strings.HasPrefix(b.Name, prefix) {
				return true
			}
		}
		return false
	})
	return c
})

func (l *loader) astErrors(rule, file string, err error) {
	var list ast.Errors
	if !errors.As(err, &list) {
		l.diags.Errorf(rule, file, nil, "%v", err)
		return
	}
	for _, e := range list {
		d := l.diags.Errorf(rule, file, nil, "%s", e.Message)
		if e.Location != nil {
			if e.Location.File != "" {
				d.File = e.Location.File
			}
			d.Range.Start = position(e.Location)
		}
		if e.Details != nil {
			d.Detail = strings.Join(e.Details.Lines(), "\n")
		}
	}
}

func position(loc *ast.Location) diag.Pos {
	if loc == nil {
		return diag.Pos{}
	}
	return diag.Pos{Line: loc.Row, Column: loc.Col}
}
