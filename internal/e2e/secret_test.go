package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/provider/mirror"
	"github.com/stratahq/strata/internal/provider/strata"
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
	w.env = append(w.env, "STRATA_STATE_PASSPHRASE="+planted, "TF_TOKEN_registry_example="+planted)

	watch := arguments(w.strata, filepath.Dir(w.strata))
	var printed strings.Builder
	run := func(code int, args ...string) { printed.WriteString(w.must(code, args...)) }
	run(2, "plan", "dev", "--offline", "--full", "--file", file)
	run(0, "show", file, "-o", "json")
	// What a provider says when it fails may quote anything. It is shown, not kept.
	const quoted = "quoted-password-3a9d7e51"
	if out := w.must(1, "apply", "dev", "--offline", "--yes", "--stand-in=--fault=type=aws_vpc,op=create,nth=1,do=error:"+quoted+" is no password"); !strings.Contains(out, quoted) {
		t.Errorf("the provider's words are not shown:\n%s", out)
	}
	run(2, "plan", "dev", "--offline", "--full", "--file", file)
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
	w.search("what a provider quoted", quoted)
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
		if bytes.Contains(b, []byte(secret)) || packed(b, secret) {
			w.t.Errorf("%s is in %s", what, p)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// packed looks for a secret in what a plan's file packs, except OpenTofu's saved plans,
// which hold the state.
func packed(b []byte, secret string) bool {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return false // no such file
	}
	for _, e := range z.File {
		if path.Base(e.Name) == plan.SavedPlan {
			continue
		}
		r, err := e.Open()
		if err != nil {
			return true // it cannot be told
		}
		content, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || bytes.Contains(content, []byte(secret)) {
			return true
		}
	}
	return false
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

// TestStrataProvider makes a secret with Strata's own provider: OpenTofu knows its
// path and never its value.
func TestStrataProvider(t *testing.T) {
	bin := tools(t)
	dir := t.TempDir()
	store := filepath.Join(dir, "secrets")
	served := mirror.Provider{Source: strata.Source, Version: strata.Version, Command: []string{filepath.Join(bin, "strata"), "provider", "serve", "--secrets", store}}
	if err := mirror.Write(filepath.Join(dir, "mirror"), []mirror.Provider{served}); err != nil {
		t.Fatal(err)
	}
	e := &every{t: t, dir: filepath.Join(dir, "root"), bin: bin}
	rc := filepath.Join(dir, "tofu.rc")
	e.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1"}
	root := `terraform {
  required_providers {
    strata = { source = "stratahq/strata", version = ">= 0.1, < 2" }
  }
}

provider "strata" {
  platform    = "small"
  environment = "local"
}

resource "strata_secret" "this" {
  path = "small/local/db/password"
}

output "reference" {
  value = strata_secret.this.id
}
`
	for file, text := range map[string]string{rc: string(mirror.CLIConfig(filepath.Join(dir, "mirror"), []string{served.Source}, "", false)), filepath.Join(e.dir, "main.tf"): root} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	e.tofu(0, "init", "-input=false", "-no-color")
	e.tofu(0, "apply", "-no-color", "-auto-approve")
	file := filepath.Join(store, "small", "local", "db", "password.secret")
	value := read(t, file)
	if len(value) != 32 {
		t.Errorf("%d characters", len(value))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", info.Mode(), err)
	}
	if bytes.Contains([]byte(read(t, filepath.Join(e.dir, "terraform.tfstate"))), []byte(value)) {
		t.Error("the state has the value")
	}
	e.tofu(0, "plan", "-no-color", "-detailed-exitcode")
	// It is taken over as it is, and made again when somebody removed it.
	e.tofu(0, "state", "rm", "strata_secret.this")
	e.tofu(0, "import", "-no-color", "strata_secret.this", "small/local/db/password")
	e.tofu(0, "plan", "-no-color", "-detailed-exitcode")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	e.tofu(0, "apply", "-no-color", "-auto-approve")
	if again := read(t, file); again == value || len(again) != 32 {
		t.Error("it is not a new one")
	}
	for bad, says := range map[string]string{`path = "../outside"`: "no path of a secret", "path = \"small/x\"\n  length = 3": "16 to 128"} {
		if err := os.WriteFile(filepath.Join(e.dir, "main.tf"), []byte(strings.Replace(root, `path = "small/local/db/password"`, bad, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := e.tofu(1, "apply", "-no-color", "-auto-approve"); !strings.Contains(strings.Join(strings.Fields(out), " "), says) {
			t.Errorf("%s: does not say %q:\n%s", bad, says, out)
		}
	}
	e.tofu(0, "destroy", "-no-color", "-auto-approve")
	if left := files(t, store, ".secret"); len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
