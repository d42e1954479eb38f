package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/store"
)

// Maintain lets f work on the state of one unit by hand, under the environment's
// lock and with a line in the audit trail: action says what is done, facts what it
// is done with. f gets the unit's task with the values that are on record of others.
// The next plan looks at the unit whatever its digest says. The error is f's, a
// *store.LockedError, or says that the unit cannot be worked on.
func (e *Engine) Maintain(ctx context.Context, t *Target, a addr.Unit, action string, facts map[string]any, f func(Task) error) (err error) {
	u, ok := t.Compiled.Graph.Unit(a)
	if !ok || u.Existing || u.Kind != graph.Tofu {
		return fmt.Errorf("%s has no unit %s with a state of its own", a.Env, a.Name)
	}
	id, err := runID(e.cfg.Now())
	if err != nil {
		return err
	}
	now := e.cfg.Now().UTC()
	lock := store.Lock{
		Environment: a.Env, Owner: e.cfg.Who, Host: e.cfg.Host, PID: os.Getpid(), ProcessStart: store.ProcessStart(os.Getpid()),
		Run: id, Operation: action, Since: now, Seen: now,
	}
	if err := e.cfg.Store.Acquire(ctx, lock); err != nil {
		return err
	}
	last := context.WithoutCancel(ctx)
	stop := e.keep(last, lock, renewEvery, func() {}) // what is done by hand is one step, and is under way
	defer func() {
		stop()
		err = errors.Join(err, e.cfg.Store.Release(last, lock))
	}()
	rows, err := e.rows(ctx, a.Env)
	if err != nil {
		return err
	}
	in, err := t.resolve(u, func(o addr.Unit) outputs {
		if up, ok := t.Compiled.Graph.Unit(o); ok && up.Existing {
			if known, err := existing(up); err == nil {
				return known
			}
		}
		return rows[o].Outputs
	})
	if err != nil {
		return err
	}
	task, err := e.task(t, u, plan.Apply, in)
	if err != nil {
		return err
	}
	data, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	if err := e.cfg.Store.Audit(ctx, store.Entry{At: now, Who: e.cfg.Who, Host: e.cfg.Host, Action: action, Environment: a.Env, Subject: a.Name, Data: data}); err != nil {
		return err
	}
	if err := f(task); err != nil {
		return err
	}
	if row, ok := rows[a]; ok {
		row.Digest = ""
		return e.cfg.Store.PutUnit(last, row)
	}
	return nil
}
