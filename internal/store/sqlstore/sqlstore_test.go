package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/store"
	"github.com/stratahq/strata/internal/store/storetest"
)

func opened(t *testing.T, where string) *DB {
	t.Helper()
	s, err := Open(context.Background(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func short(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "t" + hex.EncodeToString(sum[:8])
}

func TestSqlite(t *testing.T) {
	dir := t.TempDir()
	storetest.Run(t, func(t *testing.T, name string) store.Store {
		return opened(t, filepath.Join(dir, short(name), "strata.db"))
	})
}

func TestPostgres(t *testing.T) {
	server := storetest.StartPostgres(t)
	storetest.Run(t, func(t *testing.T, name string) store.Store {
		return opened(t, server.Database(t, short(name)))
	})
}

// TestTampered changes what was written behind the store's back.
func TestTampered(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct{ sql, why string }{
		"changed":   {"UPDATE events SET type = 'other' WHERE seq = 2", "changed"},
		"data":      {"UPDATE events SET data = '{\"b\":2}' WHERE seq = 1", "changed"},
		"removed":   {"DELETE FROM events WHERE seq = 2", "missing"},
		"last":      {"DELETE FROM events WHERE seq = 3", "missing"},
		"all":       {"DELETE FROM events", "missing"},
		"added":     {"INSERT INTO events SELECT run, 4, at, unit, type, data, hash FROM events WHERE seq = 3", ""},
		"audit":     {"UPDATE audit SET who = 'somebody else' WHERE seq = 1", "audit"},
		"audit end": {"DELETE FROM audit WHERE seq = 2", "audit"},
	} {
		t.Run(name, func(t *testing.T) {
			d := opened(t, filepath.Join(t.TempDir(), "strata.db"))
			for i := range 3 {
				e := store.Event{Run: "r", At: time.Now(), Type: fmt.Sprint("t", i), Data: []byte(`{"a":1}`)}
				if err := errors.Join(d.Append(ctx, e), d.Audit(ctx, store.Entry{At: time.Now(), Who: "a@b", Action: "x"})); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := d.db.Exec(c.sql); err != nil {
				t.Fatal(err)
			}
			run := d.VerifyRun(ctx, "r")
			_, audit := d.VerifyAudit(ctx)
			var chain *store.ChainError
			if c.why == "audit" {
				if run != nil || !errors.As(audit, &chain) {
					t.Errorf("run %v, audit %v", run, audit)
				}
				return
			}
			if audit != nil || !errors.As(run, &chain) || !strings.Contains(run.Error(), c.why) {
				t.Errorf("run %v, audit %v", run, audit)
			}
		})
	}
}

// TestBusy writes while somebody else does for longer than sqlite waits.
func TestBusy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "strata.db")
	d, other := opened(t, file), opened(t, file)
	if _, err := d.db.Exec("PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	write := func(ctx context.Context) error { return d.Audit(ctx, store.Entry{At: time.Now(), Action: "x"}) }
	tx, err := other.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := write(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("when nobody waits for it any more: %v", err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- write(t.Context()) }()
	select {
	case err := <-wrote:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(200 * time.Millisecond): // long enough to be turned away
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if n, err := d.VerifyAudit(t.Context()); n != 1 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	later := filepath.Join(dir, "later.db")
	d := opened(t, later)
	if _, err := d.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ where, says, hides string }{
		"no database": {write("text.db", strings.Repeat("this is a text, not a database. ", 100)), "put a backup in its place", ""},
		"a folder":    {dir, "open the store", ""},
		"unreachable": {"postgres://me:planted-password@127.0.0.1:1/x", "see that the database is there", "planted-password"},
		"no URL":      {"postgres://me:planted-password@[::1/x", "not valid", "planted-password"},
	} {
		_, err := Open(context.Background(), c.where)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && c.hides != "" && strings.Contains(err.Error(), c.hides) {
			t.Errorf("%s shows the password: %v", name, err)
		}
	}
	if _, err := Open(context.Background(), later); err == nil || !strings.Contains(err.Error(), "later Strata") {
		t.Errorf("a later schema: %v", err)
	}
}
