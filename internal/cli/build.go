package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/output"
)

func (a *app) buildCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "build ENV [ENV...]",
		Short: "Render OpenTofu roots and Kubernetes objects into out/ENV",
		Long: `Build compiles environments and writes what they consist of:

  out/ENV/stacks/<unit>/main.tf.json    an OpenTofu root for each unit
  out/ENV/objects/<unit>.yaml           Kubernetes objects, in apply order

out/ENV is replaced as a whole or not at all: after an error, a full disk or a
kill it is what it was. Files that did not change are not touched, so the folder
can be committed or handed to Argo CD or Flux. Strata owns the folder; it keeps
only what OpenTofu leaves beside a root.

Build refuses a description with errors. Policy findings do not stop it.`,
		Example: "  strata build prod\n  strata build dev staging prod --out rendered",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.Flags().StringVar(&dir, "out", "", "folder to write into (default: out in the repository)")
	out := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		r, err := check.Load(c.Context(), a.dir)
		if err != nil {
			return err
		}
		defer r.Close()
		names, err := environments(r.Model, args)
		if err != nil {
			return err
		}
		if r.Diagnostics.HasErrors() {
			return a.showErrors(r)
		}
		if dir == "" {
			dir = filepath.Join(a.dir, "out")
		}
		type built struct {
			Environment string        `json:"environment"`
			Dir         string        `json:"dir"`
			Objects     int           `json:"objects"`
			Report      output.Report `json:"report"`
		}
		var all []built
		objects := 0
		for _, env := range names {
			start := time.Now()
			compiled, err := r.Compile(env)
			if err != nil {
				return err
			}
			items := compiled.Items()
			target := filepath.Join(dir, env)
			cache := check.CacheFile(a.dir, "build-"+cacheKey(target)+".json")
			report, err := output.Write(c.Context(), target, cache, items)
			if err != nil {
				return fmt.Errorf("build %s: %w", env, err)
			}
			objects += report.Files
			all = append(all, built{env, target, report.Files, report})
			if out.value == "text" {
				fmt.Fprintf(a.stdout, "%s: %d units, %d files in %s: %d written, %d removed, %d as before (%s)\n", env, report.Items, report.Files, target,
					report.Written, report.Removed, report.Files-report.Written, time.Since(start).Round(time.Millisecond))
			}
		}
		if out.value == "json" {
			return json.NewEncoder(a.stdout).Encode(map[string]any{"version": "1", "environments": all, "objects": objects})
		}
		return nil
	}
	return cmd
}
