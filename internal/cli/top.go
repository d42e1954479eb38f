package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/node"
)

func (a *app) topCommand() *cobra.Command {
	var watch, components bool
	var order string
	cmd := &cobra.Command{
		Use:   "top [ENV]",
		Short: "Show what workloads use of processor and memory, and the node itself",
		Long: `Top shows what the pods of each unit use together, beside what they request and may
use at most: the bar is full at the limit, and the mark in it is the request. The
cluster measures every 15 seconds.

With --components it shows the processes of the node on this machine instead, those of
Kubernetes and those of pods. Memory is each process's share (PSS): what several
processes have in common is divided between them, so that the sum is what the
environment costs. It needs the rights that the node has. Processor time is measured
over a second.

` + envRule,
		Example: "  strata top\n  strata top local --sort cpu --watch\n  strata top local --components",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it until Ctrl-C")
	cmd.Flags().BoolVar(&components, "components", false, "what the node's own processes use")
	cmd.Flags().StringVar(&order, "sort", view.TopOrders[0], fmt.Sprintf("order: %v", view.TopOrders))
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(view.TopOrders, cobra.ShellCompDirectiveNoFileComp))
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) (err error) {
		if err := format.check(); err != nil {
			return err
		}
		if !slices.Contains(view.TopOrders, order) {
			return fmt.Errorf("unknown order %q; known: %v", order, view.TopOrders)
		}
		t, err := a.cluster(c.Context(), args)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.close()) }()
		look := t.usage
		if components {
			if t.node == nil {
				return fmt.Errorf("%s has no node on this machine, so its components are somebody else's", t.env.Metadata.Name)
			}
			look = newComponents(t).usage
		}
		show := func(ctx context.Context, w io.Writer) error {
			top, err := look(ctx)
			if err != nil {
				return err
			}
			top.Sort(order)
			if format.value == "json" {
				return top.JSON(w)
			}
			color, width := terminal(a.stdout)
			return top.Human(w, view.TopOptions{Color: color, Width: width})
		}
		if !watch {
			return ending(c.Context(), show(c.Context(), a.stdout))
		}
		return a.screen(c.Context(), func(ctx context.Context) (string, string, error) {
			var b bytes.Buffer
			err := show(ctx, &b)
			return b.String(), b.String(), err
		})
	}
	return cmd
}

// usage says what the pods of each unit use.
func (c *clusterOf) usage(ctx context.Context) (*view.Top, error) {
	env := c.env.Metadata.Name
	all, err := c.client.Controllers(ctx, cluster.Selector(c.check.Model.Platform.Metadata.Name, env))
	if err != nil {
		return nil, err
	}
	uses, err := c.client.PodUsage(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[string]*view.TopRow{}
	top := &view.Top{Environment: env}
	for _, l := range all {
		u, err := addr.ParseUnit(l.Unit)
		if err != nil || len(l.Pods) == 0 {
			continue
		}
		row := rows[u.Name]
		if row == nil {
			row = &view.TopRow{Name: u.Name}
			rows[u.Name] = row
		}
		for _, p := range l.Pods {
			if p.Status.Phase == corev1.PodRunning {
				row.Pods++
				used, ok := uses[p.Namespace+"/"+p.Name]
				row.Add(used, ok, cluster.Requests(p), cluster.Limits(p))
			}
		}
	}
	for _, row := range rows {
		if row.Pods > 0 {
			top.Rows = append(top.Rows, *row)
		}
	}
	return top, nil
}

// components measures the processes of a node.
type components struct {
	*clusterOf
	last map[int]time.Duration // processor time, by process
	at   time.Time
}

func newComponents(c *clusterOf) *components { return &components{clusterOf: c} }

// usage says what the node's processes use. The first time it takes a second, in which
// processor time is measured.
func (c *components) usage(ctx context.Context) (*view.Top, error) {
	if c.last == nil {
		if _, err := c.measure(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	before, since := c.last, c.at
	list, err := c.measure()
	if err != nil {
		return nil, err
	}
	pods, err := c.podNames(ctx)
	if err != nil {
		return nil, err
	}
	top := &view.Top{Environment: c.env.Metadata.Name, Components: true}
	rows := map[string]*view.TopRow{}
	var names []string
	for _, p := range list {
		name := p.Component
		if name == "" {
			name = "pod " + p.Pod
			if known, ok := pods[p.Pod]; ok {
				name = "pod " + known
			}
		}
		row := rows[name]
		if row == nil {
			row = &view.TopRow{Name: name, OfPod: p.Component == "", Measured: true}
			rows[name] = row
			names = append(names, name)
		}
		row.Pods++
		var cpu int64
		if was, ok := before[p.PID]; ok {
			cpu = int64(float64(p.CPU-was) / float64(c.at.Sub(since)) * 1000)
		}
		row.Uses.Add(cluster.Usage{CPU: cpu, Memory: p.PSS})
	}
	for _, n := range names {
		top.Rows = append(top.Rows, *rows[n])
	}
	return top, nil
}

func (c *components) measure() ([]node.Process, error) {
	list, err := node.Processes(c.node.Dir)
	if err != nil {
		return nil, err
	}
	c.last, c.at = map[int]time.Duration{}, time.Now()
	for _, p := range list {
		c.last[p.PID] = p.CPU
	}
	return list, nil
}

// podNames returns the names of pods by their UID; of those whose unit is known, the
// unit's, without what tells pods of one apart.
func (c *components) podNames(ctx context.Context) (map[string]string, error) {
	list, err := c.client.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range list.Items {
		p := &list.Items[i]
		out[string(p.UID)] = p.Namespace + "/" + p.Name
	}
	all, err := c.client.Controllers(ctx, cluster.Selector(c.check.Model.Platform.Metadata.Name, c.env.Metadata.Name))
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		if u, err := addr.ParseUnit(l.Unit); err == nil {
			for _, p := range l.Pods {
				out[string(p.UID)] = u.Name
			}
		}
	}
	return out, nil
}
