package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stratahq/strata/internal/store"
)

const lockColumns = "environment, owner, host, pid, process_start, run, operation, since, seen"

// Acquire implements store.Store.
func (d *DB) Acquire(ctx context.Context, l store.Lock) error {
	var locked *store.LockedError
	err := d.write(ctx, func(t *tx) error {
		holder, held, err := t.lock(l.Environment)
		if err != nil {
			return err
		}
		if held {
			if alive, known := d.alive(holder); alive || !known {
				return &store.LockedError{Holder: holder}
			}
			if err := t.unlock(holder, l.Owner, l.Host, "lock-taken-over"); err != nil {
				return err
			}
		}
		return t.exec("INSERT INTO locks ("+lockColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			l.Environment, l.Owner, l.Host, l.PID, l.ProcessStart, l.Run, l.Operation, when(l.Since), when(l.Seen))
	})
	if errors.As(err, &locked) {
		return locked
	}
	return d.explain("write", err)
}

func scanLock(scan func(...any) error) (store.Lock, error) {
	var l store.Lock
	var since, seen string
	err := scan(&l.Environment, &l.Owner, &l.Host, &l.PID, &l.ProcessStart, &l.Run, &l.Operation, &since, &seen)
	l.Since, l.Seen = parseTime(since), parseTime(seen)
	return l, err
}

func (t *tx) lock(env string) (store.Lock, bool, error) {
	l, err := scanLock(t.QueryRowContext(t.ctx, t.d.bind("SELECT "+lockColumns+" FROM locks WHERE environment = ?"), env).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return l, false, nil
	}
	return l, err == nil, err
}

// unlock removes a lock that its owner did not give back, and says so.
func (t *tx) unlock(l store.Lock, who, host, action string) error {
	if err := t.exec("DELETE FROM locks WHERE environment = ?", l.Environment); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"owner": l.Owner, "host": l.Host, "pid": l.PID, "operation": l.Operation, "since": l.Since})
	if err != nil {
		return err
	}
	return t.audit(store.Entry{At: time.Now().UTC(), Who: who, Host: host, Action: action, Environment: l.Environment, Subject: l.Run, Data: data})
}

// own runs f if the lock is still l's.
func (d *DB) own(ctx context.Context, l store.Lock, f func(*tx) error) error {
	return d.explain("write", d.write(ctx, func(t *tx) error {
		have, ok, err := t.lock(l.Environment)
		switch {
		case err != nil:
			return err
		case !ok || have.Run != l.Run:
			return fmt.Errorf("%s, run %s: %w", l.Environment, l.Run, store.ErrLost)
		}
		return f(t)
	}))
}

// Renew implements store.Store.
func (d *DB) Renew(ctx context.Context, l store.Lock) error {
	return d.own(ctx, l, func(t *tx) error {
		return t.exec("UPDATE locks SET seen = ? WHERE environment = ?", when(l.Seen), l.Environment)
	})
}

// Release implements store.Store.
func (d *DB) Release(ctx context.Context, l store.Lock) error {
	return d.own(ctx, l, func(t *tx) error { return t.exec("DELETE FROM locks WHERE environment = ?", l.Environment) })
}

// Break implements store.Store.
func (d *DB) Break(ctx context.Context, expected store.Lock, who, host string) error {
	return d.own(ctx, expected, func(t *tx) error { return t.unlock(expected, who, host, "unlock") })
}

// Locks implements store.Store.
func (d *DB) Locks(ctx context.Context) ([]store.Lock, error) {
	rows, err := d.db.QueryContext(ctx, "SELECT "+lockColumns+" FROM locks ORDER BY environment")
	if err != nil {
		return nil, d.explain("read", err)
	}
	defer rows.Close()
	var out []store.Lock
	for rows.Next() {
		l, err := scanLock(rows.Scan)
		if err != nil {
			return nil, d.explain("read", err)
		}
		out = append(out, l)
	}
	return out, d.explain("read", rows.Err())
}
