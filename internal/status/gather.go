package status

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cluster"
	render "github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/runner/kube"
	"github.com/stratahq/strata/internal/store"
)

// Source is what is known of an environment without its cluster.
type Source struct {
	Platform, Cloud string
	Graph           *graph.Graph
	// Rows is what is on record of its units.
	Rows []store.Unit
	// Digest returns what gives the digest that a unit's row would have if it were applied
	// now with these images; empty where that is not known.
	Digest func(Images) (func(graph.Unit) string, error)
	// Cluster is what is known of the cluster beforehand.
	Cluster Cluster
	// Routes are where people reach what.
	Routes []Route
}

// Images are the images that run, by workload and container; those of the control plane
// by the name of its unit, with the proxies' as that of their container.
type Images map[string]map[string]string

// maxExplained bounds the controllers that are looked at closely: one screen shows no
// more, and each costs requests.
const maxExplained = 20

// seen is what a cluster has.
type seen struct {
	inventories map[addr.Unit][]*unstructured.Unstructured
	controllers []*cluster.Controller
	found       []cluster.Found
	why         map[*cluster.Controller][]string
	hopeless    map[*cluster.Controller]bool
}

// Gather asks a cluster how an environment is. Without a client it says what is on
// record.
func Gather(ctx context.Context, s Source, c *cluster.Client) (*Environment, error) {
	if c == nil {
		return build(s, seen{})
	}
	sees, err := look(ctx, s, c)
	if err != nil {
		return nil, err
	}
	if s.Cluster.Version, err = c.Version(); err != nil {
		return nil, err
	}
	s.Cluster.Server = c.REST.Host
	s.Cluster.Access = Running
	return build(s, sees)
}

func look(ctx context.Context, s Source, c *cluster.Client) (seen, error) {
	env := s.Graph.Environment
	out := seen{why: map[*cluster.Controller][]string{}, hopeless: map[*cluster.Controller]bool{}}
	var err error
	if out.inventories, err = kube.Inventories(ctx, c, s.Platform, env); err != nil {
		return out, err
	}
	var kinds []schema.GroupVersionKind
	for _, objs := range out.inventories {
		for _, o := range objs {
			if gvk := o.GroupVersionKind(); !slices.Contains(kinds, gvk) {
				kinds = append(kinds, gvk)
			}
		}
	}
	selector := cluster.Selector(s.Platform, env)
	if out.controllers, err = c.Controllers(ctx, selector); err != nil {
		return out, err
	}
	if out.found, err = c.Survey(ctx, selector, kinds); err != nil {
		return out, err
	}
	for _, l := range out.controllers {
		if l.State().Ready || len(out.why) >= maxExplained {
			continue
		}
		out.why[l], out.hopeless[l] = c.Explain(ctx, l.Object)
	}
	return out, nil
}

// podState is a pod with what is counted of it.
type podState struct {
	*corev1.Pod
	restarts int
}

// key names an object without the version that it is served in.
func key(gvk schema.GroupVersionKind, namespace, name string) string {
	return strings.Join([]string{gvk.Group, gvk.Kind, namespace, name}, "\n")
}

// build puts everything together.
func build(s Source, sees seen) (*Environment, error) {
	e := &Environment{Name: s.Graph.Environment, Platform: s.Platform, Cloud: s.Cloud, Cluster: s.Cluster}
	digest, err := s.Digest(sees.images())
	if err != nil {
		return nil, err
	}
	rows := map[addr.Unit]store.Unit{}
	for _, r := range s.Rows {
		rows[r.Addr] = r
	}
	controllers, found := map[string][]*cluster.Controller{}, map[string][]cluster.Found{}
	for _, l := range sees.controllers {
		controllers[l.Unit] = append(controllers[l.Unit], l)
	}
	for _, f := range sees.found {
		found[f.Unit] = append(found[f.Unit], f)
	}
	for _, g := range s.Graph.Units {
		row, applied := rows[g.Addr]
		delete(rows, g.Addr)
		u := Unit{Addr: g.Addr, Layer: g.Layer, Kind: g.Kind, Contract: g.Contract, State: Ready, Applied: row.Applied}
		if g.Existing {
			u.State = Existing
			e.Units = append(e.Units, u)
			continue
		}
		u.add(controllers[g.Addr.String()], found[g.Addr.String()], sees)
		switch {
		case !applied && len(u.Objects) == 0:
			u.State = NotApplied
		case !applied || row.Status == store.Partial:
			// Its apply was cut off or failed: what is there may be right, but nobody said so.
			if u.State == Ready {
				u.State = Partial
			}
		case e.Cluster.Access == Stopped, e.Cluster.Access != Running && g.Kind == graph.Kube:
			// With its node everything of a local environment stands still, databases too.
			u.State = Unknown
		}
		if d := digest(g); applied && d != "" {
			u.Changed = row.Digest != d
		}
		e.Units = append(e.Units, u)
	}
	for _, row := range s.Rows {
		if _, left := rows[row.Addr]; !left {
			continue
		}
		u := Unit{Addr: row.Addr, Layer: model.Layer(row.Layer), Kind: graph.Kind(row.Kind), Applied: row.Applied}
		u.add(controllers[row.Addr.String()], found[row.Addr.String()], sees)
		u.State = Left
		e.Units = append(e.Units, u)
	}
	ready := map[addr.Unit]bool{}
	for _, u := range e.Units {
		ready[u.Addr] = u.State == Ready
	}
	for _, r := range s.Routes {
		r.Ready = ready[r.Unit]
		e.Routes = append(e.Routes, r)
	}
	return e, nil
}

// add takes what the cluster has of a unit.
func (u *Unit) add(controllers []*cluster.Controller, found []cluster.Found, sees seen) {
	there := map[string]bool{}
	for _, l := range controllers {
		there[key(l.Object.GroupVersionKind(), l.Object.GetNamespace(), l.Object.GetName())] = true
		u.controller(l, sees)
	}
	for _, f := range found {
		there[key(f.GVK, f.Namespace, f.Name)] = true
		o := Object{Kind: f.GVK.Kind, Namespace: f.Namespace, Name: f.Name, Ready: f.State.Ready, Reason: f.State.Reason, Created: f.Created}
		if f.Deleting {
			o.Ready, o.Reason = false, "it is being deleted"
		}
		u.object(o)
	}
	for _, o := range sees.inventories[u.Addr] {
		if !there[key(o.GroupVersionKind(), o.GetNamespace(), o.GetName())] {
			u.object(Object{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Reason: "it is gone: somebody has deleted it"})
		}
	}
}

func (u *Unit) object(o Object) {
	u.Objects = append(u.Objects, o)
	if !o.Ready {
		u.worse(NotReady)
		u.Why = append(u.Why, o.String()+": "+o.Reason)
	}
}

// String is KIND/NAMESPACE/NAME.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// worse makes a unit's state a worse one.
func (u *Unit) worse(s State) {
	if u.State != Failed {
		u.State = s
	}
}

func (u *Unit) controller(l *cluster.Controller, sees seen) {
	state := l.State()
	o := Object{
		Kind: l.Object.GetKind(), Namespace: l.Object.GetNamespace(), Name: l.Object.GetName(),
		Ready: state.Ready, Reason: state.Reason, Created: l.Object.GetCreationTimestamp().Time,
	}
	u.Objects = append(u.Objects, o)
	for _, p := range l.Pods {
		one := cluster.Controller{Pods: []*corev1.Pod{p}}
		n, _ := one.Restarts()
		u.Objects = append(u.Objects, podObject(&podState{p, n}))
	}
	u.Pods += l.Ready()
	u.Wanted += l.Wanted()
	n, last := l.Restarts()
	u.Restarts += n
	if last.After(u.Restarted) {
		u.Restarted = last
	}
	if since := l.Since(); u.Since.IsZero() || since.Before(u.Since) {
		u.Since = since
	}
	if l.Object.GetKind() == "CronJob" {
		u.Schedule, _, _ = unstructured.NestedString(l.Object.Object, "spec", "schedule")
		if e, ok := l.LastRun(); ok {
			u.LastRun = e.At
		}
	}
	if state.Ready {
		return
	}
	if state.Failed || sees.hopeless[l] {
		u.worse(Failed)
	} else {
		u.worse(NotReady)
	}
	why := sees.why[l]
	if len(why) == 0 || l.Object.GetKind() == "CronJob" {
		why = append([]string{o.String() + ": " + state.Reason}, why...)
	}
	u.Why = append(u.Why, why...)
}

// images returns the images that workloads' pods, and those of the control plane, are to
// run.
func (s seen) images() Images {
	out := Images{}
	for _, l := range s.controllers {
		u, err := addr.ParseUnit(l.Unit)
		workload, ok := strings.CutPrefix(u.Name, "workloads/")
		switch {
		case err != nil:
		case ok && !strings.Contains(workload, "/"):
			out[workload] = l.Images()
		case u == addr.Platform(u.Env, "mesh"):
			out[u.Name] = l.Images()
			out[u.Name][config.SidecarName] = l.Object.GetAnnotations()[render.AnnotationImages]
		}
	}
	return out
}
