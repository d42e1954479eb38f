package engine

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/store"
)

func (r *running) audit(ctx context.Context, action string, data any) error {
	entry := store.Entry{
		At: r.cfg.Now().UTC(), Who: r.cfg.Who, Host: r.cfg.Host, Action: action, Environment: r.run.Environment, Subject: r.run.ID,
	}
	facts := map[string]any{"seal": r.s.Seal, "offline": r.s.Plan.Offline}
	if m, ok := data.(map[string]any); ok {
		for k, v := range m {
			facts[k] = v
		}
	}
	b, err := json.Marshal(facts)
	if err != nil {
		return err
	}
	entry.Data = b
	return r.cfg.Store.Audit(ctx, entry)
}

// put writes a row and a line of the journal in one step.
func (r *running) put(ctx context.Context, row store.Unit, typ string, data map[string]any) error {
	ev, err := r.event(row.Addr, typ, data)
	if err != nil {
		return err
	}
	if err := r.cfg.Store.PutUnit(ctx, row, ev); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[row.Addr] = row
	return nil
}

func (r *running) note(ctx context.Context, a addr.Unit, typ string, data map[string]any) error {
	ev, err := r.event(a, typ, data)
	if err != nil {
		return err
	}
	return r.cfg.Store.Append(ctx, ev)
}

func (r *running) event(a addr.Unit, typ string, data map[string]any) (store.Event, error) {
	b, err := json.Marshal(data)
	return store.Event{Run: r.run.ID, At: r.cfg.Now().UTC(), Unit: a, Type: typ, Data: b}, err
}

// failureData is what the journal keeps of a failure: which kind it was and what
// it is about, without the words of providers, as record.
func failureData(err error) map[string]any {
	var f *Failure
	if !errors.As(err, &f) {
		return map[string]any{"cause": CauseOther}
	}
	return map[string]any{"stage": f.Stage, "cause": f.Cause, "changed": f.Changed, "open": f.Open}
}

// putBack records that a unit was left as it was: a pause comes before anything is
// changed. A unit that was half-way before still is.
func (r *running) putBack(ctx context.Context, a addr.Unit, was store.Unit, partial bool, reasons []string) error {
	data := map[string]any{"reasons": reasons}
	if partial {
		return r.note(ctx, a, "paused", data)
	}
	if was.Addr == a {
		return r.put(ctx, was, "paused", data)
	}
	ev, err := r.event(a, "paused", data)
	if err != nil {
		return err
	}
	if err := r.cfg.Store.DeleteUnit(ctx, a, ev); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rows, a)
	return nil
}
