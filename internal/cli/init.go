package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/scaffold"
)

func (a *app) initCommand() *cobra.Command {
	var p scaffold.Platform
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Start a repository: a platform, a local environment and a first workload",
		Long: `Init writes strata.yaml, environments/local.yaml, a first workload and a
.gitignore into DIR (default: the current folder). It overwrites nothing.`,
		Example: "  strata init acme --domain acme.example\n  strata -C acme check",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&p.Name, "name", "", "name of the platform (default: the folder's name)")
	cmd.Flags().StringVar(&p.Domain, "domain", "", "DNS domain of the organisation (default: NAME.example)")
	cmd.Flags().StringVar(&p.Team, "team", "apps", "name of the first team")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir := a.dir
		if len(args) == 1 {
			dir = args[0]
			if !filepath.IsAbs(dir) {
				dir = filepath.Join(a.dir, dir)
			}
		}
		if p.Name == "" {
			abs, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			p.Name = strings.ToLower(filepath.Base(abs))
		}
		if p.Domain == "" {
			p.Domain = p.Name + ".example"
		}
		files, err := scaffold.NewPlatform(dir, p)
		if err != nil {
			return err
		}
		a.wrote(dir, files)
		fmt.Fprintf(a.stdout, "\nNext: strata -C %s check\n", dir)
		return nil
	}
	return cmd
}

func (a *app) wrote(dir string, files []string) {
	for _, f := range files {
		fmt.Fprintln(a.stdout, "wrote "+filepath.Join(dir, f))
	}
}

func (a *app) newCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "new", Short: "Add something to the repository"}
	var w scaffold.Workload
	work := &cobra.Command{
		Use:     "workload NAME",
		Short:   "Add a workload: its Score file, a program and the recipe of its image",
		Example: "  strata new workload orders --team payments --with postgres,amqp\n  strata new workload nightly --port 0 --with schedule",
		Args:    cobra.ExactArgs(1),
	}
	work.Flags().StringVar(&w.Team, "team", "", "team that owns it (default: the only one)")
	work.Flags().IntVar(&w.Port, "port", 8080, "HTTP port that it serves; 0: none")
	work.Flags().StringSliceVar(&w.Resources, "with", nil, "resource types that it needs, separated by commas")
	_ = work.RegisterFlagCompletionFunc("team", func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.complete(c, func(r *model.Repository) []string { return model.SortedKeys(r.Platform.Spec.Teams) })
	})
	work.RunE = func(c *cobra.Command, args []string) error {
		w.Name = args[0]
		if w.Port < 0 || w.Port > 65535 {
			return fmt.Errorf("port %d is not from 0 to 65535", w.Port)
		}
		repo, err := manifest.Open(a.dir)
		if err != nil {
			return err
		}
		defer repo.Close()
		m, _, err := repo.Load(c.Context(), "")
		if err != nil {
			return err
		}
		if m.Platform == nil {
			return fmt.Errorf("strata.yaml has errors; run strata check")
		}
		if err := a.knownTypes(m, w.Resources); err != nil {
			return err
		}
		teams := model.SortedKeys(m.Platform.Spec.Teams)
		if _, ok := m.Platform.Spec.Teams[w.Team]; !ok && (w.Team != "" || len(teams) != 1) {
			return fmt.Errorf("name the team that owns the workload with --team; teams: %s", strings.Join(teams, ", "))
		}
		if w.Team == "" {
			w.Team = teams[0]
		}
		files, err := scaffold.NewWorkload(a.dir, w)
		if err != nil {
			return err
		}
		a.wrote(a.dir, files)
		return nil
	}
	cmd.AddCommand(work)
	return cmd
}
