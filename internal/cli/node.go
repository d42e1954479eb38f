package cli

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/node"
)

// nodeCommand is what a local environment's node consists of: nobody types it.
func (a *app) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Hidden: true, Short: "Processes of the node of a local environment"}
	var dir string
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "folder of the node")
	log := func() *slog.Logger { return slog.New(slog.NewTextHandler(a.stderr, nil)) }
	cmd.AddCommand(
		&cobra.Command{Use: "run", Short: "Keep the node running", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			return node.Run(c.Context(), dir, log())
		}},
		&cobra.Command{Use: "init", Short: "Process 1 of the node", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			return node.Init(c.Context(), dir, log())
		}},
		&cobra.Command{Use: "agent", Short: "Volumes, network policies and routes", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			return node.Agent(c.Context(), dir, log())
		}},
		&cobra.Command{Use: "cni", Short: "CNI plugin that announces pods to the agent", Args: cobra.NoArgs, SilenceErrors: true, RunE: func(*cobra.Command, []string) error {
			return node.CNI(dir, a.stdin, a.stdout, os.Getenv)
		}},
	)
	return cmd
}
