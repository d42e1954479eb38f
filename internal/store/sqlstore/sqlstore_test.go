package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
	server := postgres(t)
	storetest.Run(t, func(t *testing.T, name string) store.Store {
		return opened(t, server.database(t, short(name)))
	})
}

// server is a Postgres of this test's own, which listens on a socket in its folder.
type server struct{ socket string }

func (s server) url(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.socket}, "user": {"postgres"}}.Encode()
}

// database makes a database unless it is there.
func (s server) database(t *testing.T, name string) string {
	t.Helper()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
	return s.url(name)
}

// postgres starts a server. As root it runs as the user postgres, because Postgres
// refuses to run as root.
func postgres(t *testing.T) server {
	t.Helper()
	initdb, err := exec.LookPath("initdb")
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err != nil && len(found) > 0 {
		initdb, err = found[len(found)-1], nil
	}
	if err != nil {
		t.Skip("needs Postgres: make deps")
	}
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pg") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("needs the user postgres, because Postgres does not run as root: make deps")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // from the user database
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(filepath.Dir(initdb), program), args...)
		cmd.SysProcAttr, cmd.Dir, cmd.Env = attr, dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	cmd := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // a fast shutdown
		<-ended
	})
	s := server{dir}
	for range 300 {
		db, err := sql.Open("pgx", s.url("postgres"))
		if err == nil {
			err = errors.Join(db.Ping(), db.Close())
		}
		if err == nil {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("Postgres does not answer")
	return s
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
