package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/runner/tofu"
	"github.com/stratahq/strata/internal/store"
)

// founding are the units that must be there before any state can be kept, in order.
var founding = []string{"account", "state"}

func (a *app) bootstrapCommand() *cobra.Command {
	var f engineFlags
	var yes bool
	var approved string
	cmd := &cobra.Command{
		Use:   "bootstrap ENV",
		Short: "Create where an environment keeps its state, and move that state there",
		Long: `Bootstrap applies an environment's account and state units with their own state in
a local file, because there is no bucket yet, and then moves that state into the
bucket. It is run once for each environment. A bootstrap that was cut off is gone on
with by running it again.

The key that encrypts the state is known only when it is there. Bootstrap says what
to write into spec.state.kmsKey, and moves the state when it is run again. In an environment
that asks for approvals it writes a plan, which --plan carries out once approved.

Exit codes: 0 everything is in place, 1 error, 2 the key has to be written down.`,
		Example: "  strata bootstrap dev\n  strata bootstrap prod --plan prod.plan",
		Args:    cobra.ExactArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.registerBase(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&approved, "plan", "", "approved plan that bootstrap wrote before")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		return a.bootstrap(c.Context(), args[0], f, approved, yes)
	}
	return cmd
}

func (a *app) bootstrap(ctx context.Context, env string, f engineFlags, approved string, yes bool) error {
	f.phase = foundingPhase
	units, err := a.found(ctx, env, f, approved, yes)
	if err != nil || len(units) == 0 {
		return err
	}
	f.phase = movingPhase
	for _, u := range units {
		if err := a.move(ctx, u, f); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "%s keeps its state where environments/%s.yaml says. Go on with: %s plan %s\n", env, env, a.self(), env)
	return nil
}

// found applies what must be there first, and returns the units whose state is still
// in a local file.
func (a *app) found(ctx context.Context, env string, f engineFlags, approved string, yes bool) (_ []addr.Unit, err error) {
	s, err := a.open(ctx, env, &f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	rows, err := s.store.Units(ctx, env)
	if err != nil {
		return nil, err
	}
	var local []addr.Unit
	for _, name := range founding {
		u := addr.Unit{Env: env, Name: name}
		if unit, ok := s.target.Compiled.Graph.Unit(u); !ok || unit.Existing {
			continue
		}
		if file := s.work.founding(name); !moved(rows, u, file) {
			local = append(local, u)
			f.selected.Units = append(f.selected.Units, name)
		}
	}
	if len(local) == 0 {
		fmt.Fprintf(a.stdout, "There is nothing to bootstrap in %s: what its state needs is there.\n", env)
		return nil, nil
	}
	if approved != "" {
		file, err := plan.Open(approved)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if file.Plan.Environment != env || file.Plan.Offline != f.offline {
			return nil, fmt.Errorf("%s is no plan to bootstrap %s", approved, env)
		}
		err = a.carryOut(ctx, s, file, "text", a.self()+" bootstrap "+env+" --plan "+approved)
		if err != nil {
			return nil, err
		}
	} else if err := a.applyOpen(ctx, s, plan.Apply, &f, yes, "text"); err != nil {
		return nil, err
	}
	if f.offline {
		return local, nil
	}
	return local, a.keyWritten(ctx, s, env)
}

// moved reports whether a unit was applied and its state is no longer in a local file.
func moved(rows []store.Unit, u addr.Unit, file string) bool {
	if _, err := os.Stat(file); err == nil {
		return false
	}
	for _, r := range rows {
		if r.Addr == u {
			return true
		}
	}
	return false
}

// keyWritten wants the key that the state unit made in the environment's file.
func (a *app) keyWritten(ctx context.Context, s *session, env string) error {
	rows, err := s.store.Units(ctx, env)
	if err != nil {
		return err
	}
	e := s.target.Compiled.Environment()
	for _, r := range rows {
		var key string
		if r.Addr.Name != "state" || json.Unmarshal(r.Outputs["kms_key"], &key) != nil || key == e.Spec.State.KMSKey {
			continue
		}
		fmt.Fprintf(a.stdout, "\nThe bucket of %s is there. Write its key into %s, then run %s bootstrap %s again:\n\n  spec:\n    state:\n      kmsKey: %s\n", env, e.Source.File, a.self(), env, key)
		return exitError{ExitFindings}
	}
	return nil
}

// move takes the state of a unit from the local file to where it belongs.
func (a *app) move(ctx context.Context, u addr.Unit, f engineFlags) error {
	w, err := a.workspace(u.Env, f.offline)
	if err != nil {
		return err
	}
	from := w.founding(u.Name)
	err = a.maintain(ctx, u, &f, "state-moved", map[string]any{"offline": f.offline}, func(r *tofu.Lazy, t engine.Task) error {
		return r.Move(ctx, t, from)
	})
	if err != nil {
		return err
	}
	for _, file := range []string{from, from + ".backup"} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
