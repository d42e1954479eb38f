package policy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/stratahq/strata/policies"
)

// TestResult is the outcome of one Rego unit test.
type TestResult struct {
	Name string `json:"name"`
	// Rule is the id of the rule that the test's name names; empty for others.
	Rule   string `json:"rule,omitempty"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Passed bool   `json:"passed"`
	// Skipped tests have a name that begins with "todo_test_".
	Skipped bool    `json:"skipped,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Coverage says which outcomes of a rule have a passing unit test.
type Coverage struct {
	Rule    string `json:"rule"`
	BuiltIn bool   `json:"builtIn"`
	// Deny: a test named test_<rule>_deny... shows what the rule refuses (for
	// warn rules too). Allow: test_<rule>_allow... shows what it accepts.
	Deny  bool `json:"deny"`
	Allow bool `json:"allow"`
}

// TestReport is the outcome of all unit tests.
type TestReport struct {
	Results  []TestResult `json:"results"`
	Coverage []Coverage   `json:"coverage"`
}

// Passed reports whether no test failed.
func (r TestReport) Passed() bool {
	return !slices.ContainsFunc(r.Results, func(t TestResult) bool { return !t.Passed && !t.Skipped })
}

// Untested lists the rules that lack a passing test of either outcome.
func (r TestReport) Untested() []string {
	var out []string
	for _, c := range r.Coverage {
		if !c.Deny || !c.Allow {
			out = append(out, c.Rule)
		}
	}
	return out
}

// Test runs the Rego unit tests of the built-in rules and of the user's, on
// the rules as they are written. A rule's tests are called test_<id>_deny... and
// test_<id>_allow..., with '_' for '-' and in lower case.
func (s *Set) Test(ctx context.Context) (TestReport, error) {
	modules, err := s.asWritten()
	if err != nil {
		return TestReport{}, err
	}
	results, err := tester.NewRunner().
		SetCompiler(newCompiler()).SetModules(modules).SetDefaultRegoVersion(ast.RegoV1).SetParallel(1).
		RunTests(ctx, nil)
	if err != nil {
		return TestReport{}, fmt.Errorf("run policy tests: %w", err)
	}
	var report TestReport
	ids := map[string]*Coverage{}
	for _, r := range s.rules {
		ids[testName(r.ID)] = &Coverage{Rule: r.ID, BuiltIn: r.BuiltIn}
	}
	for r := range results {
		t := TestResult{Name: r.Name, File: r.Location.File, Line: r.Location.Row, Passed: r.Pass(), Skipped: r.Skip, Seconds: r.Duration.Seconds()}
		if r.Error != nil {
			t.Error = r.Error.Error()
		}
		for _, outcome := range []string{"_deny", "_allow"} {
			// The last one, so that a rule's id may hold the word itself.
			i := strings.LastIndex(r.Name, outcome)
			if i < 0 {
				continue
			}
			c := ids[strings.TrimPrefix(r.Name[:i], "test_")]
			if c == nil {
				continue
			}
			t.Rule = c.Rule
			if t.Passed {
				c.Deny = c.Deny || outcome == "_deny"
				c.Allow = c.Allow || outcome == "_allow"
			}
		}
		report.Results = append(report.Results, t)
	}
	if err := ctx.Err(); err != nil {
		return TestReport{}, fmt.Errorf("run policy tests: %w", err)
	}
	slices.SortFunc(report.Results, func(a, b TestResult) int {
		return strings.Compare(fmt.Sprintf("%s:%06d:%s", a.File, a.Line, a.Name), fmt.Sprintf("%s:%06d:%s", b.File, b.Line, b.Name))
	})
	for _, k := range slices.Sorted(maps.Keys(ids)) {
		report.Coverage = append(report.Coverage, *ids[k])
	}
	return report, nil
}

func testName(id string) string { return strings.ToLower(strings.ReplaceAll(id, "-", "_")) }

// asWritten parses all rules and unit tests, built in and the user's, without
// the attribution that judging needs.
func (s *Set) asWritten() (map[string]*ast.Module, error) {
	sources := slices.Clone(s.sources)
	err := fs.WalkDir(policies.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".rego") {
			return err
		}
		data, err := policies.FS.ReadFile(name)
		sources = append(sources, Source{File: builtInPrefix + name, Data: data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the built-in rules: %w", err)
	}
	modules := map[string]*ast.Module{}
	for _, src := range sources {
		m, err := parse(src)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", src.File, err)
		}
		if m != nil {
			modules[src.File] = m
		}
	}
	return modules, nil
}
