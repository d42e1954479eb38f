package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

func (a *app) driftCommand() *cobra.Command {
	var f engineFlags
	var full bool
	cmd := &cobra.Command{
		Use:   "drift ENV",
		Short: "Show what somebody else changed since an environment was applied",
		Long: `Drift compares what was applied with what is there now, unit by unit. It changes
nothing: neither the environment nor what is on record. To put things back, plan
with --refresh and apply that; to keep them, change the description.

Exit codes: 0 nothing differs, 1 error, 2 something differs.`,
		Example: "  strata drift prod\n  strata drift prod --layer networking -o json",
		Args:    cobra.ExactArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.register(cmd)
	cmd.Flags().BoolVar(&full, "full", false, "show long values and every resource")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		return a.drift(c.Context(), args[0], &f, planShow{format: format.value, full: full, passing: true})
	}
	return cmd
}

func (a *app) drift(ctx context.Context, env string, f *engineFlags, show planShow) (err error) {
	s, err := a.open(ctx, env, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var p *engine.Preview
	err = a.watch(s, view.ProgressOptions{Total: len(s.target.Compiled.Graph.Units), Quiet: true}, func() (err error) {
		p, err = s.engine.Preview(ctx, s.target, engine.PreviewOptions{Operation: plan.Drift, Select: f.selected})
		return err
	})
	if err != nil {
		return err
	}
	show.read = s.check.Repo.Read
	if err := a.showPlan(&plan.File{Plan: p.Plan}, show); err != nil {
		return err
	}
	if len(p.Failures) > 0 {
		color, width := terminal(a.stderr)
		err := view.Failures(a.stderr, p.Failures, view.RunOptions{Color: color, Width: width})
		fmt.Fprintf(a.stderr, "\n%s could not be looked at.\n", plural(len(p.Failures), "unit"))
		return errors.Join(err, exitError{ExitError})
	}
	if p.Plan.Counts().Zero() {
		return nil
	}
	if show.format == "text" {
		offline := ""
		if f.offline {
			offline = " --offline"
		}
		fmt.Fprintf(a.stdout, "\nTo put this back: %s plan %s --refresh%s\n", a.self(), env, offline)
	}
	return exitError{ExitFindings}
}
