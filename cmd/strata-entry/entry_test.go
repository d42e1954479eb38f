package main

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pod makes the folders that a pod mounts.
func pod(t *testing.T) places {
	t.Helper()
	dir := t.TempDir()
	p := places{secrets: filepath.Join(dir, "secrets"), tls: filepath.Join(dir, "tls"), data: filepath.Join(dir, "data"), run: filepath.Join(dir, "run")}
	for _, d := range []string{p.secrets, p.data, p.run} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.passwordFile(), []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConfig(t *testing.T) {
	p := pod(t)
	c, err := readConfig("postgres", p, []string{"STRATA_USERNAME=app", "STRATA_DATABASE=shop", "STRATA_EXTENSIONS=a, b,", "STRATA_MEMORY=33554432", "STRATA_SET_work_mem=4MB"})
	if err != nil {
		t.Fatal(err)
	}
	if c.password != "secret" || strings.Join(c.extensions, "|") != "a|b" || c.memory != 32<<20 || c.tls || c.settings["work_mem"] != "4MB" {
		t.Errorf("configuration: %+v", c)
	}
	_, err = readConfig("postgres", p, []string{"STRATA_USERNAME=a'b", "STRATA_MEMORY=1", "STRATA_SET_X=1", "STRATA_VERSIONING=maybe"})
	for _, want := range []string{"STRATA_USERNAME must be", "STRATA_DATABASE must be", "STRATA_MEMORY must be", `"X" is no name of a setting`, "STRATA_VERSIONING must be"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if err := os.WriteFile(p.passwordFile(), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig("redis", p, []string{"STRATA_USERNAME=app"}); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty password: %v", err)
	}
}

// fake is a service that a test decides about.
type fake struct {
	argv  []string
	setUp func(call int) error
	calls int
}

func (f *fake) prepare(context.Context, *config) (process, error) {
	return process{argv: f.argv, stop: syscall.SIGTERM}, nil
}

func (f *fake) provision(context.Context, *config) error {
	f.calls++
	return f.setUp(f.calls)
}

func (f *fake) answers(context.Context, *config) error { return nil }

func TestSupervise(t *testing.T) {
	failure := errors.New("no such extension")
	for name, test := range map[string]struct {
		argv   []string
		setUp  func(call int) error
		ready  bool // then it is stopped
		code   int
		reason string
	}{
		"stopped": {argv: []string{"sleep", "600"}, ready: true, setUp: func(call int) error {
			if call < 3 {
				return errWait
			}
			return nil
		}},
		"not set up":      {argv: []string{"sleep", "600"}, setUp: func(int) error { return failure }, code: 1, reason: "no such extension"},
		"ended by itself": {argv: []string{"sh", "-c", "exit 3"}, setUp: func(int) error { return errWait }, code: 3, reason: "ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pod(t)
			c := &config{places: p, service: "redis", seen: p.fingerprint()}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.ready {
				go func() {
					for ctx.Err() == nil {
						if _, err := os.Stat(c.ready()); err == nil {
							cancel()
						}
						time.Sleep(10 * time.Millisecond)
					}
				}()
			}
			code, err := supervise(ctx, &fake{argv: test.argv, setUp: test.setUp}, c, slog.New(slog.DiscardHandler))
			if code != test.code || (err != nil) != (test.reason != "") || err != nil && !strings.Contains(err.Error(), test.reason) {
				t.Errorf("code %d, %v; want %d, %q", code, err, test.code, test.reason)
			}
			if err := probe(t.Context(), c.places); err == nil || !strings.Contains(err.Error(), "not ready") {
				t.Errorf("the probe of a server that has ended: %v", err)
			}
		})
	}
}

// TestChanged has a password that changes after it was read and before the server starts.
func TestChanged(t *testing.T) {
	t.Parallel()
	c, err := readConfig("redis", pod(t), []string{"STRATA_USERNAME=app"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.passwordFile(), []byte("another\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// It ends by itself, so that a restart takes the new one.
	if code, err := supervise(t.Context(), &fake{argv: []string{"sleep", "600"}, setUp: func(int) error { return nil }}, c, slog.New(slog.DiscardHandler)); code != 0 || err != nil {
		t.Errorf("code %d, %v", code, err)
	}
}

func TestLock(t *testing.T) {
	c := &config{places: pod(t), service: "redis"}
	unlock, err := c.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.lock(); err == nil || !strings.Contains(err.Error(), "another server works on the volume") {
		t.Errorf("a second server: %v", err)
	}
	unlock()
	if unlock, err = c.lock(); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestLeftovers checks that nothing in the folder of sockets outlives a killed container:
// the lock of its server would name whoever has its process id now.
func TestLeftovers(t *testing.T) {
	c := &config{places: pod(t), service: "postgres"}
	left := filepath.Join(c.run, ".s.PGSQL.5432.lock")
	if err := os.WriteFile(left, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := c.lock()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if code, err := supervise(t.Context(), &fake{argv: []string{"true"}, setUp: func(int) error { return nil }}, c, log); code != 1 || err == nil {
		t.Fatalf("beside a running server: code %d, %v", code, err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Fatalf("the lock of a running server: %v", err)
	}
	unlock()
	if _, err := supervise(t.Context(), &fake{argv: []string{"true"}, setUp: func(int) error { return nil }}, c, log); err == nil {
		t.Fatal("a server that ends at once is no success")
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock of a killed server: %v", err)
	}
}

// TestScram checks what is kept of a password as a server does that is shown a proof
// (RFC 5802): StoredKey is the hash of a key that only the password gives.
func TestScram(t *testing.T) {
	verifier, err := scram("secret")
	if err != nil {
		t.Fatal(err)
	}
	head, keys, ok := strings.Cut(strings.TrimPrefix(verifier, "SCRAM-SHA-256$4096:"), "$")
	stored, _, both := strings.Cut(keys, ":")
	salt, err := base64.StdEncoding.DecodeString(head)
	if !ok || !both || err != nil {
		t.Fatalf("%q: %v", verifier, err)
	}
	salted, err := pbkdf2.Key(sha256.New, "secret", salt, 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, salted)
	h.Write([]byte("Client Key"))
	key := sha256.Sum256(h.Sum(nil))
	if want := base64.StdEncoding.EncodeToString(key[:]); stored != want {
		t.Errorf("stored key %s, want %s", stored, want)
	}
}

func TestUsage(t *testing.T) {
	if code, err := run(t.Context(), []string{"oracle"}, pod(t), slog.New(slog.DiscardHandler)); code != 2 || err == nil || !strings.Contains(err.Error(), "postgres | rabbitmq | redis") {
		t.Errorf("code %d, %v", code, err)
	}
}
