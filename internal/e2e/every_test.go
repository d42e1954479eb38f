package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/provider/mirror"
)

// every is a root of a provider that has attributes and blocks of every kind.
type every struct {
	t   *testing.T
	dir string
	bin string
	env []string
}

func newEvery(t *testing.T) *every {
	t.Helper()
	bin := tools(t)
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "root"), os.DirFS("testdata/every")); err != nil {
		t.Fatal(err)
	}
	e := &every{t: t, dir: filepath.Join(dir, "root"), bin: bin}
	served := mirror.Provider{Source: "registry.opentofu.org/example/every", Version: "1.2.3", Command: []string{
		filepath.Join(bin, "strata"), "provider", "serve", "--stand-in", "every", "--schema", filepath.Join(e.dir, "schema.json"),
		"--cloud", filepath.Join(dir, "cloud"), "--fixtures", filepath.Join(e.dir, "fixtures.yaml"),
	}}
	if err := os.Mkdir(filepath.Join(dir, "cloud"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := mirror.Write(filepath.Join(dir, "mirror"), []mirror.Provider{served}); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(dir, "tofu.rc")
	if err := os.WriteFile(rc, mirror.CLIConfig(filepath.Join(dir, "mirror"), []string{served.Source}, "", false), 0o600); err != nil {
		t.Fatal(err)
	}
	e.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TF_CLI_CONFIG_FILE=" + rc, "CHECKPOINT_DISABLE=1"}
	return e
}

func (e *every) tofu(code int, args ...string) string {
	e.t.Helper()
	cmd := exec.Command(filepath.Join(e.bin, "tofu"), args...)
	cmd.Dir, cmd.Env = e.dir, e.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	if cmd.ProcessState.ExitCode() != code {
		e.t.Fatalf("tofu %v: exit code %d, want %d\n%s", args, cmd.ProcessState.ExitCode(), code, out.String())
	}
	return out.String()
}

func (e *every) edit(old, with string) {
	e.t.Helper()
	file := filepath.Join(e.dir, "main.tf")
	b, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(b, []byte(old)) {
		e.t.Fatal(err, old)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte(old), []byte(with), 1), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// TestEveryNesting serves a provider with attributes and blocks of every nesting, and
// has the real OpenTofu plan, apply, change, import and destroy what it offers.
func TestEveryNesting(t *testing.T) {
	e := newEvery(t)
	e.tofu(0, "init", "-input=false", "-no-color")
	e.tofu(0, "validate", "-no-color")
	out := e.tofu(2, "plan", "-no-color", "-detailed-exitcode", "-out=plan")
	for _, want := range []string{`made        = (known after apply)`, `token       = (sensitive value)`, `"forty-two"`} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("the plan lacks %s:\n%s", want, out)
		}
	}
	e.tofu(0, "apply", "-no-color", "plan")
	if out := e.tofu(0, "plan", "-no-color", "-detailed-exitcode"); !strings.Contains(out, "No changes") {
		t.Errorf("a second plan:\n%s", out)
	}
	// A change of a part leaves the other parts as they are.
	e.edit(`{ a = "second" }]`, `{ a = "changed" }]`)
	var plan struct {
		Changes []struct {
			Address string
			Change  struct {
				Actions []string
				After   struct{ Size, Made any }
			}
		} `json:"resource_changes"`
	}
	e.tofu(2, "plan", "-no-color", "-detailed-exitcode", "-out=plan")
	if err := json.Unmarshal([]byte(e.tofu(0, "show", "-json", "plan")), &plan); err != nil {
		t.Fatal(err)
	}
	for _, c := range plan.Changes {
		if c.Address == "every_thing.this" && (strings.Join(c.Change.Actions, "") != "update" || c.Change.After.Made == nil) {
			t.Errorf("%+v", c)
		}
	}
	e.tofu(0, "apply", "-no-color", "plan")
	e.tofu(0, "plan", "-no-color", "-detailed-exitcode")
	// What the state has forgotten is imported and is as it was.
	var state struct {
		Values struct {
			Root struct {
				Resources []struct {
					Address string
					Values  struct{ ID string }
				}
			} `json:"root_module"`
		}
	}
	if err := json.Unmarshal([]byte(e.tofu(0, "show", "-json")), &state); err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, r := range state.Values.Root.Resources {
		if r.Address == "every_thing.this" {
			id = r.Values.ID
		}
	}
	e.tofu(0, "state", "rm", "every_thing.this")
	e.tofu(0, "import", "-no-color", "every_thing.this", id)
	e.tofu(0, "plan", "-no-color", "-detailed-exitcode")
	e.tofu(1, "import", "-no-color", "every_thing.none", "nothing")
	e.tofu(0, "destroy", "-no-color", "-auto-approve")
	left := files(t, filepath.Join(filepath.Dir(e.dir), "cloud"), ".json")
	if len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
	// A question that no fixture answers is an error that says so.
	e.edit(`name = "known"`, `name = "unheard of"`)
	if out := e.tofu(1, "plan", "-no-color"); !strings.Contains(out, "unheard of") {
		t.Errorf("does not name the question:\n%s", out)
	}
}
