package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/store/sqlstore"
)

// stopPatience is how long a node is given to stop.
const stopPatience = time.Minute

func (a *app) downCommand() *cobra.Command {
	var f storeFlags
	var purge, yes bool
	cmd := &cobra.Command{
		Use:   "down [ENV]",
		Short: "Stop an environment of this machine; --purge removes it with its data",
		Long: `Down stops the node of a local environment and everything that runs in it. Data
stays: strata up goes on with it.

With --purge the node goes too, with its databases, queues, buckets and secrets,
and nothing of it is left on this machine. Images that were built stay in the cache.`,
		Example: "  strata down\n  strata down local --purge",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.Flags().StringVar(&f.store, "store", os.Getenv("STRATA_STORE"), "where runs and outputs are kept: a file, or a postgres:// URL (default .strata/strata.db; STRATA_STORE)")
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the environment with all its data")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before data is removed")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		return a.down(c.Context(), args, &f, purge, yes)
	}
	return cmd
}

func (a *app) down(ctx context.Context, args []string, f *storeFlags, purge, yes bool) error {
	r, err := check.Load(ctx, a.dir)
	if err != nil {
		return err
	}
	defer r.Close()
	// An environment must be stoppable when something else in the repository is wrong.
	if r.Model.Platform == nil {
		return a.showErrors(r)
	}
	e, err := localEnvironment(r.Model, args)
	if err != nil {
		return err
	}
	env := e.Metadata.Name
	if ownCluster(e) {
		return fmt.Errorf("%s runs in a cluster that Strata did not make, so it is not stopped. %s destroy %s removes what Strata put there", env, a.self(), env)
	}
	dir := nodeDir(r.Model.Platform, env)
	if _, err := node.Load(dir); errors.Is(err, fs.ErrNotExist) && !purge {
		fmt.Fprintf(a.stderr, "%s is not there: nothing to stop.\n", env)
		return nil
	}
	if purge && !yes && isTerminal(a.stderr) {
		ok, err := a.ask(fmt.Sprintf("Remove %s with all its data?", env))
		if err != nil {
			return err
		}
		if !ok {
			fmt.Fprintln(a.stderr, "Nothing was changed.")
			return exitError{ExitError}
		}
	}
	limit, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	st := a.steps("down")
	if !purge {
		return st.do("stop "+env, false, func() (string, error) { return "its data stays", node.Stop(limit, dir) })
	}
	return st.do("remove "+env, false, func() (string, error) { return "", a.purge(limit, r, e, f, dir) })
}

// purge removes a local environment: the node, what is on record of it, and its states.
func (a *app) purge(ctx context.Context, r *check.Result, e *model.Environment, f *storeFlags, dir string) error {
	env := e.Metadata.Name
	w, err := a.workspace(env, false)
	if err != nil {
		return err
	}
	url := f.store
	if url == "" {
		url = w.store()
	}
	db, err := sqlstore.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	who, host := a.whoami(ctx)
	eng := engine.New(engine.Config{Store: db, Who: who, Host: host, Version: a.version})
	return eng.Forget(ctx, env, func() error {
		return errors.Join(node.Purge(ctx, dir), os.RemoveAll(w.states()), os.RemoveAll(w.work()))
	})
}
