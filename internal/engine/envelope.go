package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
)

// carryOut applies the saved plan if it still says what would happen, and another
// one within the same bounds if not.
func (r *running) carryOut(ctx context.Context, rn Runner, task Task, p *plan.Unit, in inputs, partial bool) (*Applied, error) {
	if partial {
		notes, err := rn.Recover(ctx, task)
		for _, n := range notes {
			r.send(Event{Type: Note, Unit: p.Addr, Text: n})
		}
		if err != nil {
			return nil, err
		}
	}
	if !partial && p.Saved != "" && in.digest == p.Inputs && p.Status == plan.Changes {
		saved, err := r.s.Saved(p.Addr)
		if err != nil {
			return nil, err
		}
		done, err := rn.Apply(ctx, task, saved)
		var f *Failure
		if !errors.As(err, &f) || f.Cause != CauseStale {
			return done, err
		}
	}
	planned, err := rn.Plan(ctx, task)
	if err != nil {
		return nil, err
	}
	if err := r.within(ctx, task.Unit, p, planned); err != nil {
		return nil, err
	}
	if planned.Idle {
		return &Applied{Outputs: planned.Known}, nil
	}
	return rn.Apply(ctx, task, planned.Saved)
}

// within refuses a plan that does more than what was approved.
func (r *running) within(ctx context.Context, u graph.Unit, p *plan.Unit, now *Planned) error {
	reasons := exceeds(p, now)
	if now.JSON != nil {
		found, err := r.judge(ctx, r.t, u, now.JSON)
		if err != nil {
			return err
		}
		for _, f := range r.except(r.t, found, r.cfg.Now()) {
			if f.Denies() && !r.shown(f.Rule, f.Message) {
				reasons = append(reasons, "policy "+f.Rule+" denies it now: "+f.Message)
			}
		}
	}
	if len(reasons) > 0 {
		return &PausedError{Unit: u.Addr, Run: r.run.ID, Reasons: reasons}
	}
	return nil
}

// shown reports whether the approved plan showed a finding.
func (r *running) shown(rule, message string) bool {
	return slices.ContainsFunc(r.s.Plan.Findings, func(f plan.Finding) bool { return f.Rule == rule && f.Summary == message })
}

// exceeds says what a plan does that the approved one does not show. Doing less is
// always right: a run that was cut off has done part of it.
func exceeds(approved *plan.Unit, now *Planned) []string {
	shown := map[string]plan.Action{}
	for _, c := range approved.Changes {
		shown[c.Address] = c.Action
	}
	var out []string
	for _, c := range now.Changes {
		was, ok := shown[c.Address]
		switch {
		case ok && was == c.Action:
		case ok && was == plan.Create && c.Action == plan.Update:
			// It was created by a run that was cut off, and is completed.
		case ok && was == plan.Replace && c.Action == plan.Create:
			// Its first half is done.
		case ok && was == plan.Create && c.Action == plan.Replace && c.Reason == reasonTainted:
			// It was left half-made by a run that was cut off.
		default:
			what := string(c.Action) + " " + c.Address
			if c.Reason != "" {
				what += " (" + c.Reason + ")"
			}
			if ok {
				what += ", where " + string(was) + " was approved"
			}
			out = append(out, what)
		}
	}
	return out
}

// reasonTainted is how runners call a resource whose creation failed half-way.
const reasonTainted = "it was left half-made"
