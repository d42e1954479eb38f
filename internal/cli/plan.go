package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

func (a *app) planCommand() *cobra.Command {
	var f engineFlags
	var out string
	var refresh, destroy, full bool
	cmd := &cobra.Command{
		Use:   "plan ENV",
		Short: "Show what applying an environment would change, and seal that as a plan",
		Long: `Plan compiles an environment, plans every unit that has changed with OpenTofu,
has policy judge the result, and writes a sealed plan. Units whose inputs do not
exist yet are planned with honest unknowns and are planned again when they do.

With --offline stand-ins take the place of the cloud: no network and no
credentials are needed, and what is applied is kept below .strata/offline.

Exit codes: 0 nothing to do, 1 error, 2 there are changes or findings.`,
		Example: `  strata plan prod
  strata plan prod --offline
  strata plan prod --workload checkout --file checkout.plan
  strata plan prod -o json > plan.json`,
		Args: cobra.ExactArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&out, "file", "", "file to write the plan to (default: below .strata/plans)")
	fl.BoolVar(&refresh, "refresh", false, "plan units too that have not changed, to see what others changed")
	fl.BoolVar(&destroy, "destroy", false, "plan the destruction of everything")
	fl.BoolVar(&full, "full", false, "show long values and every resource")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) (err error) {
		if err := format.check(); err != nil {
			return err
		}
		s, err := a.open(c.Context(), args[0], &f)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		op := plan.Apply
		if destroy {
			op = plan.Destroy
		}
		file, err := a.preview(c.Context(), s, engine.PreviewOptions{Operation: op, Select: f.selected, Refresh: refresh}, out)
		if err != nil {
			return err
		}
		defer file.Close()
		// A plan that does nothing is kept only where somebody asked for its file.
		passing := out == "" && file.Plan.Empty()
		if passing {
			if err := os.Remove(file.Path()); err != nil {
				return err
			}
		}
		if err := a.showPlan(file, planShow{passing: passing, format: format.value, read: s.check.Repo.Read, full: full}); err != nil {
			return err
		}
		if !file.Plan.Empty() || file.Plan.Denied() {
			return exitError{ExitFindings}
		}
		return nil
	}
	return cmd
}

// preview makes a sealed plan and returns its file. What fails is printed.
func (a *app) preview(ctx context.Context, s *session, o engine.PreviewOptions, out string) (*plan.File, error) {
	var p *engine.Preview
	err := a.watch(s, view.ProgressOptions{Total: len(s.target.Compiled.Graph.Units), Quiet: true}, func() (err error) {
		p, err = s.engine.Preview(ctx, s.target, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.sealed(s, p, out)
}

// previewWith is preview, but says what it is at to note.
func (a *app) previewWith(ctx context.Context, s *session, o engine.PreviewOptions, note func(string)) (*plan.File, error) {
	done, total := 0, len(s.target.Compiled.Graph.Units)
	s.progress = func(e engine.Event) {
		if e.Type == engine.PlanFinished {
			done++
		}
		note(fmt.Sprintf("%d of %d units, %s", done, total, e.Unit.Name))
	}
	p, err := s.engine.Preview(ctx, s.target, o)
	s.progress = nil
	if err != nil {
		return nil, err
	}
	return a.sealed(s, p, "")
}

// sealed writes a preview into a file. What fails is printed.
func (a *app) sealed(s *session, p *engine.Preview, out string) (*plan.File, error) {
	if len(p.Failures) > 0 {
		color, width := terminal(a.stderr)
		if err := view.Failures(a.stderr, p.Failures, view.RunOptions{Color: color, Width: width}); err != nil {
			return nil, err
		}
		fmt.Fprintf(a.stderr, "\n%s could not be planned, %d not tried. Nothing was changed, and no plan was written.\n", plural(len(p.Failures), "unit"), len(p.Skipped))
		return nil, exitError{ExitError}
	}
	if n := len(p.Left); n > 0 {
		fmt.Fprintf(a.stderr, "%s of Kubernetes objects left out: the cluster gives no kubeconfig to apply them with. %s build %s renders them for whoever deploys to the cluster.\n\n", plural(n, "unit"), a.self(), s.work.env)
	}
	if out == "" {
		stamp := p.Plan.Created.Format("20060102T150405Z")
		out = filepath.Join(s.work.plans(), fmt.Sprintf("%s-%s-%s.plan", s.work.env, stamp, filepath.Base(s.tmp)))
	}
	return seal(p, out)
}

// seal writes a plan with the runners' saved plans into one file.
func seal(p *engine.Preview, out string) (_ *plan.File, err error) {
	w, err := plan.NewWriter(out, p.Plan)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	for i := range p.Plan.Units {
		u := &p.Plan.Units[i]
		file, ok := p.Saved[u.Addr]
		if !ok {
			continue
		}
		in, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		_, err = w.Add(u.Addr, plan.SavedPlan, in)
		if err = errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return plan.Open(out)
}

// planShow says how a plan is printed.
type planShow struct {
	format string
	// read returns files of the repository, for the lines that findings are about.
	read func(string) []byte
	// verdict is what its approvals come to; nil where nobody asked.
	verdict *plan.Verdict
	full    bool
	// passing is a plan that is carried out at once: nobody will need its file.
	passing bool
}

// showPlan prints a plan.
func (a *app) showPlan(f *plan.File, o planShow) error {
	if o.format == "json" {
		return view.PlanJSON(a.stdout, f, o.verdict)
	}
	color, width := terminal(a.stdout)
	opt := view.PlanOptions{Color: color, Width: width, Full: o.full, Read: o.read, Verdict: o.verdict, Program: a.self()}
	if !o.passing {
		opt.File, opt.Seal = a.shown(f.Path()), f.Seal
	}
	return view.Plan(a.stdout, f.Plan, opt)
}

// self is how this program was called: with the repository that it works on.
func (a *app) self() string {
	if a.dir == "" || a.dir == "." {
		return "strata"
	}
	return "strata -C " + view.QuoteFile(a.dir)
}

// shown is a file's name as somebody in the current directory would type it.
func (a *app) shown(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}

// blob writes a saved plan out of a plan's file to where OpenTofu can read it.
func blob(f *plan.File, p *plan.Unit, dir string) (string, error) {
	b, err := f.Blob(p.Addr, plan.SavedPlan)
	if err != nil {
		return "", err
	}
	out, err := os.CreateTemp(dir, "saved-")
	if err != nil {
		return "", err
	}
	_, err = out.Write(b)
	return out.Name(), errors.Join(err, out.Close())
}
