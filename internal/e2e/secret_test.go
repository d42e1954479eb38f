package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// planted are secrets that the caller has in the environment.
const planted = "planted-password-8f1c2b7d"

// TestSecrets plants a password in the caller's environment and takes the one that
// the cloud makes for a module. Neither is in what is printed, in the arguments of any
// process, or in any file but the cloud and the states and saved plans of OpenTofu,
// which are encrypted outside stand-ins.
func TestSecrets(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	w.env = append(w.env, "AWS_SECRET_ACCESS_KEY="+planted, "TF_VAR_password="+planted, "PGPASSWORD="+planted)
	// A module with a password that the cloud makes, which it passes on.
	w.edit("modules/bucket/main.tf", "output \"name\" {", `resource "aws_iam_user" "this" {
  name = var.name
}

resource "aws_iam_access_key" "this" {
  user = aws_iam_user.this.name
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-passed-on"
  assume_role_policy = "{}"
  description        = "has ${aws_iam_access_key.this.secret}"
}

output "name" {`)
	w.except("iam-user")
	file := filepath.Join(w.dir, "dev.plan")

	watch := arguments(w.strata, filepath.Dir(w.strata))
	var printed strings.Builder
	run := func(code int, args ...string) { printed.WriteString(w.must(code, args...)) }
	run(2, "plan", "dev", "--offline", "--full", "--file", file)
	run(0, "show", file, "-o", "json")
	run(0, "apply", file)
	run(0, "plan", "dev", "--offline", "--refresh")
	run(0, "output", "dev", "--offline")
	run(0, "output", "dev", "--offline", "-o", "json")
	run(0, "audit", "dev", "--offline", "-o", "json")
	var runs struct{ Runs []struct{ ID string } }
	if err := json.Unmarshal([]byte(w.stdout(0, "runs", "dev", "--offline", "-o", "json")), &runs); err != nil || len(runs.Runs) == 0 {
		t.Fatal(err)
	}
	run(0, "runs", runs.Runs[0].ID, "--offline", "-o", "json")
	run(2, "plan", "dev", "--offline", "--destroy", "--full")
	seen := watch()

	made := ""
	for name, attributes := range w.resources() {
		if strings.Contains(name, "aws_iam_access_key") {
			var a struct{ Secret string }
			if err := json.Unmarshal([]byte(attributes), &a); err != nil {
				t.Fatal(err)
			}
			made = a.Secret
		}
	}
	if len(made) < 8 {
		t.Fatalf("the cloud made no password: %q", made)
	}
	for what, secret := range map[string]string{"the planted password": planted, "the password that the cloud made": made} {
		if strings.Contains(printed.String(), secret) {
			t.Errorf("%s was printed", what)
		}
		if strings.Contains(seen, secret) {
			t.Errorf("%s is in the arguments of a process", what)
		}
		w.search(what, secret)
	}
}

// except takes an exception from a rule of policy.
func (w *world) except(rule string) {
	w.t.Helper()
	dir := filepath.Join(w.dir, "policies")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	text := "apiVersion: strata/v1alpha1\nkind: Exceptions\nmetadata: {name: tests}\nspec:\n  exceptions:\n    - rule: " + rule + "\n      address: \"*\"\n      reason: The test wants a secret in a state.\n      owner: web\n      expires: \"2099-01-01\"\n"
	if err := os.WriteFile(filepath.Join(dir, "exceptions.yaml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// search looks for a secret in all files but the states, which are encrypted outside
// stand-ins, and the cloud itself.
func (w *world) search(what, secret string) {
	w.t.Helper()
	err := filepath.WalkDir(filepath.Dir(w.dir), func(p string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(p, w.offline("state")) || strings.HasPrefix(p, w.offline("cloud")) {
			return err
		}
		b, err := os.ReadFile(p)
		if bytes.Contains(b, []byte(secret)) {
			w.t.Errorf("%s is in %s", what, p)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// arguments watches the arguments of this test's processes, those whose program is one
// of names, until the function that it returns is called, which returns them.
func arguments(names ...string) func() string {
	var mu sync.Mutex
	seen := map[string]bool{}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					continue
				}
				for _, n := range names {
					if bytes.Contains(b, []byte(n)) {
						mu.Lock()
						seen[string(b)] = true
						mu.Unlock()
					}
				}
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() string {
		close(done)
		<-ended
		mu.Lock()
		defer mu.Unlock()
		var all strings.Builder
		for s := range seen {
			all.WriteString(s + "\n")
		}
		return all.String()
	}
}
