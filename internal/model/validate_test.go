package model_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/manifest"
)

// TestValidateOrder takes the fixtures of all rules and wants the same said about
// their documents in whatever order those stand.
func TestValidateOrder(t *testing.T) {
	rules := filepath.Join("..", "check", "testdata")
	base, err := txtar.ParseFile(filepath.Join(rules, "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := filepath.Glob(filepath.Join(rules, "rules", "*.txtar"))
	if err != nil || len(fixtures) == 0 {
		t.Fatal("no fixtures", err)
	}
	said := 0
	for _, name := range fixtures {
		fixture, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		marked := false
		for _, f := range append(base.Files[:len(base.Files):len(base.Files)], fixture.Files...) {
			path, bad := strings.CutPrefix(f.Name, "bad/")
			if strings.HasPrefix(f.Name, "good/") || f.Name == "want" {
				continue
			}
			// Fixtures of what a text file cannot hold are about files, not about models.
			marked = marked || bad && bytes.Contains(f.Data, []byte("@@"))
			file := filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, f.Data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if marked {
			continue
		}
		repo, err := manifest.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := repo.Load(context.Background(), "")
		if err != nil {
			t.Fatal(err)
		}
		_ = repo.Close()
		c, _ := catalog.New(m.Contracts)
		want := m.Validate(c).Sorted()
		said += len(want)
		for seed := range uint64(8) {
			random := rand.New(rand.NewPCG(seed, 0))
			random.Shuffle(len(m.Environments), reflect.Swapper(m.Environments))
			random.Shuffle(len(m.Workloads), reflect.Swapper(m.Workloads))
			random.Shuffle(len(m.Releases), reflect.Swapper(m.Releases))
			if got := m.Validate(c).Sorted(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: in another order this is said:\n%v\ninstead of:\n%v", filepath.Base(name), got, want)
				break
			}
		}
	}
	if said < len(fixtures)/2 {
		t.Errorf("only %d things were said about %d fixtures", said, len(fixtures))
	}
}
