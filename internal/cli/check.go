package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

func (a *app) checkCommand() *cobra.Command {
	var envs []string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the repository",
		Long: `Check decodes every file strictly, validates them against each other, compiles
every environment and judges the result against policy. It needs no network, no
credentials and no cluster, and it writes nothing.

Exit codes: 0 nothing found, 1 errors in the description, 2 policy findings.`,
		Example: `  strata check
  strata check --env prod
  strata check -o sarif > strata.sarif    for code scanning`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringSliceVarP(&envs, "env", "e", nil, "judge only these environments (default: all)")
	_ = cmd.RegisterFlagCompletionFunc("env", a.completeEnvironments)
	out := formatFlag(cmd, "text", "json", "sarif")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		r, err := check.Load(c.Context(), a.dir)
		if err != nil {
			return err
		}
		defer r.Close()
		var judged check.Judged
		names := r.Model.EnvironmentNames()
		if !r.Diagnostics.HasErrors() {
			if names, err = environments(r.Model, envs); err != nil {
				return err
			}
			if judged, err = r.Judge(c.Context(), a.today(), names...); err != nil {
				return err
			}
		}
		r.Diagnostics = append(r.Diagnostics, judged.Diagnostics...).Sorted()
		return a.showCheck(r, judged, len(names), out.value)
	}
	return cmd
}

// environments returns the named environments, or all.
func environments(m *model.Repository, names []string) ([]string, error) {
	all := m.EnvironmentNames()
	if len(names) == 0 {
		return all, nil
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, unknownEnvironment(n, all)
		}
	}
	return names, nil
}

// showErrors prints, on standard error, what keeps a command from working.
func (a *app) showErrors(r *check.Result) error {
	color, width := terminal(a.stderr)
	report := view.Report{Diagnostics: r.Diagnostics, Environments: len(r.Model.Environments), Workloads: len(r.Model.Workloads)}
	if err := report.Human(a.stderr, r.Repo.Read, diag.HumanOptions{Color: color, Width: width}); err != nil {
		return fmt.Errorf("print the errors: %w", err)
	}
	return exitError{ExitError}
}

// showCheck prints a check and returns the exit code as an error.
func (a *app) showCheck(r *check.Result, judged check.Judged, environments int, format string) error {
	report := view.Report{
		Diagnostics: r.Diagnostics, Findings: judged.Findings,
		Environments: environments, Workloads: len(r.Model.Workloads),
		Units: judged.Units, Objects: judged.Objects, Version: a.version, Rules: check.Rules,
	}
	var err error
	switch format {
	case "json":
		err = report.JSON(a.stdout)
	case "sarif":
		err = report.SARIF(a.stdout)
	default:
		color, width := terminal(a.stdout)
		err = report.Human(a.stdout, r.Repo.Read, diag.HumanOptions{Color: color, Width: width})
	}
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	switch {
	case r.Diagnostics.HasErrors():
		return exitError{ExitError}
	case report.Open() > 0:
		return exitError{ExitFindings}
	}
	return nil
}
