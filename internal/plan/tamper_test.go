package plan_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/plan"
)

// rewritten copies a plan's file with its entries changed: edit gets each entry's
// content and returns what it becomes; nil leaves it out.
func rewritten(t testing.TB, name string, edit func(entry string, data []byte) []byte, more ...zip.FileHeader) string {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	put := func(h zip.FileHeader, data []byte) {
		w, err := out.CreateHeader(&h)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		if data = edit(e.Name, data); data != nil {
			put(zip.FileHeader{Name: e.Name, Method: zip.Deflate}, data)
		}
	}
	for _, h := range more {
		put(h, []byte("more"))
	}
	out.Close()
	changed := filepath.Join(t.TempDir(), "changed.plan")
	if err := os.WriteFile(changed, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return changed
}

func keep(_ string, data []byte) []byte { return data }

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	good := write(t, nil)
	on := func(entry string, f func([]byte) []byte) func(string, []byte) []byte {
		return func(e string, data []byte) []byte {
			if e == entry {
				return f(data)
			}
			return data
		}
	}
	becomes := func(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }
	drop := func([]byte) []byte { return nil }
	extra := func(name string) []zip.FileHeader { return []zip.FileHeader{{Name: name, Method: zip.Deflate}} }
	for _, c := range []struct {
		what string
		file string
		want string
	}{
		{"blob", rewritten(t, good, on("units/network/tofu.plan", becomes("other"))), "the saved plan of prod/network differs from the sealed one (sha256 d9298a10d1b0... instead of "},
		{"other blob", rewritten(t, good, on("units/workloads/web/objects.json", becomes("other"))), "objects.json of prod/workloads/web differs from the sealed one"},
		{"no blob", rewritten(t, good, on("units/network/tofu.plan", drop)), "the saved plan of prod/network was sealed (sha256 "},
		{"plan", rewritten(t, good, on("plan.json", func(b []byte) []byte { return bytes.Replace(b, []byte("10.30"), []byte("10.31"), 1) })), "the plan differs from the sealed one"},
		{"seal", rewritten(t, good, on("seal", becomes(strings.Repeat("a", 64)+"\n"))), "the plan differs from the sealed one (sha256 "},
		{"no seal", rewritten(t, good, on("seal", drop)), "it has no seal"},
		{"bad seal", rewritten(t, good, on("seal", becomes("x"))), "the seal is no digest"},
		{"no plan", rewritten(t, good, on("plan.json", drop)), "it has no plan.json"},
		{"approval", rewritten(t, good, keep, extra("approvals/001.json")...), "out of order"},
		{"more", rewritten(t, good, keep, extra("units/zzz")...), `entry "units/zzz" is not in the plan`},
		{"outside", rewritten(t, good, keep, extra("../x")...), "damaged"},
		{"twice", rewritten(t, good, keep, extra("units/workloads/web/objects.json")...), "there twice"},
		{"stored", rewritten(t, good, keep, zip.FileHeader{Name: "units/zzz"}), "not as Strata writes it"},
		{"comment", rewritten(t, good, keep, zip.FileHeader{Name: "units/zzz", Method: zip.Deflate, Comment: "c"}), "not as Strata writes it"},
	} {
		_, err := plan.Open(c.file)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		var seal *plan.SealError
		if !errors.As(err, &seal) && !errors.Is(err, plan.ErrDamaged) {
			t.Errorf("%s: %T has no kind", c.what, err)
		}
	}
	if _, err := plan.Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := plan.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// sealed puts another manifest into a file, with the seal that fits it.
func sealed(t *testing.T, name string, edit func([]byte) []byte) string {
	t.Helper()
	var seal string
	return rewritten(t, name, func(e string, data []byte) []byte {
		switch e {
		case "plan.json":
			data = edit(data)
			seal = plan.Sum(data)
		case "seal":
			return []byte(seal + "\n")
		}
		return data
	})
}

func TestOtherFormats(t *testing.T) {
	t.Parallel()
	good := write(t, nil)
	for _, c := range []struct{ from, to, want string }{
		{`"format":1`, `"format":2`, `the plan was made by a newer Strata, "v0.3.0", in form 2; this one reads form 1: plan again (strata plan prod)`},
		{`"format":1`, `"format":-1`, "an older Strata"},
		{`"operation":`, `"future":1,"operation":`, `"v0.3.0", which writes things that this Strata does not know: plan again (strata plan prod)`},
	} {
		_, err := plan.Open(sealed(t, good, func(b []byte) []byte { return bytes.Replace(b, []byte(c.from), []byte(c.to), 1) }))
		var f *plan.FormatError
		if !errors.As(err, &f) || f.Version != "v0.3.0" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
	for _, c := range []struct{ from, to string }{
		{`"format":1`, `"format":1 `},
		{`"format":1`, `"Format":1`},
		{`"author":"Ana@acme.example"`, `"author":"a","author":"b"`},
		{`"operation":"apply"`, `"operation":"hope"`},
		{`"environment":"prod"`, `"environment":"a/b"`},
		{`"units/network/plan.json"`, `"units/../plan.json"`},
		{`"saved":"`, `"saved":"0`},
	} {
		if _, err := plan.Open(sealed(t, good, func(b []byte) []byte { return bytes.Replace(b, []byte(c.from), []byte(c.to), 1) })); !errors.Is(err, plan.ErrDamaged) {
			t.Errorf("%s: %v", c.to, err)
		}
	}
}

// TestAnyByte wants every changed byte of an approved plan's file to be noticed, or
// to change nothing that the file says.
func TestAnyByte(t *testing.T) {
	t.Parallel()
	ed, ec := signer(t), ecdsaSigner(t)
	people := map[string]model.Person{"mara@acme.example": person("platform", ed), "jonas@acme.example": person("platform", ec)}
	req := plan.Requirement{Required: 2, Groups: []string{"platform"}, NotAuthor: true}
	name := write(t, nil)
	f := open(t, name)
	for _, a := range []plan.Approval{sign(t, ed, "mara@acme.example", f), sign(t, ec, "jonas@acme.example", f)} {
		if err := f.AddApproval(a); err != nil {
			t.Fatal(err)
		}
	}
	now := made.Add(2 * time.Hour)
	f = open(t, name)
	if v := plan.Check(f, people, req, now); !v.OK() {
		t.Fatal(v)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed.plan")
	rapid.Check(t, func(t *rapid.T) {
		data := slices.Clone(whole)
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		data[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if rapid.Bool().Draw(t, "cut") {
			data = data[:at]
		}
		if err := os.WriteFile(changed, data, 0o600); err != nil {
			t.Fatal(err)
		}
		g, err := plan.Open(changed)
		if err != nil {
			return
		}
		defer g.Close()
		if v := plan.Check(g, people, req, now); !v.OK() {
			return
		}
		// Dates of approvals are not signed, and nothing rests on them.
		for i := range g.Approvals {
			g.Approvals[i].At = f.Approvals[i].At
		}
		if !reflect.DeepEqual(f.Plan, g.Plan) || !slices.Equal(f.Approvals, g.Approvals) || f.Seal != g.Seal {
			t.Errorf("byte %d of %d changed and nobody noticed", at, len(data))
		}
		for _, u := range f.Plan.Units {
			for _, blob := range f.Blobs(u.Addr) {
				a, _ := f.Blob(u.Addr, blob)
				if b, err := g.Blob(u.Addr, blob); err != nil || !bytes.Equal(a, b) {
					t.Errorf("byte %d: %s of %s is another: %v", at, blob, u.Addr, err)
				}
			}
		}
	})
}
