// Package sqlstore keeps a store.Store in sqlite or Postgres, with the same SQL. What
// is stored and how lines are chained is package store's business.
package sqlstore

import (
	"context"
	"database/sql"
	_ "embed" // the schema
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"modernc.org/sqlite"               // the driver "sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/stratahq/strata/internal/store"
)

//go:embed schema.sql
var schema string

// Version is the version of the schema. A database of a later one is refused.
const Version = 1

// DB is a Store in a database.
type DB struct {
	db       *sql.DB
	postgres bool
	name     string // for messages, without a password
	host     string
	alive    func(store.Lock) (alive, known bool)
}

var _ store.Store = (*DB)(nil)

// Open opens a store, and makes it if there is none: a path of a sqlite file, or a
// postgres:// URL. Errors name the file or the URL without its password.
func Open(ctx context.Context, where string) (*DB, error) {
	d := &DB{name: where}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this machine: %w", err)
	}
	d.host = host
	d.alive = func(l store.Lock) (bool, bool) { return store.Alive(l, host) }
	if strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://") {
		err = d.openPostgres(where)
	} else {
		err = d.openSqlite(where)
	}
	if err != nil {
		return nil, err
	}
	if err := d.begin(ctx); err != nil {
		return nil, errors.Join(d.explain("open", err), d.db.Close())
	}
	return d, nil
}

// patience is how long a store may be in somebody else's hands.
const patience = time.Minute

// begin makes the tables of a new store. Who opens a new file of sqlite turns its
// journal into a write-ahead log, and of two who do so at once sqlite refuses one
// without waiting, whatever its busy timeout says.
func (d *DB) begin(ctx context.Context) error {
	return again(ctx, func() error { return d.migrate(ctx) })
}

// again calls f until sqlite does not say that somebody else has the store. Its busy
// timeout is no queue: who has waited for long asks seldom, and those who come later are
// served first. A new call asks often again.
func again(ctx context.Context, f func() error) error {
	limit := time.Now().Add(patience)
	for {
		err := f()
		var failed *sqlite.Error
		if !errors.As(err, &failed) || failed.Code()&0xff != sqlitelib.SQLITE_BUSY || time.Now().After(limit) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(10*time.Millisecond + rand.N(20*time.Millisecond)):
		}
	}
}

func (d *DB) openSqlite(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return d.explain("make the folder of", err)
	}
	// Made here, so that it is nobody else's to read from the first byte on.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return d.explain("open", err)
	}
	if err := f.Close(); err != nil {
		return d.explain("open", err)
	}
	// A run may be killed and the power may fail: what was acknowledged stays.
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	d.db, err = sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return d.explain("open", err)
	}
	// One writer at a time is all that sqlite has; waiting here is cheaper.
	d.db.SetMaxOpenConns(1)
	return nil
}

func (d *DB) openPostgres(where string) error {
	u, err := url.Parse(where)
	if err != nil {
		d.name = "the Postgres URL"
		return fmt.Errorf("the store's URL is not valid; it is not shown here because it may hold a password")
	}
	d.name = u.Redacted()
	q := u.Query()
	if q.Get("connect_timeout") == "" {
		q.Set("connect_timeout", "10")
	}
	u.RawQuery = q.Encode()
	d.postgres = true
	d.db, err = sql.Open("pgx", u.String())
	if err != nil {
		return fmt.Errorf("open the store %s: the URL is not valid", d.name)
	}
	d.db.SetMaxOpenConns(8)
	return nil
}

// Close closes the database.
func (d *DB) Close() error { return d.db.Close() }

// explain adds to an error which store it is about and what to do.
func (d *DB) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	remedy := ""
	switch {
	case strings.Contains(text, "database or disk is full"), strings.Contains(text, "no space left"):
		remedy = "; make room and run the same command again"
	case strings.Contains(text, "disk I/O error"):
		// sqlite says so as well when it has no room for what it shares between processes.
		remedy = "; the disk is full or broken: make room and run the same command again"
	case strings.Contains(text, "not a database"), strings.Contains(text, "malformed"):
		remedy = "; the file is damaged or not Strata's: put a backup in its place"
	case strings.Contains(text, "readonly"), strings.Contains(text, "permission denied"):
		remedy = "; see that you may write it"
	case strings.Contains(text, "SQLITE_BUSY"):
		remedy = "; somebody else is writing it all the time: run the same command again when that has ended"
	case d.postgres:
		remedy = "; see that the database is there and that you may reach it"
	}
	return fmt.Errorf("%s the store %s: %w%s", what, d.name, err, remedy)
}

// migrate makes the tables in an empty database and refuses one of a later version.
func (d *DB) migrate(ctx context.Context) error {
	have, err := d.version(ctx)
	if err != nil || have == Version {
		return err
	}
	return d.writeOnce(ctx, func(tx *tx) error {
		// Another process may have been quicker.
		have, err := tx.version()
		switch {
		case err != nil:
			return err
		case have == Version:
			return nil
		case have > Version:
			return fmt.Errorf("it has version %d of the schema and was made by a later Strata; this one knows version %d", have, Version)
		}
		for _, stmt := range strings.Split(schema, ";\n") {
			if strings.TrimSpace(stmt) == "" {
				continue
			}
			if err := tx.exec(stmt); err != nil {
				return err
			}
		}
		if d.postgres {
			return tx.exec("INSERT INTO strata_schema (version) VALUES (?)", Version)
		}
		return tx.exec("PRAGMA user_version = " + strconv.Itoa(Version))
	})
}

func (d *DB) version(ctx context.Context) (int, error) {
	var v int
	if d.postgres {
		if _, err := d.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS strata_schema (version INTEGER NOT NULL)"); err != nil {
			return 0, err
		}
		err := d.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM strata_schema").Scan(&v)
		return v, d.later(v, err)
	}
	err := d.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, d.later(v, err)
}

func (d *DB) later(v int, err error) error {
	if err == nil && v > Version {
		return fmt.Errorf("it has version %d of the schema and was made by a later Strata; this one knows version %d", v, Version)
	}
	return err
}

// tx is a transaction that writes.
type tx struct {
	*sql.Tx
	ctx context.Context //nolint:containedctx // it lives as long as one call
	d   *DB
}

// write runs f in a transaction that no other writer overlaps. f may be called several
// times, of which one counts.
func (d *DB) write(ctx context.Context, f func(*tx) error) error {
	return again(ctx, func() error { return d.writeOnce(ctx, f) })
}

func (d *DB) writeOnce(ctx context.Context, f func(*tx) error) error {
	t, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	w := &tx{t, ctx, d}
	if d.postgres {
		const key = 0x737472617461 // "strata"
		if _, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(key)); err != nil {
			return errors.Join(err, t.Rollback())
		}
	}
	if err := f(w); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Commit()
}

func (t *tx) version() (int, error) {
	var v int
	q := "PRAGMA user_version"
	if t.d.postgres {
		q = "SELECT COALESCE(MAX(version), 0) FROM strata_schema"
	}
	return v, t.QueryRowContext(t.ctx, q).Scan(&v)
}

func (t *tx) exec(q string, args ...any) error {
	_, err := t.ExecContext(t.ctx, t.d.bind(q), args...)
	return err
}

// bind writes placeholders as the database wants them.
func (d *DB) bind(q string) string {
	if !d.postgres {
		return q
	}
	var b strings.Builder
	n := 0
	for _, r := range q {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(store.TimeFormat)
}

func parseTime(s string) time.Time {
	t, err := time.Parse(store.TimeFormat, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
