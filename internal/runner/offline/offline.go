// Package offline is the runner of kube units where a folder plays the cluster:
// what `strata plan --offline` and the stand-ins use. It plans the difference
// between the rendered objects and those that it applied last, and knows nothing
// of what a real API server would add or refuse. Talking to a real cluster is
// package runner/kube's business.
package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// Runner keeps the objects of each unit in one file. It implements engine.Runner.
type Runner struct {
	dir   string // the cluster
	saved string // saved plans
}

var _ engine.Runner = (*Runner)(nil)

// New returns a runner whose cluster is the folder dir and that writes saved plans
// into the folder saved. Both must exist.
func New(dir, saved string) *Runner { return &Runner{dir: dir, saved: saved} }

// objects are what a unit consists of, by KIND/NAMESPACE/NAME.
type objects map[string]map[string]any

func (r *Runner) file(t engine.Task) string {
	return filepath.Join(r.dir, strings.ReplaceAll(t.Unit.Addr.Name, "/", "_")+".json")
}

func (r *Runner) fail(t engine.Task, stage string, err error) error {
	return &engine.Failure{
		Unit: t.Unit.Addr, Stage: stage, Cause: engine.CauseDisk, Err: err, Problems: []engine.Problem{{Summary: err.Error()}},
		Next: "Run the same command again once the cause is gone.",
	}
}

func (r *Runner) read(t engine.Task) (objects, error) {
	b, err := os.ReadFile(r.file(t))
	if errors.Is(err, os.ErrNotExist) {
		return objects{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := objects{}
	return out, json.Unmarshal(b, &out)
}

// want renders what the unit should consist of. Its second result says which values
// are not known yet.
func want(t engine.Task) (objects, map[string]any, error) {
	list, err := t.Objects()
	if err != nil {
		return nil, nil, err
	}
	out, unknown := objects{}, map[string]any{}
	for _, o := range list {
		b, err := json.Marshal(o)
		if err != nil {
			return nil, nil, err
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, nil, err
		}
		out[key(m)] = m
	}
	bind(t, out, unknown)
	return out, unknown, nil
}

func key(m map[string]any) string {
	meta, _ := m["metadata"].(map[string]any)
	parts := []string{fmt.Sprint(m["kind"])}
	if ns, ok := meta["namespace"].(string); ok && ns != "" {
		parts = append(parts, ns)
	}
	return strings.Join(append(parts, fmt.Sprint(meta["name"])), "/")
}

// bind adds the ConfigMaps that hold outputs of other units. Secret outputs are
// fetched by the cluster and do not pass here.
func bind(t engine.Task, out objects, unknown map[string]any) {
	if t.Operation == plan.Destroy {
		return
	}
	for _, b := range t.Unit.Bindings {
		if b.Kind != "ConfigMap" || b.Ref == nil {
			continue
		}
		k := "ConfigMap/" + b.Namespace + "/" + b.Name
		m := out[k]
		if m == nil {
			m = map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap",
				"metadata": map[string]any{"name": b.Name, "namespace": b.Namespace}, "data": map[string]any{},
			}
			out[k] = m
		}
		data, _ := m["data"].(map[string]any)
		if data == nil {
			data = map[string]any{}
			m["data"] = data
		}
		v, ok := t.Values[b.Ref.Unit.Name+"."+b.Ref.Output]
		if ok {
			data[b.Key] = text(v)
			continue
		}
		u, _ := unknown[k].(map[string]any)
		if u == nil {
			u = map[string]any{"data": map[string]any{}}
			unknown[k] = u
		}
		u["data"].(map[string]any)[b.Key] = true //nolint:forcetypeassert // made above
	}
}

// text is how a ConfigMap holds a value.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// Plan implements engine.Runner.
func (r *Runner) Plan(_ context.Context, t engine.Task) (*engine.Planned, error) {
	have, err := r.read(t)
	if err != nil {
		return nil, r.fail(t, "plan", err)
	}
	next, unknown := objects{}, map[string]any{}
	if t.Operation != plan.Destroy {
		if next, unknown, err = want(t); err != nil {
			return nil, &engine.Failure{Unit: t.Unit.Addr, Stage: "plan", Cause: engine.CauseConfig, Err: err, Problems: []engine.Problem{{Summary: err.Error()}}}
		}
	}
	if t.Operation == plan.Drift {
		// What somebody else made of it.
		have, next, unknown = next, have, nil
	}
	out := &engine.Planned{}
	keys := map[string]bool{}
	for k := range have {
		keys[k] = true
	}
	for k := range next {
		keys[k] = true
	}
	for _, k := range sorted(keys) {
		kind, _, _ := strings.Cut(k, "/")
		c := plan.Change{Address: k, Type: kind}
		before, was := have[k]
		after, is := next[k]
		switch {
		case !is:
			c.Action = plan.Delete
			out.Counts.Delete++
		case !was:
			c.Action = plan.Create
			out.Counts.Create++
			c.Attributes, _ = plan.Diff(plan.Values{After: after, Unknown: unknown[k]}, plan.DiffOptions{Create: true, Declared: map[string]bool{"data": true}})
		default:
			c.Action = plan.Update
			if c.Attributes, _ = plan.Diff(plan.Values{Before: before, After: after, Unknown: unknown[k]}, plan.DiffOptions{}); len(c.Attributes) == 0 {
				continue
			}
			out.Counts.Update++
		}
		out.Changes = append(out.Changes, c)
	}
	out.Idle = len(out.Changes) == 0
	if t.Provisional() || t.Operation == plan.Drift {
		return out, nil
	}
	b, err := json.Marshal(next)
	if err != nil {
		return nil, r.fail(t, "plan", err)
	}
	out.Saved = filepath.Join(r.saved, strings.ReplaceAll(t.Unit.Addr.Name, "/", "_")+".objects.json")
	if err := os.WriteFile(out.Saved, b, 0o600); err != nil {
		return nil, r.fail(t, "plan", err)
	}
	return out, nil
}

func sorted(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Apply implements engine.Runner.
func (r *Runner) Apply(_ context.Context, t engine.Task, saved string) (*engine.Applied, error) {
	planned, err := r.Plan(context.Background(), t)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(saved)
	if err != nil {
		return nil, r.fail(t, "apply", err)
	}
	tmp := r.file(t) + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return nil, r.fail(t, "apply", err)
	}
	if err := os.Rename(tmp, r.file(t)); err != nil {
		return nil, r.fail(t, "apply", err)
	}
	done := &engine.Applied{}
	for _, c := range planned.Changes {
		done.Changed = append(done.Changed, c.Address)
	}
	return done, nil
}

// Recover implements engine.Runner. Applying replaces one file as a whole, so there
// is never anything to look after.
func (r *Runner) Recover(context.Context, engine.Task) ([]string, error) { return nil, nil }

// Done implements engine.Runner.
func (r *Runner) Done(t engine.Task, gone bool) error {
	if !gone {
		return nil
	}
	if err := os.Remove(r.file(t)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r.fail(t, "apply", err)
	}
	return nil
}
