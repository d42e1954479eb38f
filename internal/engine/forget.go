package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/stratahq/strata/internal/store"
)

// Forget takes everything off record that an environment consists of, after f has
// removed all of it at once: a local environment goes with its node, and nothing is
// left that could be destroyed unit by unit. It holds the environment's lock meanwhile
// and leaves a run and a line in the audit trail. Where f fails nothing is forgotten.
func (e *Engine) Forget(ctx context.Context, env string, f func() error) (err error) {
	id, err := runID(e.cfg.Now())
	if err != nil {
		return err
	}
	now := e.cfg.Now().UTC()
	run := store.Run{
		ID: id, Environment: env, Operation: "purge", Who: e.cfg.Who, Host: e.cfg.Host, PID: os.Getpid(), Started: now, Status: store.Running,
	}
	lock := store.Lock{
		Environment: env, Owner: e.cfg.Who, Host: e.cfg.Host, PID: run.PID, ProcessStart: store.ProcessStart(run.PID),
		Run: id, Operation: run.Operation, Since: now, Seen: now,
	}
	if err := e.cfg.Store.Acquire(ctx, lock); err != nil {
		return err
	}
	last := context.WithoutCancel(ctx)
	stop := e.keep(last, lock, renewEvery, func() {}) // it is one step, and is under way
	defer func() {
		stop()
		err = errors.Join(err, e.cfg.Store.Release(last, lock))
	}()
	if err := e.cfg.Store.StartRun(last, run); err != nil {
		return err
	}
	n, err := e.forget(last, run, f)
	run.Status, run.Ended = store.Succeeded, e.cfg.Now().UTC()
	if err != nil {
		run.Status, run.Error = store.Failed, err.Error()
	}
	data, merr := json.Marshal(map[string]any{"units": n})
	return errors.Join(err, merr, e.cfg.Store.UpdateRun(last, run), e.cfg.Store.Audit(last, store.Entry{
		At: run.Ended, Who: e.cfg.Who, Host: e.cfg.Host, Action: "purge-" + string(run.Status), Environment: env, Subject: id, Data: data,
	}))
}

// forget returns how many units it took off record.
func (e *Engine) forget(ctx context.Context, run store.Run, f func() error) (int, error) {
	if err := f(); err != nil {
		return 0, err
	}
	rows, err := e.rows(ctx, run.Environment)
	if err != nil {
		return 0, err
	}
	for i, row := range backwards(rows) {
		ev := store.Event{Run: run.ID, At: e.cfg.Now().UTC(), Unit: row.Addr, Type: "unit-forgotten", Data: json.RawMessage(`{}`)}
		if err := e.cfg.Store.DeleteUnit(ctx, row.Addr, ev); err != nil {
			return i, err
		}
	}
	return len(rows), nil
}
