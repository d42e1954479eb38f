package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/policy"
	"github.com/stratahq/strata/internal/provider/mirror"
	"github.com/stratahq/strata/internal/runner/tofu"
	"github.com/stratahq/strata/internal/tfmodule"
)

func (a *app) moduleTestCommand() *cobra.Command {
	var binary, filter string
	cmd := &cobra.Command{
		Use:   "test FOLDER...",
		Short: "Test modules with the real OpenTofu against stand-ins of the cloud",
		Long: `Test needs no network and no credentials. Of each module it makes sure that

  - it is formatted, has the standard structure, and every variable is typed,
    described and validated;
  - it has what its contract promises, and a README that is up to date;
  - tofu validate and its tests (tests/*.tftest.hcl) pass;
  - every example can be planned, and policy finds nothing in it when it is judged
    as part of a protected environment;
  - every example can be applied, and then gives each output of the contract with
    its type.

Exit codes: 0 all is well, 1 error, 2 something is wrong with a module.`,
		Example: "  strata module test modules/*",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&binary, "tofu", "tofu", "OpenTofu executable")
	cmd.Flags().StringVar(&filter, "cloud", model.CloudAWS, "cloud of modules that fulfil no contract")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		k, err := a.moduleContracts(c)
		if err != nil {
			return err
		}
		b, err := tofu.Find(c.Context(), binary)
		if err != nil {
			return err
		}
		rules, list := policy.Load(c.Context())
		if list.HasErrors() {
			return errors.New("the built-in policy does not load")
		}
		wrong := 0
		for _, dir := range args {
			start := time.Now()
			t := moduleTest{app: a, contracts: k, binary: b, rules: rules, dir: dir, cloud: filter}
			if err := t.run(c.Context()); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
			if len(t.found) == 0 {
				fmt.Fprintf(a.stdout, "ok    %s  %s, %s  %.1f s\n", dir, plural(t.tests, "test"), plural(t.examples, "example"), time.Since(start).Seconds())
				continue
			}
			wrong++
			fmt.Fprintf(a.stdout, "WRONG %s\n", dir)
			for _, f := range t.found {
				fmt.Fprintf(a.stdout, "      - %s\n", strings.ReplaceAll(strings.TrimSpace(f), "\n", "\n        "))
			}
		}
		if wrong > 0 {
			fmt.Fprintf(a.stdout, "%d of %s wrong.\n", wrong, plural(len(args), "module"))
			return exitError{ExitFindings}
		}
		return nil
	}
	return cmd
}

// moduleTest is the test of one module.
type moduleTest struct {
	*app
	contracts *contracts
	binary    tofu.Binary
	rules     *policy.Set
	dir       string
	cloud     string

	contract *model.Contract
	tmp      string
	env      []string

	tests, examples int
	found           []string
}

func (t *moduleTest) wrong(format string, args ...any) {
	t.found = append(t.found, fmt.Sprintf(format, args...))
}

func (t *moduleTest) run(ctx context.Context) (err error) {
	m, readme, err := t.contracts.readme(t.dir)
	if err != nil {
		t.wrong("%v", err)
		return nil
	}
	t.found = append(t.found, m.Style()...)
	contract, binding, cloud := t.contracts.of(t.dir)
	if contract != nil {
		t.contract, t.cloud = contract, cloud
		for _, f := range m.Fulfils(t.contracts.catalog, contract, binding) {
			t.wrong("contract %s: %s", contract.Metadata.Name, f)
		}
	}
	if have, err := os.ReadFile(filepath.Join(t.dir, "README.md")); err != nil || string(have) != readme {
		t.wrong("README.md is out of date: strata module docs %s", t.dir)
	}
	if t.tmp, err = os.MkdirTemp("", "strata-module-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.tmp)) }()
	// Where tests write must not be where the module is.
	module := filepath.Join(t.tmp, "module")
	if err := os.CopyFS(module, os.DirFS(t.dir)); err != nil {
		return err
	}
	if err := t.playClouds(module); err != nil {
		return err
	}
	if out, err := t.tofu(ctx, module, "fmt", "-check", "-diff", "-recursive"); err != nil {
		t.wrong("not formatted: tofu fmt -recursive %s\n%s", t.dir, out)
	}
	if !t.ready(ctx, module, "the module") {
		return ctx.Err()
	}
	if err := t.units(ctx, module); err != nil {
		return err
	}
	return t.plans(ctx, module, m)
}

// playClouds lets OpenTofu find the cloud's provider, and others that work there, in this program.
func (t *moduleTest) playClouds(module string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var flags []string
	if fixtures := filepath.Join(module, "fixtures.yaml"); exists(fixtures) {
		flags = append(flags, "--fixtures", fixtures)
	}
	world := filepath.Join(t.tmp, "cloud")
	if err := os.MkdirAll(world, 0o700); err != nil {
		return err
	}
	served, err := t.standIns(self, t.cloud, world, flags)
	if err != nil {
		return err
	}
	if err := mirror.Write(filepath.Join(t.tmp, "mirror"), served); err != nil {
		return err
	}
	sources := make([]string, len(served))
	for i, p := range served {
		sources[i] = p.Source
	}
	rc := filepath.Join(t.tmp, "tofu.rc")
	t.env = append(tofu.Environ(os.Environ(), true, nil), "TF_CLI_CONFIG_FILE="+rc)
	return os.WriteFile(rc, mirror.CLIConfig(filepath.Join(t.tmp, "mirror"), sources, "", false), 0o600)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// tofu runs OpenTofu; its result is all that it printed.
func (t *moduleTest) tofu(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := t.binary.Run(ctx, dir, t.env, args...)
	var failed *tofu.CommandError
	if errors.As(err, &failed) {
		return string(out) + failed.Stderr, err
	}
	return string(out), err
}

// ready initialises and validates a folder.
func (t *moduleTest) ready(ctx context.Context, dir, what string) bool {
	for _, args := range [][]string{{"init", "-input=false", "-no-color"}, {"validate", "-no-color"}} {
		if out, err := t.tofu(ctx, dir, args...); err != nil {
			t.wrong("tofu %s fails on %s:\n%s", args[0], what, out)
			return false
		}
	}
	return true
}

// units runs the module's own tests.
func (t *moduleTest) units(ctx context.Context, module string) error {
	files, err := filepath.Glob(filepath.Join(module, "tests", "*.tftest.hcl"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		t.wrong("it has no tests (tests/*.tftest.hcl)")
		return nil
	}
	out, err := t.tofu(ctx, module, "test", "-no-color")
	if err != nil {
		t.wrong("tofu test fails:\n%s", out)
	}
	t.tests = strings.Count(out, "... pass\n") - strings.Count(out, ".tftest.hcl... pass\n")
	return ctx.Err()
}

// plans plans the examples and has policy judge them.
func (t *moduleTest) plans(ctx context.Context, module string, m *tfmodule.Module) error {
	dirs, err := filepath.Glob(filepath.Join(module, "examples", "*"))
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		t.wrong("it has no example (examples/default/main.tf)")
	}
	for _, dir := range dirs {
		name := "examples/" + filepath.Base(dir)
		t.examples++
		if !t.ready(ctx, dir, name) {
			return ctx.Err()
		}
		saved := filepath.Join(dir, "plan")
		if out, err := t.tofu(ctx, dir, "plan", "-input=false", "-no-color", "-out="+saved); err != nil {
			t.wrong("%s cannot be planned:\n%s", name, out)
			return ctx.Err()
		}
		doc, err := t.binary.Run(ctx, dir, t.env, "show", "-json", saved)
		if err != nil {
			return err
		}
		if err := t.judge(ctx, name, m, doc); err != nil {
			return err
		}
		if err := t.outputs(ctx, dir, name); err != nil {
			return err
		}
	}
	return nil
}

// judge has policy judge the plan of an example as that of a protected environment.
// The checks that the module waives, and says so, do not count.
func (t *moduleTest) judge(ctx context.Context, name string, m *tfmodule.Module, doc json.RawMessage) error {
	facts := policy.PlanContext{
		Environment: &policy.Environment{Name: "example", Cloud: t.cloud, Protected: true}, Unit: addr.Unit{Env: "example", Name: filepath.Base(t.dir)},
	}
	if t.contract != nil {
		facts.Layer, facts.Contract = t.contract.Spec.Layer, t.contract.Metadata.Name
	}
	found, err := t.rules.Plan(ctx, facts, doc)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !slices.ContainsFunc(m.Waivers, func(w tfmodule.Waiver) bool { return w.Check == f.Rule }) {
			t.wrong("%s: policy %s: %s: %s", name, f.Rule, f.Address, f.Message)
		}
	}
	return nil
}
