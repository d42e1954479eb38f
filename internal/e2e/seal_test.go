package e2e

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// approving returns a world whose environment asks for one approval that is not
// its author's, with keys in files for both people of the platform.
func approving(t *testing.T, bin string) *world {
	t.Helper()
	w := newWorld(t, bin, "testdata/repo")
	author, other := w.key("author"), w.key("other")
	w.edit("strata.yaml", `author@small.example: {keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"], groups: [platform]}`,
		`author@small.example: {keys: ["`+author+`"], groups: [platform]}
    other@small.example: {keys: ["`+other+`"], groups: [platform]}`)
	w.edit("environments/dev.yaml", "  region: eu-west-1\n", "  region: eu-west-1\n  approvals: {required: 1, groups: [platform], notAuthor: true}\n")
	return w
}

// key makes a key pair and returns the public half as strata.yaml has it.
func (w *world) key(name string) string {
	w.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.keyFile(name), pem.EncodeToMemory(block), 0o600); err != nil {
		w.t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line)))
}

func (w *world) keyFile(name string) string { return filepath.Join(filepath.Dir(w.dir), name) }

func (w *world) sealed() string {
	w.t.Helper()
	file := filepath.Join(w.dir, "dev.plan")
	w.must(2, "plan", "dev", "--offline", "--file", file)
	return file
}

// insideLargest returns a position within what the largest file of an archive contains.
func insideLargest(t *testing.T, b []byte) int64 {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f := slices.MaxFunc(z.File, func(a, b *zip.File) int { return cmp.Compare(a.CompressedSize64, b.CompressedSize64) })
	at, err := f.DataOffset()
	if err != nil {
		t.Fatal(err)
	}
	return at + int64(f.CompressedSize64/2) //nolint:gosec // a file of ours
}

// TestSeal tampers with everything that a plan rests on: apply refuses, says what
// differs, and changes nothing.
func TestSeal(t *testing.T) {
	bin := tools(t)
	for name, c := range map[string]struct {
		tamper func(w *world, file string)
		says   string
	}{
		"plan": {func(w *world, file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				w.t.Fatal(err)
			}
			b[insideLargest(w.t, b)] ^= 1
			if err := os.WriteFile(file, b, 0o600); err != nil {
				w.t.Fatal(err)
			}
		}, "plan"},
		"model": {func(w *world, _ string) { w.edit("environments/dev.yaml", "zones: 2", "zones: 3") }, "model"},
		"module": {func(w *world, _ string) {
			w.edit("modules/bucket/main.tf", `status = "Enabled"

    filter`, `status = "Disabled"

    filter`)
		}, "modules"},
		"policy": {func(w *world, _ string) {
			if err := os.MkdirAll(filepath.Join(w.dir, "policies"), 0o755); err != nil {
				w.t.Fatal(err)
			}
			rule := "package strata.plan\n\n# METADATA\n# title: Nothing\n# description: Nothing.\n# custom:\n#   id: nothing\n#   severity: low\n#   layer: security\ndeny contains \"never\" if false\n"
			if err := os.WriteFile(filepath.Join(w.dir, "policies", "own.rego"), []byte(rule), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}, "policy"},
	} {
		t.Run(name, func(t *testing.T) {
			w := approving(t, bin)
			file := w.sealed()
			w.must(0, "approve", file, "--as", "other@small.example", "--key", w.keyFile("other"), "--yes")
			c.tamper(w, file)
			out := w.must(1, "apply", file, "--yes")
			if !strings.Contains(out, c.says) {
				t.Errorf("does not say %q:\n%s", c.says, out)
			}
			if !strings.Contains(out, "Nothing was changed") {
				t.Errorf("does not say that nothing was changed:\n%s", out)
			}
			if len(w.cloud()) > 0 {
				t.Error("something was changed")
			}
		})
	}
}

// TestApprovals wants the approval of somebody else, by their own key, for this
// very plan.
func TestApprovals(t *testing.T) {
	w := approving(t, tools(t))
	file := w.sealed()
	refused := func(says string, args ...string) {
		t.Helper()
		if out := w.must(1, args...); !strings.Contains(out, says) {
			t.Errorf("strata %v does not say %q:\n%s", args, says, out)
		}
	}
	refused("approval", "apply", file)
	refused("author", "approve", file, "--key", w.keyFile("author"), "--yes")
	refused("key", "approve", file, "--as", "other@small.example", "--key", w.keyFile("author"), "--yes")
	refused("stranger@small.example", "approve", file, "--as", "stranger@small.example", "--key", w.keyFile("other"), "--yes")
	w.must(2, "show", file)
	w.must(2, "apply", "dev", "--offline", "--yes")
	if len(w.cloud()) > 0 {
		t.Fatal("something was changed without approval")
	}
	w.must(0, "approve", file, "--as", "other@small.example", "--key", w.keyFile("other"), "--yes")
	w.must(0, "show", file)

	// An approval is of one plan: another plan of the same has another seal.
	again := filepath.Join(w.dir, "again.plan")
	w.must(2, "plan", "dev", "--offline", "--file", again)
	refused("approval", "apply", again)

	w.must(0, "apply", file)
	var trail struct {
		Entries []struct{ Who, Action string }
	}
	if err := json.Unmarshal([]byte(w.stdout(0, "audit", "dev", "--offline", "-o", "json")), &trail); err != nil {
		t.Fatal(err)
	}
	if len(trail.Entries) < 3 || trail.Entries[0].Action != "plan-approved" || trail.Entries[0].Who != "other@small.example" {
		t.Errorf("the audit trail: %+v", trail.Entries)
	}
}

// TestPause changes the cloud behind a sealed plan's back: a unit whose second plan
// would replace what was not shown is left alone.
func TestPause(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	w.must(0, "apply", "dev", "--offline", "--yes")
	// With another number of zones the subnets are not known until they are made.
	w.edit("environments/dev.yaml", "zones: 2", "zones: 3")
	file := w.sealed()
	restore := func() {}
	for name, content := range w.cloud() {
		if strings.Contains(name, "aws_s3_bucket/") && strings.Contains(content, `"small-dev-mail-files"`) {
			text := strings.ReplaceAll(content, `"bucket":"small-dev-mail-files"`, `"bucket":"somebody-elses"`)
			text = strings.ReplaceAll(text, `"bucket": "small-dev-mail-files"`, `"bucket": "somebody-elses"`)
			if text == content {
				t.Fatalf("the bucket has no name in %s", content)
			}
			if err := os.WriteFile(w.offline("cloud", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			restore = func() {
				if err := os.WriteFile(w.offline("cloud", name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	out := w.must(2, "apply", file)
	for _, want := range []string{"paused", "workloads/mail/files", "replace aws_s3_bucket.this"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	// The pause left the unit as it was: a new plan shows what is to be done now, and
	// once the cloud is as it was, the approved plan goes on.
	if out := w.must(2, "plan", "dev", "--offline"); !strings.Contains(out, "-/+ aws_s3_bucket.this") {
		t.Errorf("the next plan does not show the replacement:\n%s", out)
	}
	restore()
	w.must(0, "apply", file)
	w.must(0, "plan", "dev", "--offline")
}

// TestPausePolicy has a rule about what is known only when the network is there: the
// plan passes, and the unit's second plan pauses the run.
func TestPausePolicy(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	if err := os.MkdirAll(filepath.Join(w.dir, "policies"), 0o755); err != nil {
		t.Fatal(err)
	}
	const rule = `package strata.plan

import data.strata.lib.plan

# METADATA
# title: Buckets name no subnets
# description: Subnets come and go.
# custom:
#   id: no-subnets
#   severity: high
#   layer: security
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_s3_bucket")
	contains(plan.value(rc, ["tags", "Subnets"]), "subnet-")
	msg := "the tags name subnets"
}
`
	if err := os.WriteFile(filepath.Join(w.dir, "policies", "own.rego"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	file := w.sealed()
	out := w.must(2, "apply", file)
	for _, want := range []string{"paused", "workloads/mail/files", "workloads/shop/files", "policy no-subnets denies it now: the tags name subnets"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	for name := range w.cloud() {
		if strings.Contains(name, "aws_s3_bucket/") && strings.Contains(w.cloud()[name], "Subnets") {
			t.Errorf("%s was made", name)
		}
	}
	// A plan of what is there now shows it, and cannot be applied.
	if out := w.must(2, "plan", "dev", "--offline"); !strings.Contains(out, "no-subnets") {
		t.Errorf("the next plan does not show it:\n%s", out)
	}
	w.must(1, "apply", "dev", "--offline", "--yes")
}

// TestIsolation has the provider report another account than the environment's: every
// plan fails, that of each single unit too, and so does a plan that was sealed with the
// right one.
func TestIsolation(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	account := filepath.Join(filepath.Dir(w.dir), "account")
	become := func(id string) {
		t.Helper()
		if err := os.WriteFile(account, []byte(id+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(args ...string) {
		t.Helper()
		out := w.must(1, append(args, "--stand-in=--account=@"+account)...)
		for _, want := range []string{"999999999999", "111122223333", "spec.account.id"} {
			if !strings.Contains(out, want) {
				t.Errorf("strata %v does not say %q:\n%s", args, want, out)
			}
		}
		if len(w.cloud()) > 0 {
			t.Fatalf("strata %v changed something", args)
		}
	}
	become("111122223333")
	file := filepath.Join(w.dir, "dev.plan")
	sealed := w.plan(2, "dev", "--file", file, "--stand-in=--account=@"+account)
	become("999999999999")
	refused("plan", "dev", "--offline")
	refused("apply", "dev", "--offline", "--yes")
	refused("bootstrap", "dev", "--offline", "--yes")
	for _, u := range sealed.Plan.Units {
		if u.Kind == "tofu" && u.Status != "existing" {
			refused("plan", "dev", "--offline", "--unit", strings.TrimPrefix(u.Address, "dev/"))
		}
	}
	if len(w.cluster()) > 0 {
		t.Error("something was changed in the cluster")
	}
	refused("apply", file)
	become("111122223333")
	w.must(0, "apply", file, "--stand-in=--account=@"+account)
}
