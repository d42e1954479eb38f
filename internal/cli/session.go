package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/provider/strata"
	"github.com/stratahq/strata/internal/runner/kube"
	"github.com/stratahq/strata/internal/runner/offline"
	"github.com/stratahq/strata/internal/runner/tofu"
	"github.com/stratahq/strata/internal/store"
	"github.com/stratahq/strata/internal/store/sqlstore"
)

// engineFlags are the flags of every command that plans or applies.
type engineFlags struct {
	offline  bool
	store    string
	tofu     string
	tofuEnv  []string
	workers  int
	timeout  time.Duration
	selected engine.Selection
	standIn  []string
	phase    phase
	// note takes what is being done before anything is planned.
	note func(string)
}

// phase says where bootstrap is; any other command works on environments that are
// beyond it.
type phase int

const (
	ordinary      phase = iota
	foundingPhase       // there is nowhere yet to keep state, nor a key
	movingPhase         // states may not be encrypted yet
)

// registerBase registers the flags of commands that work with OpenTofu, and what
// commands that plan have besides.
func (f *engineFlags) registerBase(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.offline, "offline", false, "plan against stand-ins of the cloud: no network, no credentials; state is kept in .strata/offline")
	fl.StringVar(&f.store, "store", os.Getenv("STRATA_STORE"), "where runs and outputs are kept: a file, or a postgres:// URL (default .strata/strata.db; STRATA_STORE)")
	fl.StringVar(&f.tofu, "tofu", "tofu", "OpenTofu executable: tofu, terraform or a path")
	fl.StringSliceVar(&f.tofuEnv, "tofu-env", nil, "variables of the environment to pass on to OpenTofu, such as TF_LOG")
	fl.StringArrayVar(&f.standIn, "stand-in", nil, "further flags for the stand-ins, for tests")
	_ = fl.MarkHidden("stand-in")
}

func (f *engineFlags) register(cmd *cobra.Command) {
	f.registerBase(cmd)
	fl := cmd.Flags()
	fl.IntVar(&f.workers, "parallelism", 0, "units at a time (default: 8 in clouds, one a core offline)")
	fl.DurationVar(&f.timeout, "timeout", 0, "longest time for one unit (default: 30m to plan, 3h to apply)")
	fl.StringSliceVar(&f.selected.Units, "unit", nil, "only these units and what they need")
	fl.StringSliceVar(&f.selected.Layers, "layer", nil, "only the units of these layers and what they need")
	fl.StringSliceVar(&f.selected.Workloads, "workload", nil, "only these workloads' units and what they need")
	_ = cmd.RegisterFlagCompletionFunc("layer", cobra.FixedCompletions(layerNames(), cobra.ShellCompDirectiveNoFileComp))
}

func layerNames() []string {
	out := make([]string, 0, len(model.Layers))
	for _, l := range model.Layers {
		out = append(out, string(l))
	}
	return out
}

// session is an environment that is being worked on.
type session struct {
	check  *check.Result
	target *engine.Target
	engine *engine.Engine
	store  store.Store
	work   workspace
	// runners are the engine's, for what is done by hand.
	runners map[graph.Kind]engine.Runner
	// progress takes the engine's events; nil shows none.
	progress func(engine.Event)
	tmp      string
}

func (s *session) close() error {
	err := os.RemoveAll(s.tmp)
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	return errors.Join(err, s.check.Close())
}

// load reads and checks the repository; what is wrong with it is printed.
func (a *app) load(ctx context.Context, env string) (*check.Result, error) {
	r, err := check.Load(ctx, a.dir)
	if err != nil {
		return nil, err
	}
	if r.Diagnostics.HasErrors() {
		return nil, errors.Join(a.showErrors(r), r.Close())
	}
	if _, err := environments(r.Model, []string{env}); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// open makes everything ready to plan or apply an environment.
func (a *app) open(ctx context.Context, env string, f *engineFlags) (_ *session, err error) {
	r, err := a.load(ctx, env)
	if err != nil {
		return nil, err
	}
	s := &session{check: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.work, err = a.workspace(env, f.offline); err != nil {
		return nil, err
	}
	e, _ := r.Model.Environment(env)
	local := e.Spec.Cloud == model.CloudLocal && !f.offline
	if local {
		if _, err := a.buildWorkloads(ctx, r, e, f.note); err != nil {
			return nil, err
		}
	}
	compiled, err := r.Compile(env)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{s.work.work(), s.work.plans(), filepath.Join(s.work.base, "tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if s.tmp, err = os.MkdirTemp(filepath.Join(s.work.base, "tmp"), env+"-"); err != nil {
		return nil, err
	}
	s.target = &engine.Target{Check: r, Compiled: compiled, Offline: f.offline, Scratch: filepath.Join(s.tmp, "none.tfstate")}
	switch {
	case f.phase == foundingPhase:
		s.target.StateFile = func(u addr.Unit) string { return s.work.founding(u.Name) }
	case f.offline, local && (e.Spec.State == nil || e.Spec.State.Backend == "local"):
		s.target.StateFile = func(u addr.Unit) string { return s.work.state(u.Name) }
	}
	if s.target.Modules, err = s.work.writeModules(r, compiled); err != nil {
		return nil, err
	}
	url := f.store
	if url == "" || f.offline {
		url = s.work.store()
	}
	db, err := sqlstore.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	s.store = db
	if s.runners, err = a.runners(ctx, s, f); err != nil {
		return nil, err
	}
	who, host := a.whoami(ctx)
	workers := f.workers
	if workers <= 0 && !f.offline {
		workers = 8
	}
	s.engine = engine.New(engine.Config{
		Store: s.store, Runners: s.runners, Workers: workers, Who: who, Host: host, Version: a.version,
		Emit: func(e engine.Event) {
			if s.progress != nil {
				s.progress(e)
			}
		},
	})
	return s, nil
}

// runners makes the runners of an environment. OpenTofu is looked for only when
// there is something to do for it.
func (a *app) runners(ctx context.Context, s *session, f *engineFlags) (map[graph.Kind]engine.Runner, error) {
	cfg := tofu.Config{
		Dir: s.work.work(), Saved: s.tmp, Env: tofu.Environ(os.Environ(), f.offline, f.tofuEnv),
		CLIConfig:   filepath.Join(s.work.work(), "tofu.rc"),
		PlanTimeout: f.timeout, ApplyTimeout: f.timeout,
		Adopter: adopters[s.target.Compiled.Environment().Spec.Cloud],
	}
	rc, served, err := a.providers(s, f)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(cfg.CLIConfig, rc, 0o600); err != nil {
		return nil, err
	}
	cfg.Providers, cfg.StandIns = served, f.offline
	secret, err := encryption(s.target.Compiled.Environment(), f.offline || f.phase == foundingPhase)
	if err != nil {
		return nil, err
	}
	secret.Migrating = f.phase == movingPhase
	variables, err := secret.Variable()
	if err != nil {
		return nil, err
	}
	cfg.Env = append(append(cfg.Env, "TF_CLI_CONFIG_FILE="+cfg.CLIConfig), variables...)
	if !f.offline {
		cfg.Lock, cfg.Served = filepath.Join(s.work.work(), ".terraform.lock.hcl"), []string{strata.Source}
	}
	lazy := tofu.NewLazy(cfg, func() (tofu.Binary, error) { return tofu.Find(ctx, f.tofu) })
	out := map[graph.Kind]engine.Runner{graph.Tofu: lazy}
	if f.offline {
		if err := os.MkdirAll(s.work.cluster(), 0o700); err != nil {
			return nil, err
		}
		out[graph.Kube] = offline.New(s.work.cluster(), s.tmp)
		return out, nil
	}
	if e := s.target.Compiled.Environment(); reachable(e) {
		out[graph.Kube] = kube.New(kube.Config{
			Platform: s.check.Model.Platform.Metadata.Name,
			Dir:      s.check.Repo.Dir(), Saved: s.tmp, Timeout: f.timeout, Secrets: e.Spec.Cloud == model.CloudLocal, Images: ensureImages(pushRegistry(e)),
		})
	}
	return out, nil
}

// reachable reports whether Strata applies Kubernetes objects to the environment's
// cluster itself: one of this machine, or one that it has a kubeconfig of.
func reachable(e *model.Environment) bool {
	if !ownCluster(e) {
		return e.Spec.Cloud == model.CloudLocal
	}
	file, _ := e.Spec.Cluster.Existing["kubeconfig"].(string)
	return file != ""
}

// watch shows the engine's events on standard error while f runs.
func (a *app) watch(s *session, opt view.ProgressOptions, f func() error) error {
	color, width := terminal(a.stderr)
	opt.Color, opt.Width, opt.Live = color, width, isTerminal(a.stderr)
	p := view.NewProgress(a.stderr, opt)
	events := make(chan engine.Event)
	stop, stopped := make(chan struct{}), make(chan struct{})
	s.progress = func(e engine.Event) { events <- e }
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case e := <-events:
				p.Event(e)
			case now := <-tick.C:
				p.Draw(now)
			case <-stop:
				p.Close()
				return
			}
		}
	}()
	err := f()
	close(stop)
	<-stopped
	s.progress = nil
	return err
}

// plural is for messages of commands.
func plural(n int, word string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}
