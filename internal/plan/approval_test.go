package plan_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/plan"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	f := open(t, write(t, nil))
	other := open(t, write(t, func(p *plan.Plan) { p.Author = "x@acme.example" }))
	ana, mara, jonas, spare, shared, weak := signer(t), signer(t), ecdsaSigner(t), signer(t), signer(t), rsaSigner(t, 2048)
	strong := rsaSigner(t, 3072)
	people := map[string]model.Person{
		"ana@acme.example":   person("platform", ana),
		"mara@acme.example":  person("web platform", mara, spare, shared),
		"jonas@acme.example": person("platform", jonas, shared, ana),
		"web@acme.example":   person("web", strong),
		"Mara@acme.example":  person("platform", shared),
	}
	rsaPerson := model.Person{Groups: []string{"platform"}, Keys: []string{line(weak), line(strong), "ssh-ed25519 AAAA", "nonsense"}}
	people["rsa@acme.example"] = rsaPerson
	two := plan.Requirement{Required: 2, Groups: []string{"platform", "owners"}, NotAuthor: true}
	by := func(s ssh.Signer, who string) plan.Approval { return sign(t, s, who, f) }
	at := func(a plan.Approval, when time.Time) plan.Approval { a.At = when; return a }
	weakly := func() plan.Approval {
		a := by(strong, "rsa@acme.example")
		a.Signature = strings.Replace(a.Signature, "SSH SIGNATURE", "NOTHING", 2)
		return a
	}
	for _, c := range []struct {
		what      string
		req       plan.Requirement
		approvals []plan.Approval
		ok        string
		missing   string
	}{
		{"none needed", plan.Requirement{}, nil, "", ""},
		{"none", two, nil, "", "2 approvals are needed, none is there"},
		{"one of one", plan.Requirement{Required: 1}, nil, "", "1 approval is needed, none is there"},
		{"one", two, []plan.Approval{by(mara, "mara@acme.example")}, "mara@acme.example", "2 approvals are needed, 1 is there (mara@acme.example)"},
		{"two", two, []plan.Approval{by(mara, "mara@acme.example"), by(jonas, "jonas@acme.example")}, "mara@acme.example jonas@acme.example", ""},
		{"rsa", plan.Requirement{Required: 2}, []plan.Approval{by(strong, "web@acme.example"), by(jonas, "jonas@acme.example")}, "web@acme.example jonas@acme.example", ""},
		{"author", two, []plan.Approval{by(ana, "ana@acme.example"), by(mara, "mara@acme.example")}, "mara@acme.example", "ana@acme.example is the plan's author and may not approve it"},
		{"author allowed", plan.Requirement{Required: 1}, []plan.Approval{by(ana, "ana@acme.example")}, "ana@acme.example", ""},
		{"author under another name", two, []plan.Approval{by(ana, "jonas@acme.example"), by(mara, "mara@acme.example")}, "mara@acme.example", "the key that jonas@acme.example signed with is the plan's author's"},
		{"group", two, []plan.Approval{by(strong, "web@acme.example"), by(mara, "mara@acme.example")}, "mara@acme.example", "web@acme.example is in none of the groups that may approve (platform, owners)"},
		{"left", two, []plan.Approval{by(mara, "gone@acme.example")}, "", "gone@acme.example is not among the people of the platform file"},
		{"another's key", two, []plan.Approval{by(mara, "jonas@acme.example")}, "", "the platform file does not list the key SHA256:"},
		{"twice", two, []plan.Approval{by(mara, "mara@acme.example"), by(spare, "mara@acme.example")}, "mara@acme.example", "mara@acme.example approved more than once; that counts once"},
		{"one person, two spellings", two, []plan.Approval{by(mara, "mara@acme.example"), by(shared, "Mara@acme.example")}, "mara@acme.example", "approved more than once"},
		{"one key, two people", two, []plan.Approval{by(shared, "mara@acme.example"), by(shared, "jonas@acme.example")}, "mara@acme.example", "jonas@acme.example signed with the same key as mara@acme.example; a key counts once"},
		{"another plan", two, []plan.Approval{sign(t, mara, "mara@acme.example", other)}, "", "the signature of mara@acme.example is not over this plan"},
		{"nothing", two, []plan.Approval{weakly()}, "", "the approval of rsa@acme.example cannot be read"},
		{"future", two, []plan.Approval{at(by(mara, "mara@acme.example"), made.Add(3*time.Hour))}, "", "which is yet to come"},
		{"past", two, []plan.Approval{at(by(mara, "mara@acme.example"), made.Add(-time.Hour))}, "", "before the plan was made"},
		{"extra", plan.Requirement{Required: 1}, []plan.Approval{by(mara, "gone@acme.example"), by(mara, "mara@acme.example")}, "mara@acme.example", ""},
	} {
		f.Approvals = c.approvals
		v := plan.Check(f, people, c.req, made.Add(2*time.Hour))
		if got := strings.Join(v.Approved, " "); got != c.ok || v.OK() != (c.missing == "") {
			t.Errorf("%s: approved by %q, missing %v", c.what, got, v.Missing)
			continue
		}
		if !v.OK() && !slices.ContainsFunc(v.Missing, func(r plan.Reason) bool { return strings.Contains(r.Text, c.missing) }) {
			t.Errorf("%s: %v", c.what, v.Missing)
		}
	}
	if _, err := plan.Sign(weak, "rsa@acme.example", made, f.Message()); err == nil || !strings.Contains(err.Error(), "2048 bits") {
		t.Errorf("weak: %v", err)
	}
	if got := plan.Owners(shared.PublicKey(), people); !slices.Equal(got, []string{"Mara@acme.example", "jonas@acme.example", "mara@acme.example"}) {
		t.Errorf("owners %v", got)
	}
	if n := len(plan.Keys(rsaPerson)); n != 2 {
		t.Errorf("%d keys", n)
	}
}

// TestAddApproval lets people approve at the same time: nobody's approval is lost,
// and none is added twice.
func TestAddApproval(t *testing.T) {
	t.Parallel()
	name := write(t, nil)
	f := open(t, name)
	const n = 12
	var wg sync.WaitGroup
	for i := range n {
		a := sign(t, signer(t), fmt.Sprintf("p%d@acme.example", i), f)
		wg.Go(func() {
			g, err := plan.Open(name)
			if err != nil {
				t.Error(err)
				return
			}
			defer g.Close()
			for range 2 {
				if err := g.AddApproval(a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if g := open(t, name); len(g.Approvals) != n || g.Seal != f.Seal {
		t.Errorf("%d approvals, seal %s", len(g.Approvals), g.Seal)
	}
	stranger := open(t, write(t, func(p *plan.Plan) { p.Version = "other" }))
	var r *plan.Reason
	if err := f.AddApproval(sign(t, signer(t), "a@acme.example", stranger)); !errors.As(err, &r) {
		t.Errorf("an approval of another plan: %v", err)
	}
	if err := os.Rename(stranger.Path(), name); err != nil {
		t.Fatal(err)
	}
	var s *plan.SealError
	if err := f.AddApproval(sign(t, signer(t), "a@acme.example", f)); !errors.As(err, &s) {
		t.Errorf("another plan is there: %v", err)
	}
}

func run(t *testing.T, stdin []byte, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(string(stdin))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestKeygen holds our signatures against OpenSSH's, both ways.
func TestKeygen(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		needs.Skip(t, "ssh-keygen is not here (apt-get install openssh-client): whether OpenSSH reads our signatures was not tried")
	}
	f := open(t, write(t, nil))
	dir := t.TempDir()
	const who = "mara@acme.example"
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "384"}, {"rsa", "-b", "3072"}} {
		key := filepath.Join(dir, kind[0])
		if out, err := run(t, nil, "ssh-keygen", append([]string{"-q", "-N", "", "-f", key, "-t"}, kind...)...); err != nil {
			t.Fatal(out, err)
		}
		private, _ := os.ReadFile(key)
		public, _ := os.ReadFile(key + ".pub")
		s, err := ssh.ParsePrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		people := map[string]model.Person{who: {Keys: []string{strings.TrimSpace(string(public))}}}
		allowed, sig := filepath.Join(dir, "allowed"), filepath.Join(dir, "sig")
		if err := errors.Join(os.WriteFile(allowed, []byte(who+" "+string(public)), 0o600), os.WriteFile(sig, []byte(sign(t, s, who, f).Signature), 0o600)); err != nil {
			t.Fatal(err)
		}
		verify := []string{"-Y", "verify", "-f", allowed, "-I", who, "-n", plan.Namespace, "-s", sig}
		if out, err := run(t, f.Message(), "ssh-keygen", verify...); err != nil {
			t.Errorf("%s: ssh-keygen refuses our signature: %s", kind[0], out)
		}
		if _, err := run(t, append(f.Message(), '!'), "ssh-keygen", verify...); err == nil {
			t.Errorf("%s: ssh-keygen takes our signature for another message", kind[0])
		}
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"-n", plan.Namespace}, ""},
			{[]string{"-n", "git"}, `signed for "git"`},
			{[]string{"-n", plan.Namespace, "-O", "hashalg=sha256"}, "approvals are over sha512"},
		} {
			out, err := run(t, f.Message(), "ssh-keygen", append([]string{"-q", "-Y", "sign", "-f", key}, c.args...)...)
			if err != nil {
				t.Fatal(out, err)
			}
			out = out[strings.Index(out, "-----BEGIN"):]
			a, err := plan.NewApproval(who, made, []byte(out))
			if err != nil {
				t.Fatal(err)
			}
			err = plan.Verify(f.Message(), a, people)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %v: %v", kind[0], c.args, err)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	data, err := os.ReadFile(write(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := plan.Read(data)
		if err != nil {
			return
		}
		// What opens can be used without another look.
		for _, u := range file.Plan.Units {
			for _, name := range file.Blobs(u.Addr) {
				if _, err := file.Blob(u.Addr, name); err != nil {
					t.Error(err)
				}
			}
		}
		plan.Check(file, nil, file.Plan.Approvals, made)
	})
}

func FuzzApproval(f *testing.F) {
	file := open(f, write(f, nil))
	for _, s := range []ssh.Signer{signer(f), ecdsaSigner(f), rsaSigner(f, 3072)} {
		data, err := plan.EncodeApproval(sign(f, s, "a@b", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"person":"a","at":"2026-01-01T00:00:00Z","signature":"` + string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE"})) + `"}`))
	message := file.Message()
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := plan.DecodeApproval(data)
		if err != nil {
			return
		}
		again, err := plan.EncodeApproval(a)
		if err != nil || string(again) != string(data) {
			t.Errorf("%q becomes %q (%v)", data, again, err)
		}
		_ = plan.Verify(message, a, map[string]model.Person{a.Person: {}})
	})
}
