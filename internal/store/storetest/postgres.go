package storetest

import (
	"database/sql"
	"errors"
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

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/stratahq/strata/internal/needs"
)

// Postgres is a server of a test's own, which listens on a socket in its folder.
type Postgres struct{ socket string }

// URL returns how a database of the server is reached.
func (s Postgres) URL(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.socket}, "user": {"postgres"}}.Encode()
}

// Database makes a database unless it is there, and returns its URL.
func (s Postgres) Database(t *testing.T, name string) string {
	t.Helper()
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE " + name); err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
	return s.URL(name)
}

// StartPostgres starts a server that ends with the test, which is skipped where there
// is no Postgres. As root it runs as the user postgres, because Postgres refuses to run
// as root.
func StartPostgres(t *testing.T) Postgres {
	t.Helper()
	initdb, err := exec.LookPath("initdb")
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err != nil && len(found) > 0 {
		initdb, err = found[len(found)-1], nil
	}
	if err != nil {
		needs.Skip(t, "needs Postgres: make deps")
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
			needs.Skip(t, "needs the user postgres, because Postgres does not run as root: make deps")
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
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it ends by a signal
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // a fast shutdown
		<-ended
	})
	s := Postgres{dir}
	// How long it may take is for a busy machine to say; all tests have an end.
	end := time.Now().Add(10 * time.Minute)
	if last, ok := t.Deadline(); ok {
		end = last.Add(-30 * time.Second)
	}
	for time.Now().Before(end) {
		select {
		case <-ended:
			t.Fatalf("Postgres has ended:\n%s", log.String())
		default:
		}
		db, err := sql.Open("pgx", s.URL("postgres"))
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
