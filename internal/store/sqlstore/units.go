package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/store"
)

const unitColumns = "environment, name, kind, layer, status, digest, inputs, outputs, depends_on, root, run, applied, version"

// Units implements store.Store.
func (d *DB) Units(ctx context.Context, env string) ([]store.Unit, error) {
	rows, err := d.db.QueryContext(ctx, d.bind("SELECT "+unitColumns+" FROM units WHERE environment = ? ORDER BY name"), env)
	if err != nil {
		return nil, d.explain("read", err)
	}
	defer rows.Close()
	var out []store.Unit
	for rows.Next() {
		var u store.Unit
		var outputs, depends, root, applied string
		err := rows.Scan(&u.Addr.Env, &u.Addr.Name, &u.Kind, &u.Layer, &u.Status, &u.Digest, &u.Inputs, &outputs, &depends, &root, &u.Run, &applied, &u.Version)
		if err != nil {
			return nil, d.explain("read", err)
		}
		if err := errors.Join(json.Unmarshal([]byte(outputs), &u.Outputs), json.Unmarshal([]byte(depends), &u.DependsOn)); err != nil {
			return nil, d.explain("read", fmt.Errorf("unit %s: %w", u.Addr, err))
		}
		u.Root, u.Applied = []byte(root), parseTime(applied)
		out = append(out, u)
	}
	return out, d.explain("read", rows.Err())
}

// PutUnit implements store.Store.
func (d *DB) PutUnit(ctx context.Context, u store.Unit, lines ...store.Event) error {
	outputs, err := json.Marshal(u.Outputs)
	if err != nil {
		return err
	}
	depends, err := json.Marshal(u.DependsOn)
	if err != nil {
		return err
	}
	return d.explain("write", d.write(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM units WHERE environment = ? AND name = ?", u.Addr.Env, u.Addr.Name); err != nil {
			return err
		}
		err := t.exec("INSERT INTO units ("+unitColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			u.Addr.Env, u.Addr.Name, u.Kind, u.Layer, string(u.Status), u.Digest, u.Inputs, string(outputs), string(depends), string(u.Root), u.Run, when(u.Applied), u.Version)
		if err != nil {
			return err
		}
		return t.append(lines)
	}))
}

// DeleteUnit implements store.Store.
func (d *DB) DeleteUnit(ctx context.Context, a addr.Unit, lines ...store.Event) error {
	return d.explain("write", d.write(ctx, func(t *tx) error {
		if err := t.exec("DELETE FROM units WHERE environment = ? AND name = ?", a.Env, a.Name); err != nil {
			return err
		}
		return t.append(lines)
	}))
}

const runColumns = "id, environment, operation, seal, who, host, pid, started, ended, status, resumes, error"

// StartRun implements store.Store.
func (d *DB) StartRun(ctx context.Context, r store.Run) error {
	return d.explain("write", d.write(ctx, func(t *tx) error {
		return t.exec("INSERT INTO runs ("+runColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			r.ID, r.Environment, r.Operation, r.Seal, r.Who, r.Host, r.PID, when(r.Started), when(r.Ended), string(r.Status), r.Resumes, r.Error)
	}))
}

// UpdateRun implements store.Store.
func (d *DB) UpdateRun(ctx context.Context, r store.Run) error {
	return d.explain("write", d.write(ctx, func(t *tx) error {
		return t.exec("UPDATE runs SET ended = ?, status = ?, resumes = ?, error = ? WHERE id = ?", when(r.Ended), string(r.Status), r.Resumes, r.Error, r.ID)
	}))
}

// ErrNoRun means that no run has the id.
var ErrNoRun = errors.New("there is no such run")

// Run implements store.Store.
func (d *DB) Run(ctx context.Context, id string) (store.Run, error) {
	list, err := d.runs(ctx, "WHERE id = ?", id)
	switch {
	case err != nil:
		return store.Run{}, err
	case len(list) == 0:
		return store.Run{}, fmt.Errorf("%w: %s", ErrNoRun, id)
	}
	return list[0], nil
}

// Runs implements store.Store.
func (d *DB) Runs(ctx context.Context, env string, limit int) ([]store.Run, error) {
	if env == "" {
		return d.runs(ctx, "ORDER BY started DESC, id DESC LIMIT ?", limit)
	}
	return d.runs(ctx, "WHERE environment = ? ORDER BY started DESC, id DESC LIMIT ?", env, limit)
}

func (d *DB) runs(ctx context.Context, where string, args ...any) ([]store.Run, error) {
	rows, err := d.db.QueryContext(ctx, d.bind("SELECT "+runColumns+" FROM runs "+where), args...)
	if err != nil {
		return nil, d.explain("read", err)
	}
	defer rows.Close()
	var out []store.Run
	for rows.Next() {
		var r store.Run
		var started, ended string
		if err := rows.Scan(&r.ID, &r.Environment, &r.Operation, &r.Seal, &r.Who, &r.Host, &r.PID, &started, &ended, &r.Status, &r.Resumes, &r.Error); err != nil {
			return nil, d.explain("read", err)
		}
		r.Started, r.Ended = parseTime(started), parseTime(ended)
		out = append(out, r)
	}
	return out, d.explain("read", rows.Err())
}

// head returns the last line of a chain.
func (t *tx) head(chain string) (seq int64, hash string, err error) {
	err = t.QueryRowContext(t.ctx, t.d.bind("SELECT seq, hash FROM heads WHERE chain = ?"), chain).Scan(&seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, "", nil
	}
	return seq, hash, err
}

func (t *tx) setHead(chain string, seq int64, hash string) error {
	if err := t.exec("DELETE FROM heads WHERE chain = ?", chain); err != nil {
		return err
	}
	return t.exec("INSERT INTO heads (chain, seq, hash) VALUES (?, ?, ?)", chain, seq, hash)
}
