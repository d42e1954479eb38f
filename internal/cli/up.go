package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/runner/tofu"
)

func (a *app) upCommand() *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "up [ENV]",
		Short: "Run an environment on this machine: build, plan, apply, and say where it is",
		Long: `Up makes a local environment what the description says, whatever it is now: it
starts the node, builds images, plans, applies without asking, waits until everything
is ready and prints the URLs. It is the path of any other environment with the
questions left out: the same compiler, policies, plans, engine and modules.

The node is a real Kubernetes in namespaces of its own, and needs root. With
cluster.existing.kubeconfig in the environment's file another cluster serves instead,
and nothing here needs root.

Run it again after any change: what did not change is not touched.`,
		Example: "  strata up\n  strata up local -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.registerBase(cmd)
	_ = cmd.Flags().MarkHidden("offline")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "longest time for one unit (default: 8m)")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		f.offline = false
		return a.up(c.Context(), args, &f, format.value)
	}
	return cmd
}

func (a *app) up(ctx context.Context, args []string, f *engineFlags, format string) (err error) {
	st := a.steps("up")
	e, platform, err := a.upCheck(ctx, st, args)
	if err != nil {
		return err
	}
	env := e.Metadata.Name
	if f.timeout == 0 {
		f.timeout = 8 * time.Minute // longer than a module waits for a server, so that the module says why
	}
	var started time.Time
	if !ownCluster(e) {
		if started, err = a.upNode(ctx, st, platform, env); err != nil {
			return err
		}
	}
	var s *session
	f.note = st.detail
	err = st.do("build images", false, func() (string, error) {
		s, err = a.open(ctx, env, f)
		return "", err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	changed, err := a.upApply(ctx, st, s)
	if err != nil {
		return err
	}
	if err := a.upReady(ctx, st, s, started, f.timeout); err != nil {
		return err
	}
	return a.upDone(s, changed, time.Since(st.began), format)
}

// upCheck makes sure that the description is right before anything begins.
func (a *app) upCheck(ctx context.Context, st *steps, args []string) (e *model.Environment, p *model.Platform, err error) {
	var r *check.Result
	err = st.do("check the description", false, func() (string, error) {
		if r, err = check.Load(ctx, a.dir); err != nil {
			return "", err
		}
		defer r.Close()
		if r.Diagnostics.HasErrors() {
			return "", a.showErrors(r)
		}
		if e, err = localEnvironment(r.Model, args); err != nil {
			return "", err
		}
		p = r.Model.Platform
		return fmt.Sprintf("%s, %s", e.Metadata.Name, plural(len(r.Model.Workloads), "workload")), nil
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := tofu.Find(ctx, "tofu"); err != nil {
		return nil, nil, err
	}
	return e, p, nil
}

// upNode starts the environment's node if it was there before. A new one is made when
// the cluster is applied, but what this machine lacks for it is said at once. It returns
// when it began to start the node; the zero time where it did not.
func (a *app) upNode(ctx context.Context, st *steps, p *model.Platform, env string) (time.Time, error) {
	dir := nodeDir(p, env)
	cfg, err := node.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, node.Check()
	}
	if err != nil {
		return time.Time{}, err
	}
	if node.Ready(dir) {
		return time.Time{}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return time.Time{}, err
	}
	root, err := filepath.Abs(a.dir)
	if err != nil {
		return time.Time{}, err
	}
	began := time.Now()
	return began, st.do("start the node", false, func() (string, error) {
		_, err := node.Start(ctx, node.Options{Name: cfg.Name, Owner: root, Program: self, Kube: filepath.Join(filepath.Dir(self), "strata-kube")})
		return "", err
	})
}

// upApply plans and applies; it returns how many units were.
func (a *app) upApply(ctx context.Context, st *steps, s *session) (int, error) {
	var file *plan.File
	err := st.do("plan", false, func() (string, error) {
		var err error
		if file, err = a.previewWith(ctx, s, engine.PreviewOptions{Operation: plan.Apply, Live: true}, st.detail); err != nil {
			return "", err
		}
		if file.Plan.Empty() {
			return "nothing to change", nil
		}
		c := file.Plan.Counts()
		return fmt.Sprintf("%s; %d to create, %d to update, %d to replace, %d to delete", plural(todo(file.Plan), "unit"), c.Create, c.Update, c.Replace, c.Delete), nil
	})
	if err != nil {
		return 0, err
	}
	defer file.Close()
	defer os.Remove(file.Path())
	if file.Plan.Denied() {
		if err := a.showPlan(file, planShow{read: s.check.Repo.Read, passing: true}); err != nil {
			return 0, err
		}
		return 0, errors.New("policy denies this plan. Nothing was changed")
	}
	if file.Plan.Empty() {
		return 0, nil
	}
	var o *engine.Outcome
	err = st.do("apply", true, func() (string, error) {
		if o, err = a.runPlan(ctx, s, file); err != nil {
			return "", err
		}
		if !o.OK() {
			color, width := terminal(a.stderr)
			return "", errors.Join(view.Outcome(a.stderr, o, view.RunOptions{Color: color, Width: width, Next: a.self() + " up " + s.work.env}), exitError{ExitError})
		}
		return plural(len(o.Applied), "unit"), nil
	})
	if err != nil {
		return 0, err
	}
	return len(o.Applied), nil
}

// upReady waits until all that runs in the cluster is ready, also what was applied
// before: a node that was started takes a moment to bring everything back.
func (a *app) upReady(ctx context.Context, st *steps, s *session, started time.Time, patience time.Duration) error {
	file, err := a.upKubeconfig(s)
	if err != nil {
		return err
	}
	c, err := cluster.Open(file)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return st.do("wait until all is ready", false, func() (string, error) {
		n, err := c.WaitReady(limit, "app.kubernetes.io/managed-by in (strata, strata-control)", started, st.detail)
		return plural(n, "deployment"), err
	})
}

// upKubeconfig is the file that says how to reach the environment's cluster.
func (a *app) upKubeconfig(s *session) (string, error) {
	if e := s.target.Compiled.Environment(); ownCluster(e) {
		name, _ := e.Spec.Cluster.Existing["kubeconfig"].(string)
		return a.inRepository(name)
	}
	cfg, err := node.Load(nodeDir(s.check.Model.Platform, s.work.env))
	return cfg.Kubeconfig(), err
}

// upResult is what `strata up -o json` prints.
type upResult struct {
	Version     string            `json:"version"`
	Environment string            `json:"environment"`
	Applied     int               `json:"applied"`
	Seconds     float64           `json:"seconds"`
	Kubeconfig  string            `json:"kubeconfig,omitempty"`
	Routes      map[string]string `json:"routes"`
}

// upDone says where everything is.
func (a *app) upDone(s *session, changed int, took time.Duration, format string) error {
	env := s.work.env
	res := upResult{Version: "1", Environment: env, Applied: changed, Seconds: took.Seconds(), Routes: map[string]string{}}
	var http, https int
	if cfg, err := node.Load(nodeDir(s.check.Model.Platform, env)); err == nil {
		http, https, res.Kubeconfig = cfg.HTTP, cfg.HTTPS, cfg.Kubeconfig()
	}
	routes := s.target.Compiled.Routes()
	for _, r := range routes {
		res.Routes[r.Workload+"."+r.Class] = urlOf(r, http, https)
	}
	if format == "json" {
		return a.printJSON(res)
	}
	fmt.Fprintf(a.stdout, "\n%s is up, %s.\n", env, seconds(took))
	for _, r := range routes {
		fmt.Fprintf(a.stdout, "  %-14s %s\n", r.Workload, urlOf(r, http, https))
	}
	if e := s.target.Compiled.Environment(); len(routes) > 0 && e.TLS() == model.TLSPlatformCA {
		fmt.Fprintf(a.stdout, "\n  %s identity ca %s    print the CA of these URLs; --help says how to trust it, once\n", a.self(), env)
	}
	fmt.Fprintf(a.stdout, "\n  %s status %s    how everything is\n  %s down %s      stop it; data stays\n", a.self(), env, a.self(), env)
	return nil
}

// urlOf is the URL of a route on this machine, whose ports for routes these are; zero
// where they are not this machine's.
func urlOf(r compile.Route, http, https int) string {
	port, usual := http, 80
	if strings.HasPrefix(r.URL, "https:") {
		port, usual = https, 443
	}
	if port == 0 || port == usual {
		return r.URL
	}
	return strings.Replace(r.URL, r.Host, net.JoinHostPort(r.Host, strconv.Itoa(port)), 1)
}
