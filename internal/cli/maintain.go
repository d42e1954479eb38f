package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/runner/tofu"
	"github.com/stratahq/strata/internal/store"
)

func (a *app) unlockCommand() *cobra.Command {
	var f engineFlags
	var state, id string
	var yes bool
	cmd := &cobra.Command{
		Use:   "unlock ENV",
		Short: "Remove the lock that a run left behind",
		Long: `Unlock removes an environment's lock when the process that holds it is gone. The
lock of a process that is alive on this machine is never removed: stop the process
instead. Who unlocked what is written into the audit trail.

With --state it removes the lock that OpenTofu left on the state of one unit. Its
id is in the message that says that the state is locked.`,
		Example: "  strata unlock prod\n  strata unlock prod --state network --id 3f1c2b6e-0000-0000-0000-000000000000",
		Args:    cobra.ExactArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.registerBase(cmd)
	cmd.Flags().StringVar(&state, "state", "", "unit whose state is locked")
	cmd.Flags().StringVar(&id, "id", "", "id of the state's lock")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.MarkFlagsRequiredTogether("state", "id")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if state != "" {
			facts := map[string]any{"lock": id, "offline": f.offline}
			unit := addr.Unit{Env: args[0], Name: state}
			err := a.maintain(c.Context(), unit, &f, "state-unlocked", facts, func(r *tofu.Lazy, t engine.Task) error {
				return r.ForceUnlock(c.Context(), t, id)
			})
			if err == nil {
				fmt.Fprintf(a.stdout, "The state of %s is unlocked. Go on with: %s apply %s\n", unit, a.self(), unit.Env)
			}
			return err
		}
		return a.unlock(c.Context(), args[0], &storeFlags{offline: f.offline, store: f.store}, yes)
	}
	return cmd
}

func (a *app) unlock(ctx context.Context, env string, f *storeFlags, yes bool) error {
	return a.records(ctx, f, func(s store.Store) error {
		locks, err := s.Locks(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(locks, func(l store.Lock) bool { return l.Environment == env })
		if i < 0 {
			fmt.Fprintf(a.stdout, "%s is not locked.\n", env)
			return nil
		}
		l := locks[i]
		who, host := a.whoami(ctx)
		alive, known := store.Alive(l, host)
		if alive {
			return fmt.Errorf("%w; process %d is alive on this machine, so the lock stays: let it end, or stop it with kill -INT %d", &store.LockedError{Holder: l}, l.PID, l.PID)
		}
		if !known && !yes {
			fmt.Fprintf(a.stderr, "%s is locked by %s: process %d on %s, which was last seen %s. Whether it is alive cannot be told from here.\n",
				env, l.Owner, l.PID, l.Host, l.Seen.Format("2006-01-02 15:04:05 UTC"))
			ok, err := a.ask("Remove the lock?")
			if err != nil {
				return err
			}
			if !ok {
				fmt.Fprintln(a.stderr, "Nothing was changed.")
				return exitError{ExitError}
			}
		}
		if err := s.Break(ctx, l, who, host); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s is unlocked. The run %s of %s was cut off; %s apply %s goes on with it.\n", env, l.Run, l.Owner, a.self(), env)
		return nil
	})
}

func (a *app) importCommand() *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "import ENV UNIT RESOURCE ID",
		Short: "Take something that is there already into a unit",
		Long: `Import writes an object of the cloud into the state of a unit, so that the next
plan changes it instead of making another. RESOURCE is the address within the
unit's module, as plans show it; ID is what the provider knows the object by.`,
		Example: `  strata import prod network aws_vpc.this vpc-0123456789abcdef0`,
		Args:    cobra.ExactArgs(4),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.registerBase(cmd)
	cmd.RunE = func(c *cobra.Command, args []string) error {
		facts := map[string]any{"resource": args[2], "id": args[3], "offline": f.offline}
		unit := addr.Unit{Env: args[0], Name: args[1]}
		err := a.maintain(c.Context(), unit, &f, "resource-imported", facts, func(r *tofu.Lazy, t engine.Task) error {
			return r.Import(c.Context(), t, args[2], args[3])
		})
		if err == nil {
			fmt.Fprintf(a.stdout, "%s is in %s now. See what that changes: %s plan %s --unit %s\n", args[2], unit, a.self(), unit.Env, unit.Name)
		}
		return err
	}
	return cmd
}

// maintain works on the state of one unit by hand.
func (a *app) maintain(ctx context.Context, unit addr.Unit, f *engineFlags, action string, facts map[string]any, do func(*tofu.Lazy, engine.Task) error) (err error) {
	s, err := a.open(ctx, unit.Env, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r, ok := s.runners[graph.Tofu].(*tofu.Lazy)
	if !ok {
		return errors.New("there is no OpenTofu runner")
	}
	err = a.watch(s, view.ProgressOptions{Quiet: true}, func() error {
		return s.engine.Maintain(ctx, s.target, unit, action, facts, func(t engine.Task) error { return do(r, t) })
	})
	var failed *engine.Failure
	if errors.As(err, &failed) {
		color, width := terminal(a.stderr)
		return errors.Join(view.Failures(a.stderr, []*engine.Failure{failed}, view.RunOptions{Color: color, Width: width}), exitError{ExitError})
	}
	if err != nil {
		return err
	}
	return nil
}
