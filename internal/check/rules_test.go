package check

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
)

var update = flag.Bool("update", false, "write what was found into the fixtures")

// TestRules lays the files of each fixture over the base repository, once those
// that break the rule and once those that keep it. The section "want" lists
// where the rule must be reported: every place, and no other.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, rule := range RuleIDs() {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join("testdata", "rules", rule+".txtar")
			fixture, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatalf("every validation rule needs a fixture: %v", err)
			}
			bad, good := t.TempDir(), t.TempDir()
			lay(t, bad, fixture, "bad/")
			lay(t, good, fixture, "good/")
			got := places(t, bad, rule)
			if len(got) == 0 {
				t.Errorf("the bad fixture does not break the rule")
			}
			if rest := places(t, good, rule); len(rest) > 0 {
				t.Errorf("the good fixture breaks the rule:\n%s", strings.Join(rest, "\n"))
			}
			checkWant(t, name, fixture, got)
		})
	}
}

// TestFixturesHaveRules finds fixtures of rules that are no more.
func TestFixturesHaveRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "rules", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if id := strings.TrimSuffix(filepath.Base(f), ".txtar"); !slices.Contains(RuleIDs(), id) {
			t.Errorf("%s: there is no rule %q", f, id)
		}
	}
}

// TestBaseIsClean proves that the repository under all fixtures has no mistake
// of its own.
func TestBaseIsClean(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, dir, &txtar.Archive{}, "")
	for _, d := range diagnose(t, dir) {
		t.Errorf("%s", d)
	}
}

func checkWant(t *testing.T, name string, fixture *txtar.Archive, got []string) {
	t.Helper()
	text := strings.Join(got, "\n") + "\n"
	for i, f := range fixture.Files {
		if f.Name != "want" {
			continue
		}
		if *update {
			fixture.Files[i].Data = []byte(text)
			if err := os.WriteFile(name, txtar.Format(fixture), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if want := string(f.Data); want != text {
			t.Errorf("reported at:\n%swant:\n%s", text, want)
		}
		return
	}
	t.Error("the fixture has no section \"want\"")
}

// lay writes the base repository and, over it, the fixture's files below prefix.
func lay(t *testing.T, dir string, fixture *txtar.Archive, prefix string) {
	t.Helper()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files := base.Files
	for _, f := range fixture.Files {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok && f.Name != "want" {
			files = append(files, txtar.File{Name: name, Data: f.Data})
		}
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		if err := layFile(name, f.Data); err != nil {
			t.Fatal(err)
		}
	}
}

// layFile writes one file. Markers stand for what a text file cannot hold.
func layFile(name string, data []byte) error {
	first, _, _ := strings.Cut(string(data), "\n")
	switch {
	case strings.HasPrefix(first, "@@symlink "):
		return os.Symlink(strings.TrimSuffix(strings.TrimPrefix(first, "@@symlink "), "@@"), name)
	case first == "@@directory@@":
		return os.Mkdir(name, 0o755)
	case bytes.Contains(data, []byte("@@large@@")):
		data = bytes.ReplaceAll(data, []byte("@@large@@"), append([]byte("#"), bytes.Repeat([]byte("x"), manifest.MaxFileSize)...))
	}
	return os.WriteFile(name, data, 0o644)
}

func diagnose(t *testing.T, dir string) diag.List {
	t.Helper()
	r, err := Load(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if r.Diagnostics.HasErrors() {
		return r.Diagnostics
	}
	judged, err := r.Judge(t.Context(), time.Now(), r.Model.EnvironmentNames()...)
	if err != nil {
		t.Fatal(err)
	}
	return append(r.Diagnostics, judged.Diagnostics...)
}

func places(t *testing.T, dir, rule string) []string {
	t.Helper()
	var out []string
	for _, d := range diagnose(t, dir) {
		if d.Rule != rule {
			continue
		}
		if d.Range.Start.IsZero() {
			out = append(out, fmt.Sprintf("%s: %s", d.File, d.Summary))
			continue
		}
		out = append(out, fmt.Sprintf("%s:%d:%d: %s", d.File, d.Range.Start.Line, d.Range.Start.Column, d.Summary))
	}
	return out
}
