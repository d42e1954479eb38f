package engine

import (
	"context"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
)

// drift says what somebody else changed about a unit since it was applied: the
// differences between what is on record and what is there. A unit that was never
// applied is left out.
func (p *planning) drift(ctx context.Context, u graph.Unit) (plan.Unit, error) {
	row, applied := p.rows[u.Addr]
	if !applied {
		return plan.Unit{}, nil
	}
	out := describe(u)
	out.Digest, out.Inputs = row.Digest, row.Inputs
	in, err := p.t.resolve(u, p.outputsOf)
	if err != nil {
		return out, err
	}
	r, err := p.runner(u)
	if err != nil {
		return out, err
	}
	task, err := p.task(p.t, u, plan.Drift, in)
	if err != nil {
		return out, err
	}
	p.send(Event{Type: PlanStarted, Unit: u.Addr})
	planned, err := r.Plan(ctx, task)
	if err != nil {
		return out, err
	}
	out.Counts, out.Changes, out.Status = planned.Counts, planned.Changes, plan.Unchanged
	if len(planned.Changes) > 0 {
		out.Status = plan.Changes
	}
	return out, nil
}
