package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

func (a *app) applyCommand() *cobra.Command {
	return a.changeCommand(plan.Apply, &cobra.Command{
		Use:   "apply ENV | PLAN",
		Short: "Carry out a plan, or plan an environment and carry that out",
		Long: `Apply carries out a sealed plan in the order of its units' dependencies. Before
anything is changed it makes sure that the plan is what was sealed, that the
description, modules and policy are those it was made from, and that it has the
approvals that the environment asks for.

Given an environment it plans first, shows the plan and asks. An environment that
asks for approvals takes sealed plans only.

A run that was cut off is gone on with by the same command: what is done is not
done again. A unit whose plan would now do more than what was approved pauses the
run.`,
		Example: `  strata apply dev
  strata apply dev --yes --workload checkout
  strata apply prod.plan`,
		Args: cobra.ExactArgs(1),
	})
}

func (a *app) destroyCommand() *cobra.Command {
	return a.changeCommand(plan.Destroy, &cobra.Command{
		Use:   "destroy ENV | PLAN",
		Short: "Destroy what an environment consists of, in reverse order",
		Long: `Destroy plans the destruction of every unit that was applied, those that others
depend on last, shows the plan and asks. A protected environment is refused before
anything is planned: take spec.protected out of its file and apply that first.`,
		Example: `  strata destroy dev
  strata destroy dev --workload catalog`,
		Args: cobra.ExactArgs(1),
	})
}

// changeCommand completes a command that changes things.
func (a *app) changeCommand(op plan.Operation, cmd *cobra.Command) *cobra.Command {
	var f engineFlags
	var yes bool
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
		names, _ := a.completeEnvironments(c, args, text)
		return names, cobra.ShellCompDirectiveDefault
	}
	f.register(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
			return a.applyFile(c.Context(), args[0], &f, format.value)
		}
		return a.applyEnvironment(c.Context(), op, args[0], &f, yes, format.value)
	}
	return cmd
}

// applyFile carries out a plan that was made before.
func (a *app) applyFile(ctx context.Context, name string, f *engineFlags, format string) (err error) {
	file, err := plan.Open(name)
	if err != nil {
		return fmt.Errorf("%w\nNothing was changed", err)
	}
	defer file.Close()
	f.offline = file.Plan.Offline
	s, err := a.open(ctx, file.Plan.Environment, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if file.Plan.Operation == plan.Destroy {
		if err := mayDestroy(s); err != nil {
			return err
		}
	}
	return a.carryOut(ctx, s, file, format, a.self()+" "+string(file.Plan.Operation)+" "+name)
}

// applyEnvironment plans an environment and, if that is wanted, carries it out.
func (a *app) applyEnvironment(ctx context.Context, op plan.Operation, env string, f *engineFlags, yes bool, format string) (err error) {
	s, err := a.open(ctx, env, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if op == plan.Destroy {
		if err := mayDestroy(s); err != nil {
			return err
		}
	}
	return a.applyOpen(ctx, s, op, f, yes, format)
}

// applyOpen plans, shows the plan, asks, and carries it out.
func (a *app) applyOpen(ctx context.Context, s *session, op plan.Operation, f *engineFlags, yes bool, format string) error {
	env := s.work.env
	file, err := a.preview(ctx, s, engine.PreviewOptions{Operation: op, Select: f.selected}, "")
	if err != nil {
		return err
	}
	defer file.Close()
	if format == "text" {
		if err := a.showPlan(file, planShow{format: format, read: s.check.Repo.Read, passing: file.Plan.Approvals.Required == 0}); err != nil {
			return err
		}
	}
	if file.Plan.Empty() {
		return os.Remove(file.Path())
	}
	if n := file.Plan.Approvals.Required; n > 0 {
		next := "apply " + a.shown(file.Path())
		if f.phase == foundingPhase {
			next = "bootstrap " + env + " --plan " + a.shown(file.Path())
		}
		fmt.Fprintf(a.stderr, "\n%s asks for %s. Nothing was changed. Have them given, then carry the plan out:\n  %s approve %s\n  %s %s\n",
			env, plural(n, "approval"), a.self(), a.shown(file.Path()), a.self(), next)
		return exitError{ExitFindings}
	}
	if !yes {
		ok, err := a.ask(fmt.Sprintf("%s %s?", map[plan.Operation]string{plan.Apply: "Apply this to", plan.Destroy: "Destroy all of this in"}[op], env))
		if err != nil {
			return err
		}
		if !ok {
			fmt.Fprintln(a.stderr, "Nothing was changed.")
			return exitError{ExitError}
		}
	}
	return a.carryOut(ctx, s, file, format, a.self()+" "+string(op)+" "+a.shown(file.Path()))
}

// ask wants a yes on the terminal.
func (a *app) ask(question string) (bool, error) {
	if f, ok := a.stdin.(*os.File); !ok || !isTerminal(f) {
		return false, errors.New("there is no terminal to ask on; --yes goes ahead without asking")
	}
	fmt.Fprintf(a.stderr, "\n%s Type yes: ", question)
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil {
		return false, nil //nolint:nilerr // no answer is a no
	}
	return strings.TrimSpace(line) == "yes", nil
}

func mayDestroy(s *session) error {
	e := s.target.Compiled.Environment()
	if !e.Spec.Protected {
		return nil
	}
	return fmt.Errorf("%s is protected: nothing in it is destroyed. Take spec.protected out of %s, apply that, and destroy then", e.Metadata.Name, e.Source.File)
}

// carryOut makes sure that a plan may be carried out, and does it.
func (a *app) carryOut(ctx context.Context, s *session, file *plan.File, format, again string) error {
	if err := a.valid(s, file); err != nil {
		return err
	}
	o, err := a.runSealed(ctx, s, file)
	if o == nil {
		return err
	}
	outputs := a.self() + " output " + file.Plan.Environment
	if file.Plan.Offline {
		outputs += " --offline"
	}
	if format == "json" {
		err = errors.Join(err, view.OutcomeJSON(a.stdout, o))
	} else {
		color, width := terminal(a.stdout)
		err = errors.Join(err, view.Outcome(a.stdout, o, view.RunOptions{Color: color, Width: width, Next: again, Outputs: outputs}))
	}
	switch {
	case err != nil:
		return err
	case len(o.Paused) > 0 && len(o.Failures) == 0:
		return exitError{ExitFindings}
	case !o.OK():
		return exitError{ExitError}
	}
	return nil
}

// runPlan makes sure that a plan may be carried out, and does it.
func (a *app) runPlan(ctx context.Context, s *session, file *plan.File) (*engine.Outcome, error) {
	if err := a.valid(s, file); err != nil {
		return nil, err
	}
	return a.runSealed(ctx, s, file)
}

// runSealed carries a plan out that is known to be valid.
func (a *app) runSealed(ctx context.Context, s *session, file *plan.File) (o *engine.Outcome, err error) {
	sealed := engine.Sealed{
		Plan: file.Plan, Seal: string(file.Seal),
		Saved: func(u addr.Unit) (string, error) {
			p, _ := file.Plan.Unit(u)
			return blob(file, p, s.tmp)
		},
	}
	err = a.watch(s, view.ProgressOptions{Total: todo(file.Plan)}, func() (err error) {
		o, err = s.engine.Run(ctx, s.target, sealed)
		return err
	})
	return o, err
}

// todo counts the units that a plan changes.
func todo(p *plan.Plan) int {
	n := 0
	for _, u := range p.Units {
		if u.Status == plan.Changes || u.Status == plan.Record {
			n++
		}
	}
	return n
}

// valid refuses a plan that is not what it was when it was sealed, that policy
// denies, or that lacks approvals.
func (a *app) valid(s *session, file *plan.File) error {
	now, err := s.target.Digests()
	if err != nil {
		return err
	}
	now.Findings = file.Plan.Digests.Findings
	if diff := file.Plan.Differs(now); len(diff) > 0 {
		var b strings.Builder
		for _, d := range diff {
			b.WriteString(d.String() + "\n")
		}
		return fmt.Errorf("%sNothing was changed. Plan again: %s plan %s", b.String(), a.self(), file.Plan.Environment)
	}
	if file.Plan.Denied() {
		return fmt.Errorf("policy denies this plan: %s show %s says why. Nothing was changed", a.self(), a.shown(file.Path()))
	}
	verdict := plan.Check(file, s.check.Model.Platform.Spec.People, requirementOf(s.check, file.Plan.Environment), a.today())
	if verdict.OK() {
		return nil
	}
	var b strings.Builder
	for _, r := range verdict.Missing {
		b.WriteString(r.Text + "\n")
	}
	return fmt.Errorf("%sNothing was changed. Approve it: %s approve %s", b.String(), a.self(), a.shown(file.Path()))
}
