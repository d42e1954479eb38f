package plan_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/plan"
)

var (
	made    = time.Date(2026, 7, 3, 10, 15, 0, 0, time.UTC)
	network = addr.Foundation("prod", "network")
	web     = addr.Workload("prod", "web")
)

const saved = "the runner's saved plan"

// sample is a small plan with everything in it that has a form of its own.
func sample() *plan.Plan {
	return &plan.Plan{
		Format: plan.Format, Version: "v0.3.0", Environment: "prod", Operation: plan.Apply, Created: made, Author: "Ana@acme.example",
		Digests: plan.Digests{Model: "m1", Modules: "o1", Policy: "p1", Findings: "f1"},
		Units: []plan.Unit{
			{
				Addr: network, Layer: "networking", Kind: "tofu", Contract: "network", Status: plan.Changes, Counts: plan.Counts{Create: 1},
				Changes: []plan.Change{{Address: "aws_vpc.this", Type: "aws_vpc", Action: plan.Create, Attributes: []plan.Attribute{
					{Path: "cidr_block", After: "10.30.0.0/16"}, {Path: "tags", After: map[string]any{"b": nil, "a": []any{1.5, 1e30, true, "<\u2028>"}}}, {Path: "id", Unknown: true},
				}}},
			},
			{Addr: web, Layer: "runtime", Kind: "kube", Status: plan.Unchanged, DependsOn: []addr.Unit{network}},
		},
		Findings: []plan.Finding{{Rule: "r", Severity: "high", Summary: "s"}},
	}
}

// write writes the sample with its blobs and returns its path.
func write(t testing.TB, change func(*plan.Plan)) string {
	t.Helper()
	p := sample()
	name := filepath.Join(t.TempDir(), "prod.plan")
	w, err := plan.NewWriter(name, p)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	// Not in the order of the file.
	for _, b := range []struct {
		unit       addr.Unit
		name, text string
	}{{web, "objects.json", strings.Repeat("objects ", 40)}, {network, plan.SavedPlan, saved}, {network, "plan.json", "{}"}} {
		digest, err := w.Add(b.unit, b.name, strings.NewReader(b.text))
		if err != nil {
			t.Fatal(err)
		}
		if b.name == plan.SavedPlan {
			p.Units[0].Saved = digest
		}
	}
	if change != nil {
		change(p)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t testing.TB, name string) *plan.File {
	t.Helper()
	f, err := plan.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mustSigner(t testing.TB, key any, err error) ssh.Signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signer makes a new key.
func signer(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return mustSigner(t, key, err)
}

func ecdsaSigner(t testing.TB) ssh.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return mustSigner(t, key, err)
}

func rsaSigner(t testing.TB, bits int) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	return mustSigner(t, key, err)
}

func line(s ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

func person(groups string, keys ...ssh.Signer) model.Person {
	p := model.Person{Groups: strings.Fields(groups)}
	for _, k := range keys {
		p.Keys = append(p.Keys, line(k)+" a comment")
	}
	return p
}

func sign(t testing.TB, s ssh.Signer, who string, f *plan.File) plan.Approval {
	t.Helper()
	a, err := plan.Sign(s, who, made.Add(time.Hour), f.Message())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	name := write(t, nil)
	f := open(t, name)
	if got := f.Plan.Units[0].Changes[0].Attributes[0].After; got != "10.30.0.0/16" || len(f.Seal) != 64 {
		t.Errorf("after %v, seal %s", got, f.Seal)
	}
	if data, err := f.Blob(network, plan.SavedPlan); err != nil || string(data) != saved {
		t.Errorf("%q, %v", data, err)
	}
	if got := strings.Join(f.Blobs(network), " "); got != "plan.json tofu.plan" {
		t.Errorf("blobs: %s", got)
	}
	if _, err := f.Blob(web, "nothing"); !os.IsNotExist(unwrapped(err)) {
		t.Errorf("no blob: %v", err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if want := "strata plan v1\nenvironment prod\noperation apply\nseal " + string(f.Seal) + "\n"; string(f.Message()) != want {
		t.Errorf("message %q", f.Message())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func unwrapped(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// TestDeterministic wants the same plan to be the same bytes, in whatever order its
// blobs came.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	a, err := os.ReadFile(write(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(write(t, nil))
	if !bytes.Equal(a, b) {
		t.Error("two files of one plan differ")
	}
	c := open(t, write(t, func(p *plan.Plan) { p.Author = "other@acme.example" }))
	d := open(t, write(t, nil))
	if c.Seal == d.Seal {
		t.Error("two plans have one seal")
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*plan.Plan){
		"format":      func(p *plan.Plan) { p.Format = 2 },
		"environment": func(p *plan.Plan) { p.Environment = "prod\nseal x" },
		"operation":   func(p *plan.Plan) { p.Operation = "" },
		"twice":       func(p *plan.Plan) { p.Units = append(p.Units, p.Units[0]) },
		"elsewhere":   func(p *plan.Plan) { p.Units[1].Addr.Env = "dev" },
		"saved":       func(p *plan.Plan) { p.Units[0].Saved = strings.Repeat("a", 64) },
		"value":       func(p *plan.Plan) { p.Units[0].Changes[0].Attributes[0].After = func() {} },
		"blob":        func(p *plan.Plan) { p.Units = p.Units[1:] },
		"required":    func(p *plan.Plan) { p.Approvals.Required = -1 },
	} {
		p := sample()
		name := filepath.Join(t.TempDir(), "x.plan")
		w, err := plan.NewWriter(name, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Add(network, plan.SavedPlan, strings.NewReader(saved)); err != nil {
			t.Fatal(err)
		}
		change(p)
		if err := w.Close(); err == nil {
			t.Errorf("%s: written", what)
		}
		if left, _ := os.ReadDir(filepath.Dir(name)); len(left) > 0 {
			t.Errorf("%s: left %v", what, left)
		}
	}
	w, err := plan.NewWriter(filepath.Join(t.TempDir(), "x.plan"), sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", ".", "..", "../x", "a/b", "/x", ".hidden", "a\x00"} {
		if _, err := w.Add(network, bad, strings.NewReader("")); err == nil {
			t.Errorf("blob %q was added", bad)
		}
	}
	w.Abort()
	if _, err := w.Add(network, "a", strings.NewReader("")); err == nil {
		t.Error("added after Abort")
	}
	if _, err := plan.NewWriter(filepath.Join(t.TempDir(), "no", "such"), sample()); err == nil {
		t.Error("no folder, no error")
	}
}

func TestDiffers(t *testing.T) {
	t.Parallel()
	p := sample()
	if d := p.Differs(p.Digests); len(d) > 0 {
		t.Errorf("%v", d)
	}
	now := p.Digests
	now.Policy, now.Model = "p2", "m2"
	var got []string
	for _, d := range p.Differs(now) {
		got = append(got, d.String())
	}
	want := "the model changed since the plan was made (sha256 m2, was m1); the policy changed since the plan was made (sha256 p2, was p1)"
	if strings.Join(got, "; ") != want {
		t.Errorf("%v", got)
	}
}
