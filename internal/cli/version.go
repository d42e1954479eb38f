package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Args:    cobra.NoArgs,
		Example: "  strata version\n  strata version -o json",
	}
	out := formatFlag(cmd, "text", "json")
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := out.check(); err != nil {
			return err
		}
		if out.value == "json" {
			return a.printJSON(map[string]string{
				"version": a.version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
			})
		}
		_, err := fmt.Fprintf(a.stdout, "strata %s %s/%s %s\n", a.version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		return err
	}
	return cmd
}
