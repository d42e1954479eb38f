package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/store"
)

// Sealed is a plan that may be carried out: whoever made it a Sealed has seen to
// it that it is what was sealed, and that it has the approvals that it needs.
type Sealed struct {
	Plan *plan.Plan
	// Seal is the plan's seal, in hexadecimal.
	Seal string
	// Saved returns the file of a unit's saved plan.
	Saved func(addr.Unit) (string, error)
}

// Outcome is how a run ended.
type Outcome struct {
	Run store.Run
	// Applied, Skipped and Unchanged are units, in the order of the plan.
	Applied, Skipped, Unchanged []addr.Unit
	// Changed has the resources that were changed, by unit.
	Changed  map[addr.Unit][]string
	Failures []*Failure
	Paused   []*PausedError
	// Outputs are the outputs of the units that were applied.
	Outputs map[addr.Unit]map[string]json.RawMessage
}

// OK reports whether everything was done.
func (o *Outcome) OK() bool { return o.Run.Status == store.Succeeded }

// running is one run under way.
type running struct {
	*Engine
	t   *Target
	s   Sealed
	run store.Run

	mu   sync.Mutex
	rows map[addr.Unit]store.Unit
	out  *Outcome
}

// renewEvery is how often a run says that it is alive, and learns that its lock was
// taken away.
const renewEvery = 10 * time.Second

// Run carries a sealed plan out. It holds the environment's lock meanwhile; with a
// *store.LockedError it has changed nothing. Every unit's end is on record before
// the next begins, so a run that is killed is gone on with by running the same
// plan again, or another one. The error is nil when the run came to its end, even
// if units failed: the Outcome says so.
func (e *Engine) Run(ctx context.Context, t *Target, s Sealed) (*Outcome, error) {
	id, err := runID(e.cfg.Now())
	if err != nil {
		return nil, err
	}
	env := t.Compiled.Graph.Environment
	run := store.Run{
		ID: id, Environment: env, Operation: string(s.Plan.Operation), Seal: s.Seal, Who: e.cfg.Who, Host: e.cfg.Host,
		PID: os.Getpid(), Started: e.cfg.Now().UTC(), Status: store.Running,
	}
	lock := store.Lock{
		Environment: env, Owner: e.cfg.Who, Host: e.cfg.Host, PID: run.PID, ProcessStart: store.ProcessStart(run.PID),
		Run: id, Operation: run.Operation, Since: run.Started, Seen: run.Started,
	}
	if err := e.cfg.Store.Acquire(ctx, lock); err != nil {
		return nil, err
	}
	// What ends a run must be written even when ctx has ended.
	last := context.WithoutCancel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Without the lock somebody else may be at work: what is under way is brought to
	// a safe end, and nothing more is begun.
	stop := e.keep(last, lock, renewEvery, cancel)
	r := &running{Engine: e, t: t, s: s, run: run, out: &Outcome{Changed: map[addr.Unit][]string{}, Outputs: map[addr.Unit]map[string]json.RawMessage{}}}
	err = r.walk(ctx, last)
	stop()
	err = errors.Join(err, e.cfg.Store.Release(last, lock))
	r.out.Run = r.run
	return r.out, err
}

// keep renews the lock until the function that it returns is called. It calls lost
// when the lock was taken away.
func (e *Engine) keep(ctx context.Context, lock store.Lock, every time.Duration, lost func()) func() {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				lock.Seen = e.cfg.Now().UTC()
				err := e.cfg.Store.Renew(ctx, lock)
				switch {
				case errors.Is(err, store.ErrLost):
					e.send(Event{Type: Note, Text: "the lock was taken away, so nothing more is begun"})
					lost()
					return
				case err != nil:
					e.send(Event{Type: Note, Text: "the lock could not be renewed: " + err.Error()})
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// runID returns an id that sorts by time.
func runID(now time.Time) (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:]), nil
}

func (r *running) walk(ctx, last context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	var err error
	if r.rows, err = r.Engine.rows(ctx, r.run.Environment); err != nil {
		return errors.Join(err, r.end(last, store.Failed, err))
	}
	jobs := make([]job, len(r.s.Plan.Units))
	for i := range r.s.Plan.Units {
		u := &r.s.Plan.Units[i]
		jobs[i] = job{addr: u.Addr, after: u.DependsOn}
		if u.Destroy && r.s.Plan.Operation != plan.Destroy {
			// A unit that left the model goes when all others are done.
			for _, o := range r.s.Plan.Units {
				if !o.Destroy {
					jobs[i].after = append(slices.Clone(jobs[i].after), o.Addr)
				}
			}
		}
	}
	errs, skipped := walk(ctx, len(jobs), r.cfg.Workers, needs(jobs), func(ctx context.Context, i int) error {
		return r.unit(ctx, last, &r.s.Plan.Units[i])
	})
	status := store.Succeeded
	var other error
	for i, err := range errs {
		var f *Failure
		var p *PausedError
		switch {
		case skipped[i]:
			r.out.Skipped = append(r.out.Skipped, jobs[i].addr)
		case errors.As(err, &p):
			r.out.Paused = append(r.out.Paused, p)
		case errors.As(err, &f):
			r.out.Failures = append(r.out.Failures, f)
		case err != nil:
			other = errors.Join(other, err)
		}
	}
	switch {
	case ctx.Err() != nil:
		status = store.Cancelled
	case other != nil || len(r.out.Failures) > 0:
		status = store.Failed
	case len(r.out.Paused) > 0:
		status = store.Paused
	}
	r.tidy()
	if err := r.end(last, status, other); err != nil {
		return errors.Join(other, err)
	}

	return other
}

// begin records the run, and the end of those that never recorded theirs: whoever
// has the lock knows that they are gone.
func (r *running) begin(ctx context.Context) error {
	st := r.cfg.Store
	old, err := st.Runs(ctx, r.run.Environment, 50)
	if err != nil {
		return err
	}
	for _, o := range old {
		if o.Status != store.Running {
			continue
		}
		o.Status, o.Ended = store.Interrupted, r.cfg.Now().UTC()
		if err := st.UpdateRun(ctx, o); err != nil {
			return err
		}
		if r.run.Resumes == "" {
			r.run.Resumes = o.ID
		}
	}
	if err := st.StartRun(ctx, r.run); err != nil {
		return err
	}
	return r.audit(ctx, r.run.Operation+"-started", nil)
}

func (r *running) end(ctx context.Context, status store.RunStatus, cause error) error {
	r.run.Status, r.run.Ended = status, r.cfg.Now().UTC()
	if cause != nil {
		r.run.Error = cause.Error()
	} else if len(r.out.Failures) > 0 {
		r.run.Error = r.out.Failures[0].record()
	}
	if err := r.cfg.Store.UpdateRun(ctx, r.run); err != nil {
		return err
	}
	return r.audit(ctx, r.run.Operation+"-"+string(status), map[string]any{
		"applied": len(r.out.Applied), "failed": len(r.out.Failures), "skipped": len(r.out.Skipped),
	})
}

// tidy puts the outcome into the order of the plan.
func (r *running) tidy() {
	order := map[addr.Unit]int{}
	for i, u := range r.s.Plan.Units {
		order[u.Addr] = i
	}
	for _, list := range [][]addr.Unit{r.out.Applied, r.out.Unchanged} {
		slices.SortFunc(list, func(a, b addr.Unit) int { return order[a] - order[b] })
	}
}

func (r *running) row(a addr.Unit) (store.Unit, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.rows[a]
	return row, ok
}

// outputsOf returns the outputs of a unit as they are on record.
func (r *running) outputsOf(a addr.Unit) outputs {
	if u, ok := r.t.Compiled.Graph.Unit(a); ok && u.Existing {
		known, err := existing(u)
		if err != nil {
			return nil
		}
		return known
	}
	row, ok := r.row(a)
	if !ok || row.Status != store.Applied {
		return nil
	}
	return row.Outputs
}

// unit carries out what the plan says of one unit. last does not end with ctx.
func (r *running) unit(ctx, last context.Context, p *plan.Unit) error {
	switch {
	case p.Status == plan.Existing:
		return nil
	case p.Destroy:
		return r.destroy(ctx, last, p)
	}
	u, ok := r.t.Compiled.Graph.Unit(p.Addr)
	if !ok {
		return fmt.Errorf("%s is in the plan but not in the model", p.Addr)
	}
	in, err := r.t.resolve(u, r.outputsOf)
	if err != nil {
		return err
	}
	if len(in.unknown) > 0 {
		return &Failure{
			Unit: u.Addr, Stage: "apply", Cause: CauseInput,
			Problems: []Problem{{Summary: "these outputs are still not known: " + join(in.waits)}},
			Next:     "See that the modules of those units give them, then plan again.",
		}
	}
	row, applied := r.row(p.Addr)
	if applied && row.Status == store.Applied && row.Digest == p.Digest && row.Inputs == in.digest && (p.Status == plan.Unchanged || row.Run != "" && p.Status != plan.Unchanged && r.mine(row)) {
		// Unchanged, or done by an earlier run of the same plan.
		r.mu.Lock()
		r.out.Unchanged = append(r.out.Unchanged, p.Addr)
		r.mu.Unlock()
		return nil
	}
	return r.apply(ctx, last, p, u, in, row)
}

// mine reports whether a row was written by a run of this same plan.
func (r *running) mine(row store.Unit) bool {
	run, err := r.cfg.Store.Run(context.Background(), row.Run)
	return err == nil && run.Seal == r.s.Seal
}

func join(words []string) string {
	out := ""
	for i, w := range words {
		if i > 0 {
			out += ", "
		}
		out += w
	}
	return out
}

// apply applies one unit of the model.
func (r *running) apply(ctx, last context.Context, p *plan.Unit, u graph.Unit, in inputs, row store.Unit) error {
	start := r.cfg.Now()
	rn, err := r.runner(u)
	if err != nil {
		return err
	}
	task, err := r.task(r.t, u, plan.Apply, in)
	if err != nil {
		return err
	}
	partial := row.Status == store.Partial
	next, err := r.record(u, p, in, task)
	if err != nil {
		return err
	}
	// From here on a kill is noticed: the row says that the unit is half-way.
	next.Status, next.Outputs, next.Run, next.Applied = store.Partial, row.Outputs, row.Run, row.Applied
	if err := r.put(last, next, "unit-started", map[string]any{"saved": p.Saved, "inputs": in.digest}); err != nil {
		return err
	}
	r.send(Event{Type: UnitStarted, Unit: u.Addr})
	done, err := r.carryOut(ctx, rn, task, p, in, partial)
	if err != nil {
		var paused *PausedError
		if errors.As(err, &paused) {
			r.send(Event{Type: RunPaused, Unit: u.Addr, Text: err.Error(), Elapsed: r.cfg.Now().Sub(start)})
			return errors.Join(err, r.putBack(last, u.Addr, row, partial, paused.Reasons))
		}
		r.send(Event{Type: UnitFailed, Unit: u.Addr, Text: err.Error(), Elapsed: r.cfg.Now().Sub(start)})
		return errors.Join(err, r.note(last, u.Addr, "unit-failed", failureData(err)))
	}
	next.Status, next.Outputs, next.Run, next.Applied = store.Applied, done.Outputs, r.run.ID, r.cfg.Now().UTC()
	if err := r.put(last, next, "unit-finished", map[string]any{"changed": done.Changed}); err != nil {
		return err
	}
	if err := rn.Done(task, false); err != nil {
		return err
	}
	r.mu.Lock()
	r.out.Applied = append(r.out.Applied, u.Addr)
	r.out.Changed[u.Addr], r.out.Outputs[u.Addr] = done.Changed, done.Outputs
	r.mu.Unlock()
	r.send(Event{Type: UnitFinished, Unit: u.Addr, Elapsed: r.cfg.Now().Sub(start)})
	return nil
}

// record makes the row of a unit.
func (r *running) record(u graph.Unit, p *plan.Unit, in inputs, task Task) (store.Unit, error) {
	root, err := json.Marshal(kept{
		Root: task.Root, Values: lasting(task.Root, in.values), Layer: string(u.Layer), Contract: u.Contract, Workload: u.Workload, Team: u.Team, Module: u.Module,
	})
	if err != nil {
		return store.Unit{}, err
	}
	return store.Unit{
		Addr: u.Addr, Kind: string(u.Kind), Layer: string(u.Layer), Digest: p.Digest, Inputs: in.digest, DependsOn: u.DependsOn, Root: root, Version: r.cfg.Version,
	}, nil
}

// lasting returns the values that are needed to destroy a unit: the variables of a
// tofu unit, and where the cluster of a kube unit is.
func lasting(root []byte, values map[string]any) map[string]any {
	if len(root) > 0 {
		return values
	}
	if v, ok := values[ClusterKubeconfig]; ok {
		return map[string]any{ClusterKubeconfig: v}
	}
	return nil
}

// destroy destroys one unit that is on record.
func (r *running) destroy(ctx, last context.Context, p *plan.Unit) error {
	row, ok := r.row(p.Addr)
	if !ok {
		return nil // an earlier run of this plan did it
	}
	start := r.cfg.Now()
	task, u, err := r.destroyTask(r.t, row, func(a addr.Unit) outputs { up, _ := r.row(a); return up.Outputs })
	if err != nil {
		return err
	}
	rn, err := r.runner(u)
	if err != nil {
		return err
	}
	partial := row.Status == store.Partial
	row.Status = store.Partial
	if err := r.put(last, row, "unit-started", map[string]any{"saved": p.Saved, "destroy": true}); err != nil {
		return err
	}
	r.send(Event{Type: UnitStarted, Unit: u.Addr})
	in := inputs{digest: p.Inputs}
	done, err := r.carryOut(ctx, rn, task, p, in, partial)
	if err != nil {
		r.send(Event{Type: UnitFailed, Unit: u.Addr, Text: err.Error(), Elapsed: r.cfg.Now().Sub(start)})
		return errors.Join(err, r.note(last, u.Addr, "unit-failed", failureData(err)))
	}
	ev, err := r.event(u.Addr, "unit-finished", map[string]any{"changed": done.Changed, "destroy": true})
	if err != nil {
		return err
	}
	if err := r.cfg.Store.DeleteUnit(last, u.Addr, ev); err != nil {
		return err
	}
	if err := rn.Done(task, true); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.rows, u.Addr)
	r.out.Applied = append(r.out.Applied, u.Addr)
	r.out.Changed[u.Addr] = done.Changed
	r.mu.Unlock()
	r.send(Event{Type: UnitFinished, Unit: u.Addr, Elapsed: r.cfg.Now().Sub(start)})
	return nil
}
