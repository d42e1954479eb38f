package archtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/archtest"
)

// TestRepository holds this repository to its rules.
func TestRepository(t *testing.T) {
	found, err := archtest.Check("../..", archtest.Repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// TestRepositoryIsRead makes sure that the test above looks at something.
func TestRepositoryIsRead(t *testing.T) {
	rules := archtest.Repository
	rules.MaxLines = 1
	found, err := archtest.Check("../..", rules)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Errorf("only %d files seen", len(found))
	}
}

// TestViolations checks modules that break rules. In each archive a comment
// "// want RULE" stands on each line that breaks one, and "want" lists the others.
func TestViolations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	rules := archtest.Rules{
		Module:     "example.com/m",
		Layers:     [][]string{{"addr", "twin"}, {"model"}, {"engine", "runner/..."}, {"cli"}, {"cmd/..."}},
		Only:       map[string][]string{"cli": {"model"}},
		Concurrent: []string{"runner/..."},
		Exits:      []string{"cmd/..."},
		MaxLines:   40,
		LongFiles:  map[string]string{},
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			want := map[string]bool{}
			rules := rules
			for _, f := range ar.Files {
				switch f.Name {
				case "want":
					for line := range strings.Lines(string(f.Data)) {
						want[strings.TrimSpace(line)] = true
					}
					continue
				case "long":
					rules.LongFiles = map[string]string{}
					for line := range strings.Lines(string(f.Data)) {
						name, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
						rules.LongFiles[name] = reason
					}
					continue
				}
				n := 0
				for line := range strings.Lines(string(f.Data)) {
					n++
					if _, rule, ok := strings.Cut(line, "// want "); ok {
						want[fmt.Sprintf("%s:%d %s", f.Name, n, strings.TrimSpace(rule))] = true
					}
				}
				name := filepath.Join(root, filepath.FromSlash(f.Name))
				if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			found, err := archtest.Check(root, rules)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range found {
				key := fmt.Sprintf("%s:%d %s", v.File, v.Line, v.Rule)
				if !want[key] {
					t.Errorf("unexpected: %s", v)
				}
				delete(want, key)
			}
			for key := range want {
				t.Errorf("not found: %s", key)
			}
		})
	}
}
