package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/plan"
)

func (a *app) showCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "show PLAN",
		Short: "Show a sealed plan and who approved it",
		Long: `Show verifies a plan's file and prints what it would change, what policy says of
it, and what its approvals come to. Nothing is asked of any cloud.

Exit codes: 0 the plan may be applied, 1 error, 2 something stands against it.`,
		Example: "  strata show prod.plan\n  strata show prod.plan --full\n  strata show prod.plan -o json",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&full, "full", false, "show long values and every resource")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		return a.show(c.Context(), args[0], format.value, full)
	}
	return cmd
}

func (a *app) show(ctx context.Context, name, format string, full bool) (err error) {
	file, err := plan.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := a.load(ctx, file.Plan.Environment)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	verdict := plan.Check(file, r.Model.Platform.Spec.People, requirementOf(r, file.Plan.Environment), a.today())
	if err := a.showPlan(file, planShow{format: format, read: r.Repo.Read, verdict: &verdict, full: full}); err != nil {
		return err
	}
	if file.Plan.Denied() || !file.Plan.Empty() && !verdict.OK() {
		return exitError{ExitFindings}
	}
	return nil
}
