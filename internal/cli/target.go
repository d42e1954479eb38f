package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

// envRule is part of the help of every command that works on what runs.
const envRule = `ENV comes first. It may be left out where exactly one environment is of this machine
(cloud: local).`

// workloadRule goes on with it for commands about one workload.
const workloadRule = envRule + ` WORKLOAD is a workload's name, or the name of any unit that runs pods, such as
workloads/checkout/db; --unit names one too.`

// targetFlags say which pods a command is about.
type targetFlags struct {
	unit, container, pod string
}

func (a *app) registerTarget(cmd *cobra.Command, f *targetFlags) {
	cmd.Flags().StringVar(&f.unit, "unit", "", "a unit that runs pods, instead of WORKLOAD")
	cmd.Flags().StringVarP(&f.container, "container", "c", "", "the container")
	cmd.Flags().StringVar(&f.pod, "pod", "", "the pod")
	_ = cmd.RegisterFlagCompletionFunc("unit", func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.unitNames(c.Context(), args), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("container", func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.complete(c, func(m *model.Repository) []string {
			var out []string
			for _, w := range m.Workloads {
				if slices.Contains(args, w.Metadata.Name) {
					out = append(out, model.SortedKeys(w.Containers)...)
				}
			}
			return out
		})
	})
}

// split takes the environment off the arguments. Of what is left, need are needed; one
// argument more than that is the environment.
func split(args []string, need int) (env, rest []string) {
	if len(args) > need {
		return args[:1], args[1:]
	}
	return nil, args
}

// target is what runs of one unit.
type target struct {
	*clusterOf
	unit        addr.Unit
	controllers []*cluster.Controller
	flags       targetFlags
}

// name is how the target is called in messages, and how one would type it.
func (t *target) name() string { return strings.TrimPrefix(t.unit.Name, "workloads/") }

// target finds what runs of a workload or unit. The caller closes it.
func (a *app) target(ctx context.Context, args []string, f targetFlags) (_ *target, err error) {
	need := 1
	if f.unit != "" {
		need = 0
	}
	env, rest := split(args, need)
	what := f.unit
	if need == 1 {
		what = rest[0]
	}
	c, err := a.cluster(ctx, env)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	t := &target{clusterOf: c, flags: f, unit: unitOf(c.env.Metadata.Name, what)}
	all, err := c.client.Controllers(ctx, cluster.Selector(c.check.Model.Platform.Metadata.Name, c.env.Metadata.Name))
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if l.Unit == t.unit.String() {
			t.controllers = append(t.controllers, l)
		}
	}
	if len(t.controllers) == 0 {
		return nil, a.nothingRuns(c, what, all)
	}
	if pods := t.pods(); f.container != "" && len(pods) > 0 {
		names := cluster.ContainerNames(pods)
		if !slices.Contains(names, f.container) {
			return nil, fmt.Errorf("%s has no container %q; it has: %s", t.name(), f.container, strings.Join(names, ", "))
		}
	}
	return t, nil
}

// unitOf is the unit that somebody means: a workload, or a unit by its full name.
func unitOf(env, what string) addr.Unit {
	family, _, _ := strings.Cut(what, "/")
	switch {
	case !strings.Contains(what, "/"):
		return addr.Workload(env, what)
	case slices.Contains([]string{"workloads", "shared", "platform", "teams"}, family):
		return addr.Unit{Env: env, Name: what}
	}
	return addr.Unit{Env: env, Name: "workloads/" + what} // WORKLOAD/RESOURCE
}

func workloadsOf(m *model.Repository, e *model.Environment) []string {
	var out []string
	for _, w := range m.Workloads {
		if m.Runs(e, w.Metadata.Name) {
			out = append(out, w.Metadata.Name)
		}
	}
	slices.Sort(out)
	return out
}

// nothingRuns says why there is nothing to talk to.
func (a *app) nothingRuns(c *clusterOf, what string, all []*cluster.Controller) error {
	env := c.env.Metadata.Name
	known := workloadsOf(c.check.Model, c.env)
	var running []string
	for _, l := range all {
		if u, err := addr.ParseUnit(l.Unit); err == nil {
			running = append(running, strings.TrimPrefix(u.Name, "workloads/"))
		}
	}
	running = slices.Compact(running)
	name := strings.TrimPrefix(what, "workloads/")
	if e, ok := c.check.Model.Environment(what); ok {
		return fmt.Errorf("%s is an environment: which workload of it? It has: %s", what, strings.Join(workloadsOf(c.check.Model, e), ", "))
	}
	switch near := suggest.Nearest(name, slices.Concat(running, known)); {
	case slices.Contains(known, name):
		return fmt.Errorf("nothing of %s runs in %s: it was not applied yet, or it was removed by hand; %s status %s says which", name, env, a.self(), env)
	case near != "":
		return fmt.Errorf("nothing in %s is called %q; did you mean %q?", env, what, near)
	case len(running) == 0:
		return fmt.Errorf("nothing runs in %s; %s status %s says how it is", env, a.self(), env)
	}
	return fmt.Errorf("nothing in %s is called %q; what runs: %s", env, what, strings.Join(running, ", "))
}

// pods are those that the target has and that its flags allow.
func (t *target) pods() []*corev1.Pod {
	var out []*corev1.Pod
	for _, l := range t.controllers {
		for _, p := range l.Pods {
			if t.flags.pod == "" || p.Name == t.flags.pod {
				out = append(out, p)
			}
		}
	}
	return out
}

// look asks again which pods there are.
func (t *target) look(ctx context.Context) ([]*corev1.Pod, error) {
	for _, l := range t.controllers {
		if err := t.client.Refresh(ctx, l); err != nil {
			return nil, err
		}
	}
	return t.pods(), nil
}

// running returns a pod that can be talked to.
func (t *target) running(ctx context.Context, a *app) (*corev1.Pod, error) {
	pods, err := t.look(ctx)
	if err != nil {
		return nil, err
	}
	if p := cluster.Best(pods); p != nil {
		return p, nil
	}
	env := t.env.Metadata.Name
	switch {
	case t.flags.pod != "":
		return nil, fmt.Errorf("%s has no pod %s that runs; %s status %s --all lists pods", t.name(), t.flags.pod, a.self(), env)
	case t.controllers[0].Object.GetKind() == "CronJob":
		return nil, fmt.Errorf("%s runs at times, and does not run now", t.name())
	}
	return nil, fmt.Errorf("no pod of %s runs; %s status %s says why", t.name(), a.self(), env)
}

// completeTarget completes [ENV] WORKLOAD.
func (a *app) completeTarget(c *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if strings.Contains(text, "/") {
		return a.unitNames(c.Context(), args), cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(c, func(m *model.Repository) []string {
		if len(args) == 1 {
			if e, ok := m.Environment(args[0]); ok {
				return workloadsOf(m, e)
			}
			return nil
		}
		out := m.EnvironmentNames()
		if e, err := localEnvironment(m, nil); err == nil {
			out = append(out, workloadsOf(m, e)...)
		}
		return out
	})
}

// unitNames lists the units that may run pods, for completion.
func (a *app) unitNames(ctx context.Context, args []string) []string {
	r, err := check.Load(ctx, a.dir)
	if err != nil {
		return nil
	}
	defer r.Close()
	if r.Model.Platform == nil || r.Diagnostics.HasErrors() {
		return nil
	}
	e, err := localEnvironment(r.Model, args[:min(len(args), 1)])
	if err != nil {
		return nil
	}
	compiled, err := r.Compile(e.Metadata.Name)
	if err != nil {
		return nil
	}
	var out []string
	for _, u := range compiled.Graph.Units {
		if family, _, _ := strings.Cut(u.Addr.Name, "/"); u.Kind == graph.Tofu && (family == "workloads" || family == "shared") || u.Workload != "" && u.Kind == graph.Kube {
			out = append(out, u.Addr.Name)
		}
	}
	return out
}
