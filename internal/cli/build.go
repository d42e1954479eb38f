package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/compile"
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
  out/ENV/modules/                      the modules that are used

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
			// A repository must not be able to send what is written elsewhere.
			if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
				return fmt.Errorf("%s is no folder (%s); if that is meant, name where it leads with --out", dir, info.Mode().Type())
			}
		}
		type built struct {
			Environment string        `json:"environment"`
			Dir         string        `json:"dir"`
			Report      output.Report `json:"report"`
		}
		var all []built
		files := 0
		for _, env := range names {
			start := time.Now()
			target := filepath.Join(dir, env)
			report, err := a.buildOne(c.Context(), r, env, target)
			if err != nil {
				return fmt.Errorf("build %s: %w", env, err)
			}
			files += report.Files
			all = append(all, built{env, target, report})
			if out.value == "text" {
				fmt.Fprintf(a.stdout, "%s: %d units, %d files in %s: %d written, %d removed, %d as before (%s)\n", env, report.Items, report.Files, target,
					report.Written, report.Removed, report.Files-report.Written, time.Since(start).Round(time.Millisecond))
			}
		}
		if out.value == "json" {
			return a.printJSON(map[string]any{"version": "1", "environments": all, "files": files})
		}
		return nil
	}
	return cmd
}

// buildOne renders one environment into target.
func (a *app) buildOne(ctx context.Context, r *check.Result, env, target string) (output.Report, error) {
	compiled, err := r.Compile(env)
	if err != nil {
		return output.Report{}, err
	}
	items := compiled.Items()
	for _, module := range compiled.Modules() {
		item, err := moduleItem(r, module)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a contract of a cloud that has no modules yet
		}
		if err != nil {
			return output.Report{}, err
		}
		items = append(items, item)
	}
	return output.Write(ctx, target, check.CacheFile(a.dir, "build-"+cacheKey(target)+".json"), items)
}

// moduleItem copies a module into the tree, so that the rendered roots stand by
// themselves.
func moduleItem(r *check.Result, module string) (output.Item, error) {
	content, err := moduleContent(r, module)
	if err != nil {
		return output.Item{}, err
	}
	h := sha256.New()
	var files []output.File
	for _, name := range slices.Sorted(maps.Keys(content)) {
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(content[name]))
		h.Write(content[name])
		files = append(files, output.File{Path: path.Join(compile.ModulePath(module), name), Content: content[name]})
	}
	return output.Item{
		Key: "module:" + module, Digest: hex.EncodeToString(h.Sum(nil)),
		Render: func() ([]output.File, error) { return files, nil },
	}, nil
}
