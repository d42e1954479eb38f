package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/status"
	"github.com/stratahq/strata/internal/store"
)

func (a *app) statusCommand() *cobra.Command {
	var f storeFlags
	var watch, all bool
	cmd := &cobra.Command{
		Use:   "status [ENV]",
		Short: "Show how an environment is: what is ready, what is not and why",
		Long: `Status shows an environment on one screen: its node, what is not well and why, then
the units of each layer and where people reach them. It asks the cluster, and what is
on record of applies; it changes nothing.

` + envRule + `

  ✓ ready   ! not ready   ✗ failed   ‖ an apply that was cut off   + not applied
  - left the description   = was there before   · cannot be asked

A unit is marked as changed when its description is not what was applied; whether the
code of a workload has changed is for strata up to find out.

Exit codes: 0 everything is ready, 1 error, 2 something is not.`,
		Example: "  strata status\n  strata status local --watch\n  strata status local --all\n  strata status local -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	f.registerStore(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it until Ctrl-C, and what becomes of it")
	cmd.Flags().BoolVar(&all, "all", false, "show every object, and every unit of large environments")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		s, err := a.look(c.Context(), args, &f)
		if err != nil {
			return err
		}
		defer s.check.Close()
		if watch {
			return a.screen(c.Context(), func(ctx context.Context) (string, string, error) { return a.statusPage(ctx, s, format.value, all) })
		}
		e, err := s.now(c.Context())
		if err != nil {
			return err
		}
		if err := a.showStatus(e, format.value, all, a.stdout); err != nil {
			return err
		}
		if !e.Well() {
			return exitError{ExitFindings}
		}
		return nil
	}
	return cmd
}

func (a *app) showStatus(e *status.Environment, format string, all bool, w io.Writer) error {
	if format == "json" {
		return view.StatusJSON(w, e)
	}
	color, width := terminal(a.stdout)
	return view.Status(w, e, view.StatusOptions{Color: color, Width: width, All: all, Now: a.today(), Program: a.self()})
}

// statusPage is a page of status --watch.
func (a *app) statusPage(ctx context.Context, s *looking, format string, all bool) (page, version string, err error) {
	e, err := s.now(ctx)
	if err != nil {
		return "", "", err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return "", "", err
	}
	var out bytes.Buffer
	err = a.showStatus(e, format, all, &out)
	return out.String(), string(b), err
}

// looking is an environment whose status is asked for, perhaps again and again.
type looking struct {
	a     *app
	check *check.Result
	env   *model.Environment
	flags *storeFlags
	// compiled is what the description comes to, modules are the digests of its modules.
	compiled *compile.Compiled
	modules  map[string]string
	// digest is of the units with these images.
	digest func(graph.Unit) string
	images status.Images
}

// look reads the description of an environment.
func (a *app) look(ctx context.Context, args []string, f *storeFlags) (*looking, error) {
	r, err := check.Load(ctx, a.dir)
	if err != nil {
		return nil, err
	}
	if r.Diagnostics.HasErrors() || r.Model.Platform == nil {
		return nil, errors.Join(a.showErrors(r), r.Close())
	}
	s := &looking{a: a, check: r, flags: f}
	if len(args) > 0 {
		_, err = environments(r.Model, args)
		s.env, _ = r.Model.Environment(args[0])
	} else {
		s.env, err = localEnvironment(r.Model, nil)
	}
	if err == nil {
		s.compiled, err = r.Compile(s.env.Metadata.Name)
	}
	if err == nil {
		s.modules, err = moduleDigests(r, s.compiled)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return s, nil
}

// now says how the environment is.
func (s *looking) now(ctx context.Context) (*status.Environment, error) {
	about, client, err := s.cluster(ctx)
	if err != nil {
		return nil, err
	}
	env := s.env.Metadata.Name
	source := status.Source{Platform: s.check.Model.Platform.Metadata.Name, Cloud: s.env.Spec.Cloud, Graph: s.compiled.Graph, Cluster: about, Digest: s.digests}
	for _, r := range s.compiled.Routes() {
		source.Routes = append(source.Routes, status.Route{URL: urlOf(r, about.HTTP, about.HTTPS), Unit: addr.Workload(env, r.Workload)})
	}
	if source.Rows, err = s.rows(ctx); err != nil {
		return nil, err
	}
	e, err := status.Gather(ctx, source, client)
	if err != nil && ctx.Err() == nil && cluster.Unreachable(err) {
		source.Cluster = unreachable(about, err)
		return status.Gather(ctx, source, nil)
	}
	return e, err
}

// rows is what is on record of the environment; nothing where no record was begun.
func (s *looking) rows(ctx context.Context) (rows []store.Unit, err error) {
	if s.flags.store == "" {
		file := filepath.Join(s.check.Repo.Dir(), ".strata", "strata.db")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	err = s.a.records(ctx, s.flags, func(db store.Store) (err error) {
		rows, err = db.Units(ctx, s.env.Metadata.Name)
		return err
	})
	return rows, err
}

// digests returns the digests of units, in which those of the images are that run: what
// is built from source has none in the description. That of a workload whose image is
// not known is empty.
func (s *looking) digests(images status.Images) (func(graph.Unit) string, error) {
	if s.digest != nil && reflect.DeepEqual(images, s.images) {
		return s.digest, nil
	}
	compiled, unsure, err := s.with(images)
	if err != nil {
		return nil, err
	}
	t := engine.Target{Modules: s.modules}
	s.images = images
	s.digest = func(u graph.Unit) string {
		with, ok := compiled.Graph.Unit(u.Addr)
		if !ok || unsure[u.Addr] {
			return ""
		}
		return t.UnitDigest(with)
	}
	return s.digest, nil
}

// with compiles a local environment with the images that run, and names the units of which
// one is not known. Elsewhere the release says which images there are.
func (s *looking) with(images status.Images) (*compile.Compiled, map[addr.Unit]bool, error) {
	if s.env.Spec.Cloud != model.CloudLocal {
		return s.compiled, nil, nil
	}
	env := s.env.Metadata.Name
	release := &model.Release{Metadata: model.Metadata{Name: env}, Spec: model.ReleaseSpec{Workloads: map[string]model.WorkloadRelease{}}}
	given, _ := s.check.Model.Release(env)
	mesh := addr.Platform(env, "mesh")
	own := &model.PlatformRelease{Proxy: images[mesh.Name][config.SidecarName], Control: images[mesh.Name][kube.ControlContainer]}
	if given != nil && given.Spec.Platform != nil {
		own = given.Spec.Platform
	}
	unknown := own.Proxy == "" || own.Control == ""
	if !unknown {
		release.Spec.Platform = own
	}
	unsure := map[addr.Unit]bool{mesh: unknown}
	for _, w := range s.check.Model.Workloads {
		name := w.Metadata.Name
		unit := addr.Workload(env, name)
		unsure[unit] = unknown
		all := map[string]string{}
		if given != nil {
			maps.Copy(all, given.Spec.Workloads[name].Images)
		}
		for c := range w.Containers {
			if w.Containers[c].Image == model.BuiltImage && all[c] == "" {
				all[c] = images[name][c]
				unsure[unit] = unsure[unit] || all[c] == ""
			}
		}
		release.Spec.Workloads[name] = model.WorkloadRelease{Images: all}
	}
	repo := *s.check.Model
	repo.Releases = []*model.Release{release}
	compiled, err := compile.Compile(&repo, s.check.Catalog, env)
	return compiled, unsure, err
}

// moduleDigests returns the digest of every module that an environment calls.
func moduleDigests(r *check.Result, c *compile.Compiled) (map[string]string, error) {
	out := map[string]string{}
	for _, module := range c.Modules() {
		files, err := moduleContent(r, module)
		if err != nil {
			return nil, err
		}
		out[module] = contentDigest(files)
	}
	return out, nil
}

func unreachable(c status.Cluster, err error) status.Cluster {
	c.Access, c.Problem = status.Unreachable, err.Error()
	return c
}

// cluster says what is known of the cluster without asking it, and how to ask it where
// that is possible.
func (s *looking) cluster(ctx context.Context) (status.Cluster, *cluster.Client, error) {
	var c status.Cluster
	if s.env.Spec.Cloud == model.CloudLocal && !ownCluster(s.env) {
		dir := nodeDir(s.check.Model.Platform, s.env.Metadata.Name)
		cfg, err := node.Load(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.Access = status.Absent
			return c, nil, nil
		case err != nil:
			return c, nil, err
		}
		c.Node, c.Server, c.HTTP = cfg.Name, cfg.Server(), cfg.HTTP
		if s.compiled.TLS() {
			c.HTTPS = cfg.HTTPS
		}
		if !node.Running(dir) {
			c.Access = status.Stopped
			return c, nil, nil
		}
		c.Since, _ = node.Since(dir)
		client, err := cluster.Open(cfg.Kubeconfig())
		return c, client, err
	}
	file, err := s.a.kubeconfigOf(ctx, &clusterOf{check: s.check, env: s.env})
	if err != nil {
		return unreachable(c, err), nil, nil
	}
	client, err := cluster.Open(file)
	if err != nil {
		return unreachable(c, err), nil, nil
	}
	return c, client, nil
}
