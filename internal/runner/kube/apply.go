package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// applying is one unit that is being applied.
type applying struct {
	*Runner
	t    engine.Task
	c    *cluster.Client
	done []string
}

// Apply implements engine.Runner. Objects are applied in their order; then it waits
// until they are ready, and only then removes what the unit does not have any more.
// When ctx ends it stops between two objects.
func (r *Runner) Apply(ctx context.Context, t engine.Task, file string) (*engine.Applied, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fail(t, "apply", engine.CauseDisk, err, "Plan again.")
	}
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fail(t, "apply", engine.CauseStale, err, "Plan again.")
	}
	c, err := r.client(t)
	if err != nil {
		return nil, err
	}
	a := &applying{Runner: r, t: t, c: c}
	if c == nil {
		if t.Operation == plan.Destroy {
			return &engine.Applied{}, nil // it went with its cluster
		}
		return nil, fail(t, "apply", engine.CauseInput, errors.New("there is no cluster to apply it to"), "Apply the cluster first.")
	}
	if t.Operation == plan.Destroy {
		return a.destroy(ctx, s.Prune)
	}
	if err := a.apply(ctx, s); err != nil {
		return nil, a.failure(err)
	}
	return &engine.Applied{Changed: a.done}, nil
}

// failure completes a failure with what was done.
func (a *applying) failure(err error) error {
	var f *engine.Failure
	if !errors.As(failed(a.t, "apply", "", err), &f) {
		return err
	}
	f.Changed = a.done
	return f
}

func (a *applying) apply(ctx context.Context, s saved) error {
	if a.cfg.Images != nil {
		if err := a.cfg.Images(ctx, a.kubeconfig(a.t), images(s.Items)); err != nil {
			return fail(a.t, "apply", engine.CauseOther, err, "See what it says of the image, then run the same command again.")
		}
	}
	values, err := a.secrets(ctx, s.Items)
	if err != nil {
		return err
	}
	fill(s.Items, values)
	stamp(s.Items, values)
	have, err := a.inventory(ctx, a.c, a.t.Unit.Addr)
	if err != nil {
		return err
	}
	now := make([]object, len(s.Items))
	for i, it := range s.Items {
		now[i] = objectOf(it.Object)
	}
	left := without(have, s.Items)
	// What is about to be made is on record before it is made.
	if err := a.putInventory(ctx, a.c, a.t.Unit.Addr, append(slices.Clone(now), left...)); err != nil {
		return err
	}
	for _, it := range s.Items {
		if it.Action == "" {
			continue
		}
		if err := a.object(ctx, it); err != nil {
			return err
		}
	}
	if err := a.ready(ctx, s.Items); err != nil {
		return err
	}
	if len(left) == 0 {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	if err := a.remove(limit, left); err != nil {
		return err
	}
	return a.putInventory(ctx, a.c, a.t.Unit.Addr, now)
}

// secrets reads what the items need. In a local environment, what people have not
// given yet is made up.
func (a *applying) secrets(ctx context.Context, items []*item) (secrets, error) {
	values, err := known(ctx, a.c, items)
	if err != nil {
		return nil, err
	}
	for path, p := range paths(items) {
		if _, ok := values[path]; ok {
			continue
		}
		if !p.Given || !a.cfg.Secrets {
			return nil, &engine.Failure{
				Unit: a.t.Unit.Addr, Stage: "apply", Cause: engine.CauseInput,
				Problems: []engine.Problem{{Summary: "there is no secret " + path}},
				Next:     "Put it into the environment's secrets service, or apply the unit again that makes it.",
			}
		}
		if _, err := cluster.MakeUpSecret(ctx, a.c, path); err != nil {
			return nil, fmt.Errorf("make the secret %s: %w", path, err)
		}
		a.t.Emit(engine.Event{Type: engine.Note, Unit: a.t.Unit.Addr, Text: "nobody has given the secret " + path + ", so it was made up; `strata secret set` changes it"})
		value, version, _, err := cluster.ReadSecret(ctx, a.c, path)
		if err != nil {
			return nil, fmt.Errorf("read the secret %s: %w", path, err)
		}
		values[path] = secretValue{value, version}
	}
	return values, nil
}

// object applies one object.
func (a *applying) object(ctx context.Context, it *item) error {
	if err := ctx.Err(); err != nil {
		return &engine.Failure{
			Unit: a.t.Unit.Addr, Stage: "apply", Cause: engine.CauseCancelled, Err: err,
			Problems: []engine.Problem{{Summary: "it was interrupted", Resource: it.key()}}, Next: "Apply again: it goes on where it stopped.",
		}
	}
	began := time.Now()
	action := it.Action
	a.t.Emit(engine.Event{Type: engine.ResourceStarted, Unit: a.t.Unit.Addr, Resource: it.key(), Action: string(action)})
	live, err := a.c.Get(ctx, it.Object)
	if err == nil && live != nil && !a.ours(a.t, live) {
		err = foreign(live)
	}
	if err == nil && action == plan.Replace && live != nil {
		err = a.c.Delete(ctx, it.Object)
	}
	if err == nil {
		_, err = a.c.Apply(ctx, it.Object, cluster.ApplyOptions{Force: it.Force})
	}
	if err != nil {
		a.t.Emit(engine.Event{Type: engine.ResourceFailed, Unit: a.t.Unit.Addr, Resource: it.key(), Action: string(action), Elapsed: time.Since(began)})
		return failed(a.t, "apply", it.key(), err)
	}
	a.t.Emit(engine.Event{Type: engine.ResourceFinished, Unit: a.t.Unit.Addr, Resource: it.key(), Action: string(action), Elapsed: time.Since(began)})
	a.done = append(a.done, it.key())
	return nil
}

// remove deletes objects of the unit, last first. One that somebody else has made
// since under the same name is left alone.
func (a *applying) remove(ctx context.Context, list []object) error {
	for _, o := range slices.Backward(list) {
		u := o.empty()
		live, err := a.c.Get(ctx, u)
		if err != nil {
			return failed(a.t, "apply", cluster.Name(u), err)
		}
		if live == nil {
			continue
		}
		if !a.ours(a.t, live) {
			a.t.Emit(engine.Event{Type: engine.Note, Unit: a.t.Unit.Addr, Text: cluster.Name(u) + " is somebody else's by now and stays"})
			continue
		}
		began := time.Now()
		a.t.Emit(engine.Event{Type: engine.ResourceStarted, Unit: a.t.Unit.Addr, Resource: cluster.Name(u), Action: string(plan.Delete)})
		if err := a.c.Delete(ctx, u); err != nil {
			a.t.Emit(engine.Event{Type: engine.ResourceFailed, Unit: a.t.Unit.Addr, Resource: cluster.Name(u), Action: string(plan.Delete), Elapsed: time.Since(began)})
			return failed(a.t, "apply", cluster.Name(u), err)
		}
		a.t.Emit(engine.Event{Type: engine.ResourceFinished, Unit: a.t.Unit.Addr, Resource: cluster.Name(u), Action: string(plan.Delete), Elapsed: time.Since(began)})
		a.done = append(a.done, cluster.Name(u))
	}
	return nil
}

// destroy removes all that a unit has, and then its inventory.
func (a *applying) destroy(ctx context.Context, list []object) (*engine.Applied, error) {
	limit, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	if err := a.remove(limit, list); err != nil {
		return nil, a.failure(err)
	}
	inv := object{"v1", "ConfigMap", InventoryNamespace, inventoryName(a.cfg.Platform, a.t.Unit.Addr)}.empty()
	if err := a.c.Delete(limit, inv); err != nil && !apierrors.IsNotFound(err) {
		return nil, a.failure(err)
	}
	return &engine.Applied{Changed: a.done}, nil
}

// poll is how often objects are looked at that are not ready.
const poll = 200 * time.Millisecond

// ready waits until the objects do what they are for.
func (a *applying) ready(ctx context.Context, items []*item) error {
	limit, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	for _, it := range items {
		if cluster.StateOf(it.Object).Ready {
			continue // of a kind that is ready when it is there
		}
		if err := a.wait(limit, it); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) wait(ctx context.Context, it *item) error {
	began, looked := time.Now(), time.Now()
	for {
		live, err := a.c.Get(ctx, it.Object)
		var state cluster.State
		switch {
		case err != nil && ctx.Err() == nil:
			return failed(a.t, "apply", it.key(), err)
		case err != nil:
		case live == nil:
			state.Reason = "it is gone"
		default:
			if state = cluster.StateOf(live); state.Ready {
				return nil
			}
		}
		hopeless := state.Failed
		if live != nil && (time.Since(looked) > 2*time.Second || state.Failed) {
			looked = time.Now()
			_, final := a.c.Explain(ctx, live)
			hopeless = hopeless || final
			a.t.Emit(engine.Event{Type: engine.ResourceStarted, Unit: a.t.Unit.Addr, Resource: it.key(), Action: "wait for"})
		}
		if hopeless {
			return a.notReady(it, live, state, time.Since(began))
		}
		select {
		case <-ctx.Done():
			return a.notReady(it, live, state, time.Since(began))
		case <-time.After(poll):
		}
	}
}

// notReady says why an object is not ready, as somebody would who had looked.
func (a *applying) notReady(it *item, live *unstructured.Unstructured, state cluster.State, after time.Duration) error {
	f := &engine.Failure{
		Unit: a.t.Unit.Addr, Stage: "apply", Cause: engine.CauseTimeout,
		Problems: []engine.Problem{{Summary: fmt.Sprintf("it is not ready after %s: %s", after.Round(time.Second), state.Reason), Resource: it.key()}},
		Next:     "Put right what keeps it from being ready, then apply again. `strata logs` shows what it says.",
	}
	if live == nil {
		return f
	}
	// The time to wait is over; the time to look is not.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	why, _ := a.c.Explain(ctx, live)
	for _, line := range why {
		f.Problems[0].Detail += line + "\n"
	}
	return f
}
