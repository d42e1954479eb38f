package scaffold_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/scaffold"
)

var platform = scaffold.Platform{Name: "acme", Domain: "acme.example", Team: "shop"}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files returns what lies below dir: content by path.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

// wantClean wants strata check to say nothing at all.
func wantClean(t *testing.T, dir string) {
	t.Helper()
	r, err := check.Load(context.Background(), dir)
	must(t, err)
	defer r.Close()
	for _, d := range r.Diagnostics {
		t.Errorf("%s", d)
	}
}

// awkward are names that are allowed and that YAML could take for something else.
var awkward = []string{"acme", "a", "1", "007", "1e3", "0x1f", "0o7", "null", "true", "no", "on", "y", "nan", "2026-01-01", "12-3", strings.Repeat("a", 63)}

func TestNewPlatform(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var all []scaffold.Platform
	for _, name := range awkward {
		all = append(all, scaffold.Platform{Name: name, Domain: "acme.example", Team: "shop"}, scaffold.Platform{Name: "acme", Domain: "acme.example", Team: name}, scaffold.Platform{Name: "acme", Domain: name, Team: "shop"})
	}
	all = append(all, scaffold.Platform{Name: "acme", Domain: "1.5", Team: "shop"}, scaffold.Platform{Name: "acme", Domain: "a.b.c.d.example", Team: "shop"})
	for _, p := range all {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "folder")
			names, err := scaffold.NewPlatform(dir, p)
			must(t, err)
			want := []string{".gitignore", "environments/local.yaml", "strata.yaml", "workloads/hello/go.mod", "workloads/hello/image.yaml", "workloads/hello/main.go", "workloads/hello/score.yaml"}
			if !slices.Equal(names, want) || len(files(t, dir)) != len(want) {
				t.Errorf("reports %v, wrote %v", names, files(t, dir))
			}
			wantClean(t, dir)
		})
	}
}

func TestNewWorkload(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	_, err := scaffold.NewPlatform(dir, platform)
	must(t, err)
	for _, w := range []scaffold.Workload{
		{Name: "orders", Team: "shop", Port: 8080, Resources: []string{"postgres", "route"}},
		{Name: "nightly", Team: "shop"},
		{Name: "plain", Port: 80},
		{Name: "12"}, {Name: "1e3"}, {Name: "null"}, {Name: "no"},
	} {
		names, err := scaffold.NewWorkload(dir, w)
		must(t, err)
		if dir := "workloads/" + w.Name; !slices.Equal(names, []string{dir + "/go.mod", dir + "/image.yaml", dir + "/main.go", dir + "/score.yaml"}) {
			t.Errorf("reports %v", names)
		}
	}
	wantClean(t, dir)
}

// TestProgramBuilds makes sure that what is written compiles, with a port and without.
func TestProgramBuilds(t *testing.T) {
	dir := t.TempDir()
	for _, w := range []scaffold.Workload{{Name: "web", Team: "shop", Port: 8080}, {Name: "nightly", Team: "shop"}} {
		_, err := scaffold.NewWorkload(dir, w)
		must(t, err)
		cmd := exec.Command("go", "vet", ".")
		cmd.Dir = filepath.Join(dir, "workloads", w.Name)
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", w.Name, err, out)
		}
		if out, err := exec.Command("gofmt", "-l", cmd.Dir).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s is not formatted: %v\n%s", w.Name, err, out)
		}
	}
}

// TestNeverOverwrites puts something in the place of each file in turn.
func TestNeverOverwrites(t *testing.T) {
	for _, there := range []string{".gitignore", "environments/local.yaml", "strata.yaml", "workloads/hello/score.yaml", "workloads", "environments"} {
		t.Run(there, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(there)), 0o777))
			must(t, os.WriteFile(filepath.Join(dir, there), []byte("mine"), 0o666))
			names, err := scaffold.NewPlatform(dir, platform)
			if err == nil || names != nil {
				t.Errorf("%v, %v", names, err)
			}
			if have := files(t, dir); len(have) != 1 || have[there] != "mine" {
				t.Errorf("the folder holds %v", have)
			}
		})
	}
	t.Run("a dangling link", func(t *testing.T) {
		dir, other := t.TempDir(), t.TempDir()
		must(t, os.Symlink(filepath.Join(other, "x"), filepath.Join(dir, "strata.yaml")))
		if _, err := scaffold.NewPlatform(dir, platform); err == nil || len(files(t, other)) > 0 {
			t.Errorf("%v; the other folder holds %v", err, files(t, other))
		}
	})
	t.Run("a second workload of one name", func(t *testing.T) {
		dir := t.TempDir()
		_, err := scaffold.NewWorkload(dir, scaffold.Workload{Name: "web", Port: 80})
		must(t, err)
		before := files(t, dir)
		if _, err := scaffold.NewWorkload(dir, scaffold.Workload{Name: "web", Port: 90}); err == nil || !strings.Contains(err.Error(), "exists already") {
			t.Errorf("the error is %v", err)
		}
		if after := files(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("it changed: %v", after)
		}
	})
}

func TestBadNames(t *testing.T) {
	for _, bad := range []string{"", "Acme", "a b", "-a", "a-", "a_b", "a/b", "../a", "..", ".", "a\n", "é", "{}", "a: b", strings.Repeat("a", 64)} {
		for _, p := range []scaffold.Platform{{bad, "acme.example", "shop"}, {"acme", bad, "shop"}, {"acme", "acme.example", bad}} {
			if p.Domain == strings.Repeat("a", 64) {
				p.Domain = strings.Repeat("a.", 127) + "ab"
			}
			dir := filepath.Join(t.TempDir(), "new")
			if _, err := scaffold.NewPlatform(dir, p); err == nil || len(files(t, dir)) > 0 {
				t.Errorf("%+v: %v, wrote %v", p, err, files(t, dir))
			}
		}
		dir := filepath.Join(t.TempDir(), "new")
		if _, err := scaffold.NewWorkload(dir, scaffold.Workload{Name: bad}); err == nil || len(files(t, filepath.Dir(dir))) > 0 {
			t.Errorf("workload %q: %v", bad, err)
		}
	}
}
