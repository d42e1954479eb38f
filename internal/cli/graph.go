package cli

import (
	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
)

func (a *app) graphCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "graph ENV",
		Short: "Show the units of an environment and what flows between them",
		Long: `Graph compiles an environment and shows its units by layer: what each needs,
and what exists already. In large environments the tree shows the beginning of
each layer; --full shows everything.`,
		Example: "  strata graph prod\n  strata graph prod -o svg > prod.svg\n  strata graph prod -o dot | dot -Tpng > prod.png",
		Args:    cobra.ExactArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.Flags().BoolVar(&full, "full", false, "show every unit of the tree")
	out := formatFlag(cmd, "tree", "dot", "json", "svg")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		r, err := check.Load(c.Context(), a.dir)
		if err != nil {
			return err
		}
		defer r.Close()
		if _, err := environments(r.Model, args); err != nil {
			return err
		}
		if r.Diagnostics.HasErrors() {
			return a.showErrors(r)
		}
		compiled, err := r.Compile(args[0])
		if err != nil {
			return err
		}
		switch out.value {
		case "dot":
			return view.GraphDot(a.stdout, compiled.Graph)
		case "json":
			return view.GraphJSON(a.stdout, compiled.Graph)
		case "svg":
			return view.GraphSVG(a.stdout, compiled.Graph)
		}
		color, width := terminal(a.stdout)
		return view.GraphTree(a.stdout, compiled.Graph, view.TreeOptions{Color: color, Width: width, Full: full})
	}
	return cmd
}
