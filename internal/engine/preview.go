package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/policy"
	"github.com/stratahq/strata/internal/store"
)

// PreviewOptions say what to preview.
type PreviewOptions struct {
	Operation plan.Operation
	Select    Selection
	// Refresh plans units too that have not changed, to see what others changed.
	Refresh bool
	// Live plans the units of Kubernetes objects too that have not changed: asking the
	// cluster costs little, and what went missing there is put back.
	Live bool
}

// Preview is a plan with the runners' saved plans.
type Preview struct {
	Plan *plan.Plan
	// Saved are the files of the saved plans, by unit.
	Saved map[addr.Unit]string
	// Failures are the units that could not be planned. With any of them the
	// plan is incomplete and must not be sealed.
	Failures []*Failure
	// Skipped are the units that were not planned because one before failed.
	Skipped []addr.Unit
	// Left are the units of a kind that nothing here plans or applies, which were not
	// asked for by name.
	Left []addr.Unit
}

// planning is one preview under way.
type planning struct {
	*Engine
	t    *Target
	o    PreviewOptions
	rows map[addr.Unit]store.Unit

	mu       sync.Mutex
	known    map[addr.Unit]outputs
	units    []plan.Unit
	saved    map[addr.Unit]string
	findings []policy.Finding
	left     []addr.Unit
}

// Preview says what carrying out an operation on the target would change. It
// changes nothing. An error means that nothing could be said at all; what went
// wrong with single units is in the Preview.
func (e *Engine) Preview(ctx context.Context, t *Target, o PreviewOptions) (*Preview, error) {
	g := t.Compiled.Graph
	chosen, err := o.Select.pick(g, o.Operation)
	if err != nil {
		return nil, err
	}
	rows, err := e.rows(ctx, g.Environment)
	if err != nil {
		return nil, err
	}
	p := &planning{Engine: e, t: t, o: o, rows: rows, known: map[addr.Unit]outputs{}, saved: map[addr.Unit]string{}}
	jobs, err := p.jobs(chosen)
	if err != nil {
		return nil, err
	}
	p.units = make([]plan.Unit, len(jobs))
	errs, skipped := walk(ctx, len(jobs), e.cfg.Workers, needs(jobs), func(ctx context.Context, i int) error {
		start := e.cfg.Now()
		u, err := jobs[i].plan(ctx)
		p.units[i] = u
		if ctx.Err() == nil && u.Status != plan.Existing {
			e.send(Event{Type: PlanFinished, Unit: jobs[i].addr, Elapsed: e.cfg.Now().Sub(start), Text: string(u.Status)})
		}
		return err
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	out := &Preview{Saved: p.saved, Left: p.left}
	for i, err := range errs {
		var f *Failure
		switch {
		case errors.As(err, &f):
			out.Failures = append(out.Failures, f)
		case err != nil:
			return nil, err
		case skipped[i]:
			out.Skipped = append(out.Skipped, jobs[i].addr)
		}
	}
	out.Plan, err = p.finish(ctx)
	return out, err
}

// job is the planning of one unit.
type job struct {
	addr  addr.Unit
	after []addr.Unit
	plan  func(context.Context) (plan.Unit, error)
}

// needs turns addresses into indexes; what is not among the jobs does not count.
func needs(jobs []job) [][]int {
	index := make(map[addr.Unit]int, len(jobs))
	for i, j := range jobs {
		index[j.addr] = i
	}
	out := make([][]int, len(jobs))
	for i, j := range jobs {
		for _, a := range j.after {
			if d, ok := index[a]; ok && d != i {
				out[i] = append(out[i], d)
			}
		}
	}
	return out
}

func (p *planning) jobs(chosen map[addr.Unit]bool) ([]job, error) {
	g := p.t.Compiled.Graph
	if p.o.Operation == plan.Destroy {
		return p.destroyJobs(chosen)
	}
	var jobs []job
	for _, u := range g.Order() {
		if u.Existing {
			known, err := existing(u)
			if err != nil {
				return nil, err
			}
			p.known[u.Addr] = known
		}
		if chosen != nil && !chosen[u.Addr] {
			continue
		}
		if _, ok := p.cfg.Runners[u.Kind]; !ok && !u.Existing && !slices.Contains(p.o.Select.Units, u.Addr.Name) {
			p.left = append(p.left, u.Addr)
			continue
		}
		jobs = append(jobs, job{u.Addr, u.DependsOn, func(ctx context.Context) (plan.Unit, error) { return p.unit(ctx, u) }})
	}
	if chosen != nil || p.o.Operation == plan.Drift {
		return jobs, nil
	}
	// What left the model goes after everything that may have used it was changed.
	all := make([]addr.Unit, len(jobs))
	for i, j := range jobs {
		all[i] = j.addr
	}
	for _, row := range left(g, p.rows) {
		jobs = append(jobs, job{row.Addr, nil, func(ctx context.Context) (plan.Unit, error) { return p.leaving(ctx, row, all) }})
	}
	return jobs, nil
}

func (p *planning) destroyJobs(chosen map[addr.Unit]bool) ([]job, error) {
	var jobs []job
	dependents := map[addr.Unit][]addr.Unit{}
	for a, row := range p.rows {
		for _, d := range row.DependsOn {
			dependents[d] = append(dependents[d], a)
		}
	}
	for _, row := range backwards(p.rows) {
		if chosen != nil && !chosen[row.Addr] {
			continue
		}
		after := dependents[row.Addr]
		slices.SortFunc(after, addr.Unit.Compare)
		// Planning needs no order: nothing flows between units that go.
		jobs = append(jobs, job{row.Addr, nil, func(ctx context.Context) (plan.Unit, error) { return p.leaving(ctx, row, after) }})
	}
	return jobs, nil
}

// outputsOf returns what is known of a unit's outputs, after what this plan does.
func (p *planning) outputsOf(a addr.Unit) outputs {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.known[a]; ok {
		return known
	}
	return p.rows[a].Outputs // not selected: as it was applied
}

func (p *planning) learn(a addr.Unit, known outputs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[a] = known
}

// describe fills in what a plan says of every unit.
func describe(u graph.Unit) plan.Unit {
	return plan.Unit{
		Addr: u.Addr, Layer: string(u.Layer), Kind: string(u.Kind), Contract: u.Contract, Workload: u.Workload, Team: u.Team,
		DependsOn: u.DependsOn,
	}
}

// unit plans one unit of the model.
func (p *planning) unit(ctx context.Context, u graph.Unit) (plan.Unit, error) {
	out := describe(u)
	if u.Existing {
		out.Status = plan.Existing
		return out, nil
	}
	if p.o.Operation == plan.Drift {
		return p.drift(ctx, u)
	}
	p.learn(u.Addr, outputs{}) // until it is planned, nothing is known
	out.Digest = p.t.UnitDigest(u)
	in, err := p.t.resolve(u, p.outputsOf)
	if err != nil {
		return out, err
	}
	out.Inputs, out.Waits, out.Provisional = in.digest, in.waits, len(in.unknown) > 0
	row, applied := p.rows[u.Addr]
	same := applied && row.Status == store.Applied && row.Digest == out.Digest && row.Inputs == out.Inputs && !out.Provisional
	if same && !p.o.Refresh && !(p.o.Live && u.Kind == graph.Kube) {
		out.Status = plan.Unchanged
		p.learn(u.Addr, row.Outputs)
		return out, nil
	}
	if applied && row.Status == store.Partial {
		out.Notes = append(out.Notes, "an earlier run was cut off here; applying it looks after what that left behind")
	}
	p.send(Event{Type: PlanStarted, Unit: u.Addr})
	planned, err := p.run(ctx, u, in)
	if err != nil {
		return out, err
	}
	p.learn(u.Addr, planned.Known)
	return out, p.take(ctx, u, planned, &out, same)
}

func (p *planning) run(ctx context.Context, u graph.Unit, in inputs) (*Planned, error) {
	r, err := p.runner(u)
	if err != nil {
		return nil, err
	}
	task, err := p.planTask(u, in)
	if err != nil {
		return nil, err
	}
	return r.Plan(ctx, task)
}

// planTask is task, except that a unit that was never applied and whose state
// backend may not exist yet is planned against an empty state.
func (p *planning) planTask(u graph.Unit, in inputs) (Task, error) {
	_, applied := p.rows[u.Addr]
	if applied || p.t.StateFile != nil || len(in.unknown) == 0 {
		return p.task(p.t, u, plan.Apply, in)
	}
	fresh := *p.t
	fresh.StateFile = func(addr.Unit) string { return p.t.Scratch }
	return p.task(&fresh, u, plan.Apply, in)
}

// take writes into out what a runner planned, and has policy judge it.
func (p *planning) take(ctx context.Context, u graph.Unit, planned *Planned, out *plan.Unit, same bool) error {
	out.Counts, out.Changes, out.Outputs = planned.Counts, planned.Changes, planned.Outputs
	switch {
	case !planned.Idle:
		out.Status = plan.Changes
	case same:
		out.Status = plan.Unchanged
	default:
		out.Status = plan.Record
	}
	if len(planned.Changes) == 0 && out.Status == plan.Changes {
		out.Status = plan.Record // outputs only
	}
	if planned.JSON != nil {
		found, err := p.judge(ctx, p.t, u, planned.JSON)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.findings = append(p.findings, found...)
		p.mu.Unlock()
	}
	if planned.Saved != "" && out.Status != plan.Unchanged {
		sum, err := fileDigest(planned.Saved)
		if err != nil {
			return err
		}
		out.Saved = sum
		p.mu.Lock()
		p.saved[u.Addr] = planned.Saved
		p.mu.Unlock()
	}
	return nil
}

// leaving plans the destruction of a unit that is on record.
func (p *planning) leaving(ctx context.Context, row store.Unit, after []addr.Unit) (plan.Unit, error) {
	task, u, err := p.destroyTask(p.t, row, func(a addr.Unit) outputs { return p.rows[a].Outputs })
	if err != nil {
		return plan.Unit{Addr: row.Addr}, err
	}
	out := describe(u)
	out.Destroy, out.Layer, out.DependsOn, out.Digest, out.Inputs = true, row.Layer, after, row.Digest, row.Inputs
	if p.o.Operation != plan.Destroy {
		out.Notes = append(out.Notes, "it is not in the model any more")
	}
	r, err := p.runner(u)
	if err != nil {
		return out, err
	}
	p.send(Event{Type: PlanStarted, Unit: u.Addr})
	planned, err := r.Plan(ctx, task)
	if err != nil {
		return out, err
	}
	if err := p.take(ctx, u, planned, &out, false); err != nil {
		return out, err
	}
	out.Status = plan.Changes // its record goes, even if nothing else does
	return out, nil
}

// destroyTask makes the task of destroying a unit on record, and returns the unit.
func (e *Engine) destroyTask(t *Target, row store.Unit, known func(addr.Unit) outputs) (Task, graph.Unit, error) {
	if u, ok := t.Compiled.Graph.Unit(row.Addr); ok && !u.Existing {
		in, err := t.resolve(u, func(a addr.Unit) outputs {
			if up, ok := t.Compiled.Graph.Unit(a); ok && up.Existing {
				if known, err := existing(up); err == nil {
					return known
				}
			}
			return known(a)
		})
		if err == nil && len(in.unknown) == 0 {
			task, err := e.task(t, u, plan.Destroy, in)
			return task, u, err
		}
	}
	task, err := e.leftTask(row)
	return task, task.Unit, err
}

// finish puts the plan together.
func (p *planning) finish(ctx context.Context) (*plan.Plan, error) {
	digests, err := p.t.Digests()
	if err != nil {
		return nil, err
	}
	out := &plan.Plan{
		Format: plan.Format, Version: p.cfg.Version, Environment: p.t.Compiled.Graph.Environment, Operation: p.o.Operation,
		Offline: p.t.Offline, Created: p.cfg.Now().UTC().Truncate(time.Second), Author: p.cfg.Who, Selection: p.o.Select.Flags(),
		Digests: digests, Approvals: p.t.requirement(),
	}
	for _, u := range p.units {
		if u.Status != "" {
			out.Units = append(out.Units, u)
		}
	}
	if out.Findings, err = p.findingsOf(ctx); err != nil {
		return nil, err
	}
	if out.Digests.Findings, err = digest(out.Findings); err != nil {
		return nil, err
	}
	return out, nil
}

// findingsOf gathers what policy says of the model, the objects and the plans.
func (p *planning) findingsOf(ctx context.Context) ([]plan.Finding, error) {
	if p.o.Operation == plan.Drift {
		return nil, nil // nothing is to be done, so nothing is to be judged
	}
	now := p.cfg.Now()
	env := p.t.Compiled.Graph.Environment
	judged, err := p.t.Check.Judge(ctx, now, env)
	if err != nil {
		return nil, fmt.Errorf("judge %s: %w", env, err)
	}
	all := slices.Concat(judged.Findings, p.except(p.t, p.findings, now))
	if p.o.Operation == plan.Destroy {
		all = p.except(p.t, p.findings, now)
	}
	policy.SortFindings(all)
	return planFindings(p.t.Compiled.Graph, all), nil
}
