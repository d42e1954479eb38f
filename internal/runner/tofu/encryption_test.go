package tofu

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/store/storetest"
)

func TestEncryptionVariable(t *testing.T) {
	for name, c := range map[string]struct {
		e     Encryption
		holds []string
		err   string
	}{
		"none":       {Encryption{}, nil, ""},
		"aws":        {Encryption{AWSKey: "arn:aws:kms:eu-west-1:111122223333:key/k"}, []string{`"aws_kms"`, `"region":"eu-west-1"`, `"enforced":true`}, ""},
		"aws first":  {Encryption{AWSKey: "arn:aws:kms:eu-west-1:111122223333:key/k", Passphrase: strings.Repeat("p", 20)}, []string{`"aws_kms"`}, ""},
		"aws wrong":  {Encryption{AWSKey: "alias/state"}, nil, "no ARN"},
		"gcp":        {Encryption{GCPKey: "projects/p/locations/l/keyRings/r/cryptoKeys/k"}, []string{`"gcp_kms"`, `"key_length":32`}, ""},
		"passphrase": {Encryption{Passphrase: strings.Repeat("p", 16)}, []string{`"pbkdf2"`}, ""},
		"short":      {Encryption{Passphrase: "short"}, nil, "too short"},
		"migrating":  {Encryption{Passphrase: strings.Repeat("p", 16), Migrating: true}, []string{`"fallback"`, `"unencrypted"`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.e.Variable()
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || (len(got) == 1) == c.e.None() {
				t.Fatal(got, err)
			}
			for _, h := range c.holds {
				if !strings.Contains(got[0], h) {
					t.Errorf("%s lacks %s", got[0], h)
				}
			}
		})
	}
}

// root is a root with a resource of OpenTofu's own that keeps a value, below a module
// as Strata's roots have it.
const testRoot = `{
  "terraform": {"required_version": ">= 1.10", "backend": {"local": {"path": %q}}},
  "module": {"this": {"source": "./m"}},
  "output": {"id": {"value": "${module.this.id}"}}
}`

const testModule = `{
  "resource": {"terraform_data": {"kept": {"input": "planted-password-in-a-state"}}},
  "output": {"id": {"value": "${terraform_data.kept.id}"}}
}`

// realRunner returns a runner of the real OpenTofu with a task whose state is kept in
// a file.
func realRunner(t *testing.T, env ...string) (r *Runner, task engine.Task, state string) {
	t.Helper()
	binary, err := filepath.Abs("../../../bin/tofu")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		needs.Skip(t, "needs OpenTofu: make engines")
	}
	dir, saved := t.TempDir(), t.TempDir()
	state = filepath.Join(t.TempDir(), "state.tfstate")
	rc := filepath.Join(dir, "tofu.rc")
	if err := os.WriteFile(rc, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r = New(Config{LockTimeout: time.Second, Binary: binary, Version: "test", Dir: dir, Saved: saved, CLIConfig: rc, Env: append(Environ(os.Environ(), true, nil), append(env, "TF_CLI_CONFIG_FILE="+rc)...)})
	task = engine.Task{
		Unit: graph.Unit{Addr: addr.Unit{Env: "dev", Name: "kept"}, Kind: graph.Tofu}, Operation: plan.Apply, Emit: func(engine.Event) {},
		Root: []byte(strings.ReplaceAll(testRoot, "%q", `"`+state+`"`)),
	}
	m := filepath.Join(r.dir(task.Unit.Addr), "m")
	if err := os.MkdirAll(m, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m, "main.tf.json"), []byte(testModule), 0o600); err != nil {
		t.Fatal(err)
	}
	return r, task, state
}

// TestEncryptedState applies with the real OpenTofu: neither the state nor the saved
// plan holds a value in the clear, and without the passphrase nobody reads them.
func TestEncryptedState(t *testing.T) {
	e := Encryption{Passphrase: "a passphrase of some length"}
	v, err := e.Variable()
	if err != nil {
		t.Fatal(err)
	}
	r, task, state := realRunner(t, v...)
	p, err := r.Plan(context.Background(), task)
	if err != nil {
		t.Fatal(err)
	}
	if p.Counts.Create != 1 {
		t.Errorf("counts %+v", p.Counts)
	}
	if _, err := r.Apply(context.Background(), task, p.Saved); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{state, p.Saved} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("planted-password-in-a-state")) {
			t.Errorf("%s holds the value", file)
		}
	}
	again, err := r.Plan(context.Background(), task)
	if err != nil || !again.Idle {
		t.Errorf("the state cannot be read again: %v", err)
	}
	cfg := r.cfg
	cfg.Env = Environ(os.Environ(), true, nil)
	if _, err := New(cfg).Plan(context.Background(), task); err == nil {
		t.Error("the state can be read without the passphrase")
	}
}

// TestPostgresState keeps state in a real Postgres: it is there, nothing in it can be
// read without the passphrase, and another apply meanwhile is kept out.
func TestPostgresState(t *testing.T) {
	server := storetest.StartPostgres(t)
	url := server.Database(t, "states")
	v, err := Encryption{Passphrase: "a passphrase of some length"}.Variable()
	if err != nil {
		t.Fatal(err)
	}
	// OpenTofu's driver wants the socket as a parameter and no TLS on it.
	r, task, _ := realRunner(t, append(v, "PG_CONN_STR="+url+"&sslmode=disable")...)
	task.Root = []byte(`{
  "terraform": {"required_version": ">= 1.10", "backend": {"pg": {"schema_name": "dev/kept"}}},
  "module": {"this": {"source": "./m"}},
  "output": {"id": {"value": "${module.this.id}"}}
}`)
	ctx := context.Background()
	p, err := r.Plan(ctx, task)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(ctx, task, p.Saved); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Plan(ctx, task); err != nil || !again.Idle {
		t.Fatalf("the state cannot be read again: %v", err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var id, state string
	if err := db.QueryRow(`SELECT id, data FROM "dev/kept".states`).Scan(&id, &state); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(state, "planted") || !strings.Contains(state, "encrypted_data") {
		t.Error("the state in the database can be read")
	}
	brokenWrite(t, r, task, db)
	// Somebody else holds the lock, as the backend takes it.
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1::bigint)", id); err != nil {
		t.Fatal(err)
	}
	_, err = r.Plan(ctx, task)
	var f *engine.Failure
	if !errors.As(err, &f) || f.Cause != engine.CauseLocked {
		t.Errorf("with the state locked: %v", err)
	}
	// A server that does not answer.
	cfg := r.cfg
	cfg.Env = append(Environ(os.Environ(), true, nil), append(v, "PG_CONN_STR=postgres://nobody@127.0.0.1:1/none?sslmode=disable")...)
	_, err = New(cfg).Plan(ctx, task)
	if !errors.As(err, &f) || f.Cause != engine.CauseBackend {
		t.Errorf("without a server: %v", err)
	}
}

// brokenWrite lets the database refuse the state of an apply: OpenTofu leaves it in a
// file, encrypted, and recovery puts it where it belongs.
func brokenWrite(t *testing.T, r *Runner, task engine.Task, db *sql.DB) {
	t.Helper()
	ctx := context.Background()
	again := strings.Replace(testModule, "planted-password-in-a-state", "planted-password-in-another", 1)
	dir := r.dir(task.Unit.Addr)
	if err := os.WriteFile(filepath.Join(dir, "m", "main.tf.json"), []byte(again), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := r.Plan(ctx, task)
	if err != nil {
		t.Fatal(err)
	}
	const refuse = `CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE EXCEPTION ''the disk of the database is full''; END' LANGUAGE plpgsql;
		CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON "dev/kept".states EXECUTE FUNCTION refuse()`
	if _, err := db.Exec(refuse); err != nil {
		t.Fatal(err)
	}
	var f *engine.Failure
	if _, err := r.Apply(ctx, task, p.Saved); !errors.As(err, &f) {
		t.Fatalf("the state cannot be written: %v", err)
	}
	left, err := os.ReadFile(filepath.Join(dir, erroredState))
	if err != nil || bytes.Contains(left, []byte("planted")) {
		t.Errorf("what is left can be read: %v", err)
	}
	if _, err := r.Recover(ctx, task); err == nil {
		t.Error("recovered although the database still refuses")
	}
	if _, err := db.Exec(`DROP TRIGGER refuse ON "dev/kept".states`); err != nil {
		t.Fatal(err)
	}
	notes, err := r.Recover(ctx, task)
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "in its place") {
		t.Fatalf("%q %v", notes, err)
	}
	if _, err := os.Stat(filepath.Join(dir, erroredState)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
	if after, err := r.Plan(ctx, task); err != nil || !after.Idle {
		t.Errorf("after recovery something is left to do: %v", err)
	}
	// A state that had no room is passed over.
	for _, part := range [][]byte{nil, left[:len(left)/2]} {
		if err := os.WriteFile(filepath.Join(dir, erroredState), part, 0o600); err != nil {
			t.Fatal(err)
		}
		if notes, err = r.Recover(ctx, task); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "not whole") {
			t.Errorf("%q %v", notes, err)
		}
	}
	// A state that somebody has gone on from is not turned back.
	if err := os.WriteFile(filepath.Join(dir, erroredState), left, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "m", "main.tf.json"), []byte(testModule), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err = r.Plan(ctx, task); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(ctx, task, p.Saved); err != nil {
		t.Fatal(err)
	}
	if notes, err = r.Recover(ctx, task); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "out of date") {
		t.Errorf("%q %v", notes, err)
	}
	if after, err := r.Plan(ctx, task); err != nil || !after.Idle {
		t.Errorf("the state was turned back: %v", err)
	}
}
