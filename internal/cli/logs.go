package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/cluster"
)

// followTail is how many lines of each container are shown before those that come.
const followTail = 20

func (a *app) logsCommand() *cobra.Command {
	var f targetFlags
	var o cluster.LogOptions
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [ENV] WORKLOAD",
		Short: "Show what a workload, or a database, writes to its logs",
		Long: `Logs shows the logs of all pods and containers of a workload, in the order in which
lines were written. With more than one of them each line says whose it is.

` + workloadRule + `

With --follow it goes on until Ctrl-C, across restarts of containers and new pods.`,
		Example: `  strata logs checkout
  strata logs local checkout --follow --since 10m
  strata logs local checkout -c migrate --previous
  strata logs local --unit workloads/checkout/db --tail 50
  strata logs local checkout -o json | jq .log`,
		Args: targetArgs(&f),
	}
	cmd.DisableFlagsInUseLine = true
	cmd.ValidArgsFunction = a.completeTarget
	a.registerTarget(cmd, &f)
	fl := cmd.Flags()
	fl.BoolVarP(&follow, "follow", "f", false, "go on with lines as they are written, until Ctrl-C")
	fl.BoolVarP(&o.Previous, "previous", "p", false, "what containers wrote before they were started again")
	fl.DurationVar(&o.Since, "since", 0, "only lines that are not older, such as 10m")
	fl.Int64VarP(&o.Tail, "tail", "n", -1, fmt.Sprintf("only so many lines of each container (default: all; %d with --follow)", followTail))
	cmd.MarkFlagsMutuallyExclusive("follow", "previous")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		if follow && !fl.Changed("tail") && o.Since == 0 {
			o.Tail = followTail
		}
		o.Container = f.container
		return a.logs(c.Context(), args, f, o, follow, format.value)
	}
	return cmd
}

// targetArgs wants [ENV] WORKLOAD, or [ENV] with --unit.
func targetArgs(f *targetFlags) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if f.unit != "" {
			return cobra.MaximumNArgs(1)(c, args)
		}
		if len(args) == 0 {
			return errors.New("name a workload: " + c.UseLine())
		}
		return cobra.MaximumNArgs(2)(c, args)
	}
}

func (a *app) logs(ctx context.Context, args []string, f targetFlags, o cluster.LogOptions, follow bool, format string) (err error) {
	t, err := a.target(ctx, args, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	color, _ := terminal(a.stdout)
	out := view.NewLogs(a.stdout, view.LogsOptions{JSON: format == "json", Color: color, Clean: isTerminal(a.stdout), Unit: t.unit})
	pods := t.pods()
	out.Expect(pods, o.Container)
	if follow {
		said := ""
		err := t.client.Follow(ctx, t.look, o, out.Line, func(problem string) {
			if problem != said && problem != "" {
				fmt.Fprintln(a.stderr, "strata: "+problem+"; trying again")
			}
			said = problem
		})
		return errors.Join(ending(ctx, err), out.Err())
	}
	lines, err := t.client.Logs(ctx, pods, o)
	if err != nil {
		return err
	}
	for _, l := range lines {
		out.Line(l)
	}
	if len(lines) == 0 {
		a.silent(t, o)
	}
	return out.Err()
}

// silent says why there is nothing to show.
func (a *app) silent(t *target, o cluster.LogOptions) {
	env := t.env.Metadata.Name
	switch {
	case o.Previous:
		fmt.Fprintf(a.stderr, "No container of %s was started again.\n", t.name())
	case len(t.pods()) == 0:
		fmt.Fprintf(a.stderr, "%s has no pods; %s status %s says why.\n", t.name(), a.self(), env)
	case o.Since > 0:
		fmt.Fprintf(a.stderr, "%s has written nothing since %s.\n", t.name(), a.today().Add(-o.Since).Format(time.TimeOnly))
	default:
		fmt.Fprintf(a.stderr, "%s has written nothing yet.\n", t.name())
	}
}

// ending makes the end of a command that goes on until Ctrl-C no error.
func ending(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
