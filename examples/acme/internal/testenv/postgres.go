package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres is a server of a test's own.
type Postgres struct {
	port    int
	command func() *exec.Cmd
	process *Process
}

// StartPostgres starts a server. The test is skipped where Postgres is not installed.
func StartPostgres(t *testing.T, ca CA) *Postgres {
	t.Helper()
	initdb, err := exec.LookPath("initdb")
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err != nil && len(found) > 0 {
		initdb, err = found[len(found)-1], nil
	}
	if err != nil {
		lacks(t, "needs Postgres: make deps")
	}
	initdb, err = filepath.EvalSymlinks(initdb)
	check(t, err)
	dir := Dir(t, "pg")
	attr := as(t, "postgres", dir)
	// Postgres wants its key to be its own and secret.
	key := filepath.Join(dir, "key.pem")
	copyKey(t, ca.Key, key, attr)
	run := func(program string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(filepath.Dir(initdb), program), args...)
		cmd.SysProcAttr, cmd.Dir, cmd.Env = attr, dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p := &Postgres{port: FreePort(t)}
	p.command = func() *exec.Cmd {
		return run("postgres", "-D", data, "-k", dir, "-p", fmt.Sprint(p.port), "-c", "listen_addresses=127.0.0.1",
			"-c", "ssl=on", "-c", "ssl_cert_file="+ca.Cert, "-c", "ssl_key_file="+key)
	}
	p.Start(t)
	return p
}

func copyKey(t *testing.T, from, to string, attr *syscall.SysProcAttr) {
	t.Helper()
	b, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, b, 0o600))
	if attr.Credential != nil {
		check(t, os.Chown(to, int(attr.Credential.Uid), int(attr.Credential.Gid)))
	}
}

// Start starts the server again after Kill.
func (p *Postgres) Start(t *testing.T) {
	t.Helper()
	p.process = start(t, p.command())
	p.process.Until(t, "Postgres answers", func() error {
		conn, err := pgx.Connect(t.Context(), p.url("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// Kill ends the server as a crash would.
func (p *Postgres) Kill() { p.process.Kill() }

func (p *Postgres) url(database string) string {
	return fmt.Sprintf("postgres://postgres:secret@localhost:%d/%s?sslmode=require", p.port, database)
}

// Database makes an empty database and returns its URL.
func (p *Postgres) Database(t *testing.T, name string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.url("postgres"))
	check(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+pgx.Identifier{strings.ToLower(name)}.Sanitize())
	check(t, err)
	return p.url(strings.ToLower(name))
}
