package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/policy"
	"github.com/stratahq/strata/internal/term"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "List the rules, run their tests, judge any plan or object",
	}
	cmd.AddCommand(a.policyListCommand(), a.policyTestCommand(), a.policyEvalCommand())
	return cmd
}

// rules returns the built-in rules and, where there is a repository, its own.
// Mistakes in the repository's Rego are printed and end the command.
func (a *app) rules(ctx context.Context) (*policy.Set, *model.Repository, error) {
	r, err := check.Load(ctx, a.dir)
	if errors.Is(err, manifest.ErrNoRepository) {
		set, list := policy.Load(ctx)
		if list.HasErrors() {
			return nil, nil, fmt.Errorf("the built-in rules do not compile: %s", list[0])
		}
		return set, &model.Repository{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	if r.Policy == nil {
		return nil, nil, a.showErrors(r)
	}
	return r.Policy, r.Model, nil
}

func (a *app) policyListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List the rules",
		Example: "  strata policy ls\n  strata policy ls --layer security\n  strata policy ls -o json",
		Args:    cobra.NoArgs,
	}
	layer := cmd.Flags().String("layer", "", "only rules of this layer")
	out := formatFlag(cmd, "text", "markdown", "json")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		set, _, err := a.rules(c.Context())
		if err != nil {
			return err
		}
		var rules []policy.Rule
		for _, r := range set.Rules() {
			if *layer == "" || string(r.Layer) == *layer {
				rules = append(rules, r)
			}
		}
		switch out.value {
		case "json":
			return a.printJSON(map[string]any{"version": 1, "rules": rules})
		case "markdown":
			fmt.Fprintf(a.stdout, "| rule | judges | layer | severity | what it asks for | controls |\n| --- | --- | --- | --- | --- | --- |\n")
			for _, r := range rules {
				fmt.Fprintf(a.stdout, "| `%s` | %s | %s | %s | %s | %s |\n", r.ID, r.Stage, r.Layer, severity(r), r.Title, strings.Join(r.Controls, "; "))
			}
			return nil
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		_, width := terminal(a.stdout)
		// A narrow terminal gets what fits; a pipe gets everything.
		narrow := isTerminal(a.stdout) && width < 140
		if narrow {
			fmt.Fprintln(w, "RULE\tSEVERITY\tTITLE")
		} else {
			fmt.Fprintln(w, "RULE\tJUDGES\tLAYER\tSEVERITY\tTITLE")
		}
		for _, r := range rules {
			if narrow {
				fmt.Fprintf(w, "%s\t%s\t%s\n", r.ID, r.Severity, cut(term.Clean(r.Title), width-49))
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.ID, r.Stage, r.Layer, severity(r), term.Clean(r.Title))
		}
		return w.Flush()
	}
	return cmd
}

func severity(r policy.Rule) string {
	if r.Warn {
		return string(r.Severity) + " (advice)"
	}
	return string(r.Severity)
}

// cut shortens a title to a number of columns, at least 20.
func cut(s string, columns int) string {
	columns = max(20, columns)
	if r := []rune(s); len(r) > columns {
		return string(r[:columns-1]) + "…"
	}
	return s
}

func (a *app) policyTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Run the unit tests of all rules",
		Long: `Test runs the Rego unit tests (*_test.rego) of the built-in rules and of the
repository's own. A rule wants a test of both outcomes, called
test_<id>_deny... and test_<id>_allow..., with '_' for '-'.`,
		Example: "  strata policy test\n  strata policy test -o json",
		Args:    cobra.NoArgs,
	}
	out := formatFlag(cmd, "text", "json")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "name every test")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		set, _, err := a.rules(c.Context())
		if err != nil {
			return err
		}
		report, err := set.Test(c.Context())
		if err != nil {
			return err
		}
		if out.value == "json" {
			if err := a.printJSON(report); err != nil {
				return err
			}
		} else {
			a.showTests(report, *verbose)
		}
		if !report.Passed() {
			return exitError{ExitError}
		}
		return nil
	}
	return cmd
}

func (a *app) showTests(report policy.TestReport, verbose bool) {
	failed := 0
	for _, t := range report.Results {
		switch {
		case !t.Passed && !t.Skipped:
			failed++
			fmt.Fprintf(a.stdout, "FAIL %s (%s:%d) %s\n", t.Name, t.File, t.Line, t.Error)
		case verbose:
			fmt.Fprintf(a.stdout, "ok   %s\n", t.Name)
		}
	}
	for _, id := range report.Untested() {
		fmt.Fprintf(a.stdout, "rule %s lacks a test of one outcome\n", id)
	}
	fmt.Fprintf(a.stdout, "%d tests, %d failed, %d rules, %d without a test of both outcomes\n", len(report.Results), failed, len(report.Coverage), len(report.Untested()))
}

func (a *app) policyEvalCommand() *cobra.Command {
	var plan, objects, env string
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Judge an OpenTofu plan or Kubernetes objects from anywhere",
		Long: `Eval judges a file by itself: the JSON of an OpenTofu or Terraform plan
(tofu show -json), or Kubernetes YAML of any number of documents. It works
without a repository; in one, the repository's own rules and exceptions apply,
and --env says which environment's facts (cloud, protected) the rules see.

FILE may be - for standard input.

Exit codes: 0 nothing found, 1 error, 2 findings.`,
		Example: `  tofu show -json plan.bin | strata policy eval --plan -
  helm template chart | strata policy eval --objects -
  strata policy eval --objects deploy.yaml --env prod -o json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&plan, "plan", "", "FILE with the JSON of a plan")
	cmd.Flags().StringVar(&objects, "objects", "", "FILE with Kubernetes YAML")
	cmd.Flags().StringVarP(&env, "env", "e", "", "judge as part of this environment")
	_ = cmd.RegisterFlagCompletionFunc("env", a.completeEnvironments)
	cmd.MarkFlagsMutuallyExclusive("plan", "objects")
	cmd.MarkFlagsOneRequired("plan", "objects")
	out := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		set, m, err := a.rules(c.Context())
		if err != nil {
			return err
		}
		var facts *policy.Environment
		if env != "" {
			e, ok := m.Environment(env)
			if !ok {
				return unknownEnvironment(env, m.EnvironmentNames())
			}
			f := policy.EnvironmentOf(e)
			facts = &f
		}
		file := plan + objects
		data, err := a.readFile(file)
		if err != nil {
			return err
		}
		found, err := a.evaluate(c.Context(), set, facts, file, data, plan != "")
		if err != nil {
			return err
		}
		if len(found) > 0 {
			// Exceptions that match nothing here may match elsewhere, so only the
			// findings are marked.
			found = set.Except(found, m.Exceptions, policy.Scope{}, a.today().Format("2006-01-02"))
		}
		return a.showFindings(found, out.value)
	}
	return cmd
}

func (a *app) evaluate(ctx context.Context, set *policy.Set, facts *policy.Environment, file string, data []byte, isPlan bool) ([]policy.Finding, error) {
	if isPlan {
		return set.Plan(ctx, policy.PlanContext{Environment: facts, File: file}, data)
	}
	objs, list := policy.DecodeObjects(data, file)
	if list.HasErrors() {
		color, width := terminal(a.stderr)
		read := func(string) []byte { return data }
		if err := diag.Human(a.stderr, list.Sorted(), read, diag.HumanOptions{Color: color, Width: width}); err != nil {
			return nil, err
		}
		return nil, exitError{ExitError}
	}
	judged := make([]any, len(objs))
	for i, o := range objs {
		judged[i] = o
	}
	return set.Objects(ctx, policy.ObjectContext{Environment: facts, File: file}, judged...)
}

func (a *app) showFindings(found []policy.Finding, format string) error {
	report := view.Report{Findings: found}
	if format == "json" {
		if err := a.printJSON(policy.NewReport(found)); err != nil {
			return err
		}
	} else {
		color, width := terminal(a.stdout)
		view.Findings(a.stdout, found, diag.HumanOptions{Color: color, Width: width})
		fmt.Fprintf(a.stdout, "%d findings\n", report.Open())
	}
	if report.Open() > 0 {
		return exitError{ExitFindings}
	}
	return nil
}

// maxEvalFile bounds what is read for judging, in bytes.
const maxEvalFile = 64 << 20

// readFile reads a file that the user named, or standard input for "-".
func (a *app) readFile(name string) ([]byte, error) {
	var in io.Reader = a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxEvalFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxEvalFile {
		return nil, fmt.Errorf("%s has more than the %d MiB that are read", name, maxEvalFile>>20)
	}
	return data, nil
}
