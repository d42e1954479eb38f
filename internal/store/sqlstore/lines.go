package sqlstore

import (
	"context"
	"encoding/json"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/store"
)

// auditChain is the name of the audit trail's chain; those of journals are the ids
// of their runs.
const auditChain = "audit"

// Append implements store.Store.
func (d *DB) Append(ctx context.Context, lines ...store.Event) error {
	return d.explain("write", d.write(ctx, func(t *tx) error { return t.append(lines) }))
}

func (t *tx) append(lines []store.Event) error {
	for _, e := range lines {
		seq, hash, err := t.head(e.Run)
		if err != nil {
			return err
		}
		e.Seq = seq + 1
		if e.Hash, err = store.HashEvent(hash, e); err != nil {
			return err
		}
		err = t.exec("INSERT INTO events (run, seq, at, unit, type, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
			e.Run, e.Seq, when(e.At), e.Unit.String(), e.Type, string(e.Data), e.Hash)
		if err != nil {
			return err
		}
		if err := t.setHead(e.Run, e.Seq, e.Hash); err != nil {
			return err
		}
	}
	return nil
}

// Events implements store.Store.
func (d *DB) Events(ctx context.Context, run string) ([]store.Event, error) {
	rows, err := d.db.QueryContext(ctx, d.bind("SELECT run, seq, at, unit, type, data, hash FROM events WHERE run = ? ORDER BY seq"), run)
	if err != nil {
		return nil, d.explain("read", err)
	}
	defer rows.Close()
	var out []store.Event
	for rows.Next() {
		var e store.Event
		var at, unit, data string
		if err := rows.Scan(&e.Run, &e.Seq, &at, &unit, &e.Type, &data, &e.Hash); err != nil {
			return nil, d.explain("read", err)
		}
		e.At, e.Data = parseTime(at), json.RawMessage(data)
		if u, err := addr.ParseUnit(unit); err == nil {
			e.Unit = u
		}
		out = append(out, e)
	}
	return out, d.explain("read", rows.Err())
}

// VerifyRun implements store.Store.
func (d *DB) VerifyRun(ctx context.Context, run string) error {
	lines, err := d.Events(ctx, run)
	if err != nil {
		return err
	}
	previous := ""
	for i, e := range lines {
		hash, err := store.HashEvent(previous, e)
		if err := follows(run, int64(i+1), e.Seq, hash, e.Hash, err); err != nil {
			return err
		}
		previous = e.Hash
	}
	return d.ends(ctx, run, int64(len(lines)), previous)
}

// follows checks one line against the one before.
func follows(chain string, want, seq int64, hash, have string, err error) error {
	switch {
	case err != nil:
		return err
	case seq != want:
		return &store.ChainError{Chain: chain, Seq: want, Why: "missing"}
	case hash != have:
		return &store.ChainError{Chain: chain, Seq: seq, Why: "changed"}
	}
	return nil
}

// ends checks that a chain has neither more nor fewer lines than were written.
func (d *DB) ends(ctx context.Context, chain string, n int64, last string) error {
	var seq int64
	var hash string
	err := d.db.QueryRowContext(ctx, d.bind("SELECT COALESCE(MAX(seq), 0), COALESCE(MAX(hash), '') FROM heads WHERE chain = ?"), chain).Scan(&seq, &hash)
	switch {
	case err != nil:
		return d.explain("read", err)
	case n < seq:
		return &store.ChainError{Chain: chain, Seq: n + 1, Why: "missing"}
	case n > seq || last != hash:
		return &store.ChainError{Chain: chain, Seq: seq + 1, Why: "more lines than were written"}
	}
	return nil
}

// Audit implements store.Store.
func (d *DB) Audit(ctx context.Context, e store.Entry) error {
	return d.explain("write", d.write(ctx, func(t *tx) error { return t.audit(e) }))
}

func (t *tx) audit(e store.Entry) error {
	seq, previous, err := t.head(auditChain)
	if err != nil {
		return err
	}
	e.Seq = seq + 1
	if e.Hash, err = store.HashEntry(previous, e); err != nil {
		return err
	}
	err = t.exec("INSERT INTO audit (seq, at, who, host, action, environment, subject, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		e.Seq, when(e.At), e.Who, e.Host, e.Action, e.Environment, e.Subject, string(e.Data), e.Hash)
	if err != nil {
		return err
	}
	return t.setHead(auditChain, e.Seq, e.Hash)
}

// AuditLog implements store.Store.
func (d *DB) AuditLog(ctx context.Context, env string, limit int) ([]store.Entry, error) {
	list, err := d.trail(ctx)
	if err != nil {
		return nil, err
	}
	var out []store.Entry
	for _, e := range list {
		if env == "" || e.Environment == env {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):], nil
}

func (d *DB) trail(ctx context.Context) ([]store.Entry, error) {
	rows, err := d.db.QueryContext(ctx, "SELECT seq, at, who, host, action, environment, subject, data, hash FROM audit ORDER BY seq")
	if err != nil {
		return nil, d.explain("read", err)
	}
	defer rows.Close()
	var out []store.Entry
	previous := ""
	for rows.Next() {
		var e store.Entry
		var at, data string
		if err := rows.Scan(&e.Seq, &at, &e.Who, &e.Host, &e.Action, &e.Environment, &e.Subject, &data, &e.Hash); err != nil {
			return nil, d.explain("read", err)
		}
		e.At, e.Data, e.Previous = parseTime(at), json.RawMessage(data), previous
		previous = e.Hash
		out = append(out, e)
	}
	return out, d.explain("read", rows.Err())
}

// VerifyAudit implements store.Store.
func (d *DB) VerifyAudit(ctx context.Context) (int, error) {
	list, err := d.trail(ctx)
	if err != nil {
		return 0, err
	}
	previous := ""
	for i, e := range list {
		hash, err := store.HashEntry(previous, e)
		if err := follows(auditChain, int64(i+1), e.Seq, hash, e.Hash, err); err != nil {
			return i, err
		}
		previous = e.Hash
	}
	return len(list), d.ends(ctx, auditChain, int64(len(list)), previous)
}
