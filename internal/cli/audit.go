package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/store"
	"github.com/stratahq/strata/internal/store/sqlstore"
)

// storeFlags are the flags of commands that read what is on record.
type storeFlags struct {
	offline bool
	store   string
}

func (f *storeFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.offline, "offline", false, "what is on record of stand-ins, in .strata/offline")
	f.registerStore(cmd)
}

func (f *storeFlags) registerStore(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.store, "store", os.Getenv("STRATA_STORE"), "where runs and outputs are kept (default .strata/strata.db; STRATA_STORE)")
}

// records opens what is on record and closes it after f.
func (a *app) records(ctx context.Context, f *storeFlags, use func(store.Store) error) (err error) {
	url := f.store
	if url == "" || f.offline {
		w, err := a.workspace("", f.offline)
		if err != nil {
			return err
		}
		url = w.store()
	}
	s, err := sqlstore.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return use(s)
}

func (a *app) auditCommand() *cobra.Command {
	var f storeFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "audit [ENV]",
		Short: "Show who did what, and verify that nobody changed the record",
		Long: `Audit shows the trail of runs, approvals and unlocks. Every line holds the hash
of the one before, so that a changed, removed or added line is noticed: audit
verify reads all of it, and the journal of every run.`,
		Example: "  strata audit prod\n  strata audit verify",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.register(cmd)
	cmd.Flags().IntVarP(&limit, "limit", "n", 50, "number of lines")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		env := ""
		if len(args) > 0 {
			env = args[0]
		}
		return a.records(c.Context(), &f, func(s store.Store) error {
			list, err := s.AuditLog(c.Context(), env, limit)
			if err != nil {
				return err
			}
			if format.value == "json" {
				return a.printJSON(map[string]any{"version": "1", "entries": append([]store.Entry{}, list...)})
			}
			for _, e := range list {
				fmt.Fprintf(a.stdout, "%s  %s  %s  %s  %s\n", e.At.Format(time.DateTime), e.Environment, e.Action, e.Who, e.Subject)
			}
			return nil
		})
	}
	var vf storeFlags
	verify := &cobra.Command{
		Use:     "verify",
		Short:   "Make sure that the audit trail and all journals are as they were written",
		Example: "  strata audit verify",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.records(c.Context(), &vf, func(s store.Store) error {
				n, err := s.VerifyAudit(c.Context())
				if err != nil {
					return fmt.Errorf("the record was tampered with: %w", err)
				}
				const all = 1 << 30
				runs, err := s.Runs(c.Context(), "", all)
				if err != nil {
					return err
				}
				for _, r := range runs {
					if err := s.VerifyRun(c.Context(), r.ID); err != nil {
						return fmt.Errorf("the record was tampered with: run %w", err)
					}
				}
				fmt.Fprintf(a.stdout, "%s of the audit trail and the journals of %s are as they were written.\n", plural(n, "line"), plural(len(runs), "run"))
				return nil
			})
		},
	}
	vf.register(verify)
	cmd.AddCommand(verify)
	return cmd
}
