package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/store"
	"github.com/stratahq/strata/internal/store/sqlstore"
)

// TestSelection narrows plans: what is asked for comes with all that it needs, and
// what goes with all that needs it.
func TestSelection(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	units := func(args ...string) []string {
		t.Helper()
		var out []string
		for _, u := range w.plan(2, append([]string{"dev"}, args...)...).Plan.Units {
			out = append(out, strings.TrimPrefix(u.Address, "dev/"))
		}
		slices.Sort(out)
		return out
	}
	is := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s\n  got  %v\n  want %v", what, got, want)
		}
	}
	is("a unit", units("--unit", "network"), "account", "network")
	is("two units", units("--unit", "network", "--unit", "dns"), "account", "dns", "network")
	is("a workload", units("--workload", "mail"), "account", "cluster", "dns", "network", "platform/policy", "platform/secrets", "teams/web",
		"workloads/mail", "workloads/mail/files", "workloads/mail/name")
	is("a layer", units("--layer", "security"), "cluster", "platform/policy", "platform/secrets", "teams/web")

	w.must(0, "apply", "dev", "--offline", "--yes")
	is("what needs the network", units("--destroy", "--unit", "network"), "network", "workloads/mail", "workloads/mail/files", "workloads/shop", "workloads/shop/files")
	w.must(0, "destroy", "dev", "--offline", "--yes", "--workload", "mail")
	for name := range w.cloud() {
		if strings.Contains(name, "small-dev-mail") {
			t.Errorf("%s is left", name)
		}
	}
	is("what was destroyed is made again", slices.DeleteFunc(units(), func(u string) bool { return !strings.Contains(u, "mail") }),
		"workloads/mail", "workloads/mail/files", "workloads/mail/name")
}

// TestDrift changes the cloud behind Strata's back: drift says what differs and writes
// nothing; a plan that looks puts it back.
func TestDrift(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	w.must(0, "apply", "dev", "--offline", "--yes")
	w.must(0, "drift", "dev", "--offline")
	was, states := w.cloud(), w.resources()
	changed := ""
	for name, content := range was {
		if strings.Contains(name, "aws_s3_bucket_lifecycle_configuration") && strings.Contains(content, "small-dev-mail") {
			changed = name
			text := strings.Replace(content, `"days": 30`, `"days": 3000`, 1)
			if text == content {
				t.Fatalf("no days in %s", content)
			}
			if err := os.WriteFile(w.offline("cloud", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if changed == "" {
		t.Fatal("there is no such object")
	}
	out := w.must(2, "drift", "dev", "--offline")
	for _, want := range []string{"workloads/mail/files", "aws_s3_bucket_lifecycle_configuration.this", "3000", "strata plan dev --refresh --offline"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "workloads/shop/files") {
		t.Errorf("names what does not differ:\n%s", out)
	}
	same(t, "the states after looking", w.resources(), states)
	w.must(0, "plan", "dev", "--offline") // it looks at what changed in the description only
	file := filepath.Join(w.dir, "back.plan")
	w.must(2, "plan", "dev", "--offline", "--refresh", "--file", file)
	w.must(0, "apply", file)
	same(t, "the cloud", w.cloud(), was)
	w.must(0, "drift", "dev", "--offline")
}

// TestLocked finds the environment locked: by a process that is there, by one that is
// gone, and by one of another machine, of which nobody here can tell.
func TestLocked(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	ctx := context.Background()
	w.must(2, "plan", "dev", "--offline") // makes the store
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	lock := func(change func(*store.Lock)) {
		t.Helper()
		s, err := sqlstore.Open(ctx, w.offline("strata.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		now := time.Now()
		l := store.Lock{
			Environment: "dev", Owner: "somebody@small.example", Host: host, PID: os.Getpid(), ProcessStart: store.ProcessStart(os.Getpid()),
			Run: "before", Operation: "apply", Since: now, Seen: now,
		}
		change(&l)
		if err := s.Acquire(ctx, l); err != nil {
			t.Fatal(err)
		}
	}
	says := func(out string, all ...string) {
		t.Helper()
		for _, s := range all {
			if !strings.Contains(out, s) {
				t.Errorf("does not say %q:\n%s", s, out)
			}
		}
	}
	lock(func(l *store.Lock) { l.Host = "far-away" })
	says(w.must(1, "apply", "dev", "--offline", "--yes"), "dev is locked by somebody@small.example", "far-away", "strata unlock dev")
	says(w.must(1, "unlock", "dev", "--offline"), "cannot be told from here", "--yes")
	if len(w.cloud()) > 0 {
		t.Error("something was changed")
	}
	says(w.must(0, "unlock", "dev", "--offline", "--yes"), "dev is unlocked")

	lock(func(*store.Lock) {}) // this very process
	says(w.must(1, "unlock", "dev", "--offline", "--yes"), "is alive on this machine")
	says(w.must(1, "apply", "dev", "--offline", "--yes"), "dev is locked by somebody@small.example")
	s, err := sqlstore.Open(ctx, w.offline("strata.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Release(ctx, store.Lock{Environment: "dev", Run: "before"}); err != nil {
		t.Fatal(err)
	}

	lock(func(l *store.Lock) { l.ProcessStart-- }) // an earlier process of the same number
	w.must(0, "apply", "dev", "--offline", "--yes")
	says(w.must(0, "audit", "dev", "--offline"), "lock-taken-over", "unlock", "author@small.example")
	w.must(0, "audit", "verify", "--offline")
}

// TestOlderPlan has a plan of another Strata: it says so, and what to do.
func TestOlderPlan(t *testing.T) {
	w := newWorld(t, tools(t), "testdata/repo")
	file := w.sealed()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	older := zip.NewWriter(&out)
	var seal string
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch e.Name {
		case "plan.json":
			content = bytes.Replace(content, []byte(`"format":1`), []byte(`"format":-1`), 1)
			sum := sha256.Sum256(content)
			seal = hex.EncodeToString(sum[:])
		case "seal":
			content = []byte(seal + "\n")
		}
		to, err := older.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := older.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text := w.must(1, "apply", file)
	for _, want := range []string{"an older Strata", "strata plan dev", "Nothing was changed"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}
