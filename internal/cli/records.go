package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/store"
	"github.com/stratahq/strata/internal/term"
)

func (a *app) outputCommand() *cobra.Command {
	var f storeFlags
	cmd := &cobra.Command{
		Use:   "output ENV [UNIT[.OUTPUT]]",
		Short: "Show the outputs of what was applied",
		Long: `Output prints the outputs of units as they are on record since they were applied.
One output alone is printed bare, for scripts. Secrets are never here: an output
that is a secret is the place where the environment's store keeps it.`,
		Example: "  strata output prod\n  strata output prod network\n  strata output prod network.vpc_id\n  strata output prod -o json",
		Args:    cobra.RangeArgs(1, 2),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.register(cmd)
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		return a.records(c.Context(), &f, func(s store.Store) error {
			units, err := s.Units(c.Context(), args[0])
			if err != nil {
				return err
			}
			what := ""
			if len(args) > 1 {
				what = args[1]
			}
			return a.showOutputs(args[0], units, what, format.value)
		})
	}
	return cmd
}

func (a *app) showOutputs(env string, units []store.Unit, what, format string) error {
	// Neither names of units nor those of outputs have dots.
	name, output, single := strings.Cut(what, ".")
	if name != "" {
		units = slices.DeleteFunc(units, func(u store.Unit) bool { return u.Addr.Name != name })
		if len(units) == 0 {
			return fmt.Errorf("nothing is on record of %s", addr.Unit{Env: env, Name: name})
		}
	}
	if single {
		v, ok := units[0].Outputs[output]
		if !ok {
			return fmt.Errorf("%s has no output %s; it has %s", units[0].Addr, output, strings.Join(outputNames(units[0]), ", "))
		}
		var text string
		if format == "text" && json.Unmarshal(v, &text) == nil {
			fmt.Fprintln(a.stdout, term.Clean(text))
			return nil
		}
		fmt.Fprintln(a.stdout, string(v))
		return nil
	}
	if format == "json" {
		out := map[string]map[string]json.RawMessage{}
		for _, u := range units {
			out[u.Addr.Name] = u.Outputs
		}
		return a.printJSON(map[string]any{"version": "1", "environment": env, "outputs": out})
	}
	for _, u := range units {
		if len(u.Outputs) == 0 {
			continue
		}
		fmt.Fprintln(a.stdout, u.Addr.Name)
		for _, n := range outputNames(u) {
			fmt.Fprintf(a.stdout, "  %s = %s\n", term.Clean(n), term.Clean(string(u.Outputs[n])))
		}
	}
	return nil
}

func outputNames(u store.Unit) []string {
	out := make([]string, 0, len(u.Outputs))
	for n := range u.Outputs {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (a *app) runsCommand() *cobra.Command {
	var f storeFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "runs [ENV | RUN]",
		Short: "Show what was run, or the journal of one run",
		Long: `Runs lists the applies and destroys of an environment, the newest first: when, by
whom, how it ended. Given the id of a run it prints its journal.`,
		Example: "  strata runs prod\n  strata runs 20260102T030405Z-0a1b2c3d",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.register(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "number of runs")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		what := ""
		if len(args) > 0 {
			what = args[0]
		}
		return a.records(c.Context(), &f, func(s store.Store) error {
			if what != "" {
				if run, err := s.Run(c.Context(), what); err == nil {
					return a.showJournal(c, s, run, format.value)
				}
			}
			runs, err := s.Runs(c.Context(), what, limit)
			if err != nil {
				return err
			}
			if format.value == "json" {
				return a.printJSON(map[string]any{"version": "1", "runs": append([]store.Run{}, runs...)})
			}
			if len(runs) == 0 {
				fmt.Fprintln(a.stdout, "Nothing was run yet.")
			}
			for _, r := range runs {
				a.showRun(r)
			}
			return nil
		})
	}
	return cmd
}

func (a *app) showRun(r store.Run) {
	took := ""
	if !r.Ended.IsZero() {
		took = "  " + r.Ended.Sub(r.Started).Round(100*time.Millisecond).String()
	}
	seal := r.Seal
	if len(seal) > 12 {
		seal = seal[:12]
	}
	fmt.Fprintf(a.stdout, "%s  %s  %s  %s  %s  plan %s%s\n", r.ID, r.Environment, r.Operation, r.Status, r.Who, seal, took)
}

func (a *app) showJournal(c *cobra.Command, s store.Store, r store.Run, format string) error {
	events, err := s.Events(c.Context(), r.ID)
	if err != nil {
		return err
	}
	if format == "json" {
		return a.printJSON(map[string]any{"version": "1", "run": r, "journal": append([]store.Event{}, events...)})
	}
	a.showRun(r)
	if r.Resumes != "" {
		fmt.Fprintf(a.stdout, "  goes on with %s\n", r.Resumes)
	}
	if r.Error != "" {
		fmt.Fprintf(a.stdout, "  %s\n", term.Clean(r.Error))
	}
	for _, e := range events {
		fmt.Fprintf(a.stdout, "  %s  %-13s  %s\n", e.At.Format("15:04:05.000"), e.Type, e.Unit.Name)
	}
	return nil
}
