package tofu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/needs"
)

// objectStore starts an object store with one bucket on this machine. It returns its
// URL and the folder that it keeps everything in.
func objectStore(t *testing.T, bucket string) (url, dir string) {
	t.Helper()
	binary, err := filepath.Abs("../../../bin/strata-objectstore")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		needs.Skip(t, "needs an object store: make engines")
	}
	dir = t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-key-of-a-test"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", freeport.Get(t))
	cmd := exec.Command(binary, "-dir", dir, "-address", address, "-region", "eu-west-1", "-access-key", "test", "-secret-file", secret, "-bucket", bucket)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for range 1200 {
		if r, err := http.Get("http://" + address + "/-/healthy"); err == nil {
			_ = r.Body.Close()
			return "http://" + address, dir
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the object store does not answer:\n%s", log.String())
	return "", ""
}

// TestS3State keeps state in a bucket with the settings that roots have: nothing in it
// can be read without the passphrase, a lock beside it keeps others out, and is removed
// by its id.
func TestS3State(t *testing.T) {
	url, dir := objectStore(t, "states")
	v, err := Encryption{Passphrase: "a passphrase of some length"}.Variable()
	if err != nil {
		t.Fatal(err)
	}
	r, task, _ := realRunner(t, append(v, "AWS_ENDPOINT_URL_S3="+url, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=a-secret-key-of-a-test", "AWS_EC2_METADATA_DISABLED=true")...)
	// What a store that is not AWS's asks for besides.
	const other = `"skip_credentials_validation": true, "skip_requesting_account_id": true, "skip_region_validation": true, "use_path_style": true`
	task.Root = []byte(`{
  "terraform": {"required_version": ">= 1.10", "backend": {"s3": {
    "bucket": "states", "key": "dev/kept/terraform.tfstate", "region": "eu-west-1", "encrypt": true, "use_lockfile": true, ` + other + `
  }}},
  "module": {"this": {"source": "./m"}},
  "output": {"id": {"value": "${module.this.id}"}}
}`)
	ctx := context.Background()
	p, err := r.Plan(ctx, task)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if _, err := r.Apply(ctx, task, p.Saved); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Plan(ctx, task); err != nil || !again.Idle {
		t.Fatalf("the state cannot be read again: %v", err)
	}
	state := ""
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("planted")) {
			t.Errorf("%s can be read", path)
		}
		if bytes.Contains(b, []byte("encrypted_data")) {
			state = path
		}
		return err
	})
	if err != nil || state == "" {
		t.Fatalf("there is no state in the bucket: %v", err)
	}
	// Somebody holds the lock, or left it behind.
	const id = "3f1c2b6e-0000-0000-0000-000000000000"
	lock := state + ".tflock"
	if err := os.WriteFile(lock, []byte(`{"ID":"`+id+`","Operation":"OperationTypeApply","Who":"somebody@far-away","Version":"1.12.6","Created":"2026-01-02T03:04:05Z","Path":"states/dev/kept/terraform.tfstate"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	sameAttributes(t, state, lock)
	var f *engine.Failure
	if _, err = r.Plan(ctx, task); !errors.As(err, &f) || f.Cause != engine.CauseLocked || !strings.Contains(f.Problems[0].Detail, id) || !strings.Contains(f.Next, "strata unlock dev --state kept") {
		t.Fatalf("with the state locked: %+v", err)
	}
	if err := r.ForceUnlock(ctx, task, id); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Plan(ctx, task); err != nil || !again.Idle {
		t.Errorf("after the lock was removed: %v", err)
	}
	// Credentials that are not those of the store.
	cfg := r.cfg
	cfg.Env = append(append([]string{}, cfg.Env...), "AWS_SECRET_ACCESS_KEY=another")
	if _, err = New(cfg).Plan(ctx, task); !errors.As(err, &f) || f.Cause != engine.CauseCredentials {
		t.Errorf("with other credentials: %v", err)
	}
}

// sameAttributes gives a file the extended attributes of another one: by them the store
// knows what is an object.
func sameAttributes(t *testing.T, from, to string) {
	t.Helper()
	names := make([]byte, 4096)
	n, err := unix.Listxattr(from, names)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		value := make([]byte, 4096)
		n, err := unix.Getxattr(from, name, value)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Setxattr(to, name, value[:n], 0); err != nil {
			t.Fatal(err)
		}
	}
}
