package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// errForeign says that an object is there that the unit did not make.
var errForeign = errors.New("it is there already, and this unit did not make it")

// saved is what a saved plan holds.
type saved struct {
	Items []*item  `json:"items"`
	Prune []object `json:"prune,omitempty"`
}

// Plan implements engine.Runner: it asks the API server what applying the unit's
// objects would make of them.
func (r *Runner) Plan(ctx context.Context, t engine.Task) (*engine.Planned, error) {
	c, err := r.client(t)
	if err != nil {
		return nil, err
	}
	if t.Operation == plan.Destroy {
		return r.planDestroy(ctx, t, c)
	}
	items, err := desired(t)
	if err != nil {
		return nil, fail(t, "plan", engine.CauseConfig, err, "")
	}
	var have []object
	values := secrets{}
	if c != nil {
		if have, err = r.inventory(ctx, c, t.Unit.Addr); err != nil {
			return nil, failed(t, "plan", "", err)
		}
		if values, err = known(ctx, c, items); err != nil {
			return nil, failed(t, "plan", "", err)
		}
	}
	fill(items, values)
	stamp(items, values)
	out := &engine.Planned{}
	for _, it := range items {
		ch, err := r.difference(ctx, t, c, it)
		if err != nil {
			return nil, failed(t, "plan", it.key(), err)
		}
		if ch != nil {
			add(out, *ch)
			it.Action = ch.Action
		}
	}
	gone := without(have, items)
	for _, o := range gone {
		add(out, plan.Change{Address: cluster.Name(o.empty()), Type: o.Kind, Action: plan.Delete, Reason: "the description does not have it any more"})
	}
	out.Idle = len(out.Changes) == 0
	if t.Provisional() || t.Operation == plan.Drift {
		return out, nil
	}
	return out, r.save(t, out, saved{Items: items, Prune: gone})
}

// planDestroy lists what a unit has.
func (r *Runner) planDestroy(ctx context.Context, t engine.Task, c *cluster.Client) (*engine.Planned, error) {
	out := &engine.Planned{}
	var have []object
	if c != nil {
		var err error
		if have, err = r.inventory(ctx, c, t.Unit.Addr); err != nil {
			return nil, failed(t, "plan", "", err)
		}
	}
	for _, o := range have {
		add(out, plan.Change{Address: cluster.Name(o.empty()), Type: o.Kind, Action: plan.Delete})
	}
	out.Idle = len(have) == 0
	return out, r.save(t, out, saved{Prune: have})
}

// save writes a saved plan without the values of secrets.
func (r *Runner) save(t engine.Task, out *engine.Planned, s saved) error {
	empty(s.Items)
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	out.Saved = filepath.Join(r.cfg.Saved, strings.ReplaceAll(t.Unit.Addr.Name, "/", "_")+".objects.json")
	if err := os.WriteFile(out.Saved, b, 0o600); err != nil {
		return fail(t, "plan", engine.CauseDisk, err, "Run the same command again once the cause is gone.")
	}
	return nil
}

func add(out *engine.Planned, c plan.Change) {
	switch c.Action {
	case plan.Create:
		out.Counts.Create++
	case plan.Update:
		out.Counts.Update++
	case plan.Replace:
		out.Counts.Replace++
	case plan.Delete:
		out.Counts.Delete++
	}
	out.Changes = append(out.Changes, c)
}

// known reads the secrets that items need. Those that are not there are left out.
func known(ctx context.Context, c *cluster.Client, items []*item) (secrets, error) {
	out := secrets{}
	for path := range paths(items) {
		value, version, ok, err := cluster.ReadSecret(ctx, c, path)
		if err != nil {
			return nil, fmt.Errorf("read the secret %s: %w", path, err)
		}
		if ok {
			out[path] = secretValue{value, version}
		}
	}
	return out, nil
}

// difference says what applying an item would change; nil when that is nothing.
func (r *Runner) difference(ctx context.Context, t engine.Task, c *cluster.Client, it *item) (*plan.Change, error) {
	ch := &plan.Change{Address: it.key(), Type: it.Object.GetKind(), Action: plan.Create}
	drift := t.Operation == plan.Drift
	var live *unstructured.Unstructured
	if c != nil {
		var err error
		if live, err = c.Get(ctx, it.Object); err != nil {
			return nil, err
		}
	}
	if live == nil {
		if drift {
			ch.Action = plan.Delete
			return ch, nil
		}
		if err := possible(ctx, c, it); err != nil {
			return nil, err
		}
		ch.Attributes, _ = plan.Diff(values(nil, it.Object, it), plan.DiffOptions{Create: true, Declared: map[string]bool{"data": true}})
		return ch, nil
	}
	if !r.ours(t, live) {
		return nil, foreign(live)
	}
	next, err := c.Apply(ctx, it.Object, cluster.ApplyOptions{DryRun: true})
	if apierrors.IsConflict(err) {
		ch.Reason = conflict(err)
		it.Force = true
		next, err = c.Apply(ctx, it.Object, cluster.ApplyOptions{DryRun: true, Force: true})
	}
	switch {
	case err != nil && immutable(err) && replaceable(it.Object.GetKind()):
		ch.Action, ch.Reason, next = plan.Replace, "fields that cannot be changed in place", it.Object
	case err != nil:
		return nil, err
	default:
		ch.Action = plan.Update
	}
	before, after := live, next
	if drift {
		before, after = next, live
	}
	ch.Attributes, _ = plan.Diff(values(before, after, it), plan.DiffOptions{})
	if len(ch.Attributes) == 0 && ch.Action == plan.Update {
		it.Force = false
		return nil, nil
	}
	return ch, nil
}

// possible asks the API server whether it would take a new object. What it cannot say
// yet, since a namespace or a definition comes with the same plan, counts as possible.
func possible(ctx context.Context, c *cluster.Client, it *item) error {
	if c == nil {
		return nil
	}
	_, err := c.Apply(ctx, it.Object, cluster.ApplyOptions{DryRun: true, Force: true})
	if err == nil || apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	return err
}

// ours reports whether a unit has made an object: one of this platform, since another
// may have an environment of the same name in the same cluster.
func (r *Runner) ours(t engine.Task, live *unstructured.Unstructured) bool {
	return live.GetAnnotations()[kube.AnnotationUnit] == t.Unit.Addr.String() && live.GetLabels()[kube.LabelPlatform] == r.cfg.Platform
}

// foreign says whose an object is.
func foreign(live *unstructured.Unstructured) error {
	if unit := live.GetAnnotations()[kube.AnnotationUnit]; unit != "" {
		return fmt.Errorf("%w: it belongs to %s of the platform %s", errForeign, unit, live.GetLabels()[kube.LabelPlatform])
	}
	for _, m := range live.GetManagedFields() {
		return fmt.Errorf("%w: %s made it", errForeign, m.Manager)
	}
	return errForeign
}

// conflict says in a line who else manages which fields.
func conflict(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return err.Error()
	}
	var parts []string
	for _, cause := range status.Status().Details.Causes {
		parts = append(parts, strings.TrimPrefix(cause.Message, "conflict with ")+" at "+cause.Field)
	}
	if len(parts) == 0 {
		return err.Error()
	}
	return "fields are taken back from " + strings.Join(parts, ", ")
}

// immutable reports whether an error says that a field cannot be changed.
func immutable(err error) bool {
	text := err.Error()
	return apierrors.IsInvalid(err) && (strings.Contains(text, "immutable") || strings.Contains(text, "Forbidden: updates to") || strings.Contains(text, "may not be changed"))
}

// replaceable reports whether an object may be deleted and made anew without losing
// anything. A claim is its data, and a namespace is everything in it.
func replaceable(kind string) bool { return kind != "PersistentVolumeClaim" && kind != "Namespace" }

// values are an object before and after, without what the API server adds to every
// object, and with what must not be shown.
func values(before, after *unstructured.Unstructured, it *item) plan.Values {
	v := plan.Values{After: plain(after)}
	if before != nil {
		v.Before = plain(before)
	}
	if it.Unknown != nil {
		v.Unknown = it.Unknown
	}
	if it.Object.GetKind() == "Secret" {
		hidden := map[string]any{"data": true, "stringData": true}
		v.BeforeSensitive, v.AfterSensitive = hidden, hidden
	}
	return v
}

// plain returns the parts of an object that say what it should be.
func plain(u *unstructured.Unstructured) map[string]any {
	m := u.DeepCopy().Object
	delete(m, "status")
	if md, ok := m["metadata"].(map[string]any); ok {
		for _, k := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"} {
			delete(md, k)
		}
		if a, ok := md["annotations"].(map[string]any); ok {
			delete(a, "deployment.kubernetes.io/revision")
		}
	}
	return m
}

// encode is how the JSON of a Secret holds a value.
func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
