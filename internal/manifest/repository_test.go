package manifest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
)

const (
	platformText    = "apiVersion: strata/v1alpha1\nkind: Platform\nmetadata: {name: acme}\nspec: {domain: acme.example, teams: {shop: {contact: shop@acme.example}}}\n"
	environmentText = "apiVersion: strata/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec: {cloud: local}\n"
	scoreText       = head + "  main: {image: ., files: {/etc/a: {source: a.txt}}}\n"
)

// lay writes a small repository without a mistake.
func lay(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	write(t, dir, "strata.yaml", platformText)
	write(t, dir, "environments/local.yaml", environmentText)
	write(t, dir, "workloads/web/score.yaml", scoreText)
	write(t, dir, "workloads/web/a.txt", "content")
	return dir
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(file), 0o777))
	must(t, os.WriteFile(file, []byte(content), 0o666))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dir, cache string) (*model.Repository, diag.List) {
	t.Helper()
	repo, err := manifest.Open(dir)
	must(t, err)
	defer repo.Close()
	m, l, err := repo.Load(context.Background(), cache)
	must(t, err)
	return m, l
}

// TestFiles wants what is wrong with files, rather than with what they say, refused
// with a reason, and nothing outside the repository read.
func TestFiles(t *testing.T) {
	const secret = "what nobody may see"
	outside := t.TempDir()
	write(t, outside, "secret", secret)
	write(t, outside, "web/score.yaml", scoreText)
	write(t, outside, "local.yaml", environmentText)
	remove := func(t *testing.T, dir, name string) { must(t, os.RemoveAll(filepath.Join(dir, name))) }
	link := func(t *testing.T, dir, to, name string) {
		remove(t, dir, name)
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777))
		must(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	source := func(src string) string {
		return head + fmt.Sprintf("  main: {image: ., files: {/etc/a: {source: %q}}}\n", src)
	}
	const atSource = "workloads/web/score.yaml:4:45"
	cases := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   []string
	}{
		{name: "nothing wrong", change: func(*testing.T, string) {}},
		{name: "100 megabytes", change: func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "workloads/web/score.yaml"), 100<<20))
		}, want: []string{"workloads/web/score.yaml file-too-large: the file has 104857600 bytes"}},
		{name: "100 gigabytes", change: func(t *testing.T, dir string) {
			// No machine of the tests could read this.
			must(t, os.Truncate(filepath.Join(dir, "strata.yaml"), 100<<30))
		}, want: []string{"strata.yaml file-too-large"}},
		{name: "one byte too large", change: func(t *testing.T, dir string) {
			write(t, dir, "environments/local.yaml", environmentText+"#"+strings.Repeat("x", manifest.MaxFileSize-len(environmentText)))
		}, want: []string{"environments/local.yaml file-too-large"}},
		{name: "as large as may be", change: func(t *testing.T, dir string) {
			write(t, dir, "environments/local.yaml", environmentText+"#"+strings.Repeat("x", manifest.MaxFileSize-len(environmentText)-1))
		}},
		{name: "pipe", change: func(t *testing.T, dir string) {
			remove(t, dir, "environments/local.yaml")
			must(t, syscall.Mkfifo(filepath.Join(dir, "environments/local.yaml"), 0o666))
		}, want: []string{"environments/local.yaml unreadable-file: it is not a regular file"}},
		{name: "pipe as a source", change: func(t *testing.T, dir string) {
			remove(t, dir, "workloads/web/a.txt")
			must(t, syscall.Mkfifo(filepath.Join(dir, "workloads/web/a.txt"), 0o666))
		}, want: []string{atSource + " unreadable-file"}},
		{name: "folder as a file", change: func(t *testing.T, dir string) {
			remove(t, dir, "workloads/web/score.yaml")
			must(t, os.Mkdir(filepath.Join(dir, "workloads/web/score.yaml"), 0o777))
		}, want: []string{"workloads/web/score.yaml unreadable-file"}},
		{name: "file as a folder", change: func(t *testing.T, dir string) {
			remove(t, dir, "environments")
			write(t, dir, "environments", "text")
		}, want: []string{"environments:1:1 unreadable-file"}},

		{name: "link out: platform", change: func(t *testing.T, dir string) { link(t, dir, filepath.Join(outside, "secret"), "strata.yaml") },
			want: []string{"strata.yaml unsafe-path"}},
		{name: "link out: score file", change: func(t *testing.T, dir string) {
			link(t, dir, filepath.Join(outside, "web/score.yaml"), "workloads/web/score.yaml")
		}, want: []string{"workloads/web/score.yaml unsafe-path"}},
		{name: "link out: relative", change: func(t *testing.T, dir string) {
			link(t, dir, "../../../../../../../../../etc/hostname", "environments/local.yaml")
		}, want: []string{"environments/local.yaml unsafe-path"}},
		{name: "link out: a workload's folder", change: func(t *testing.T, dir string) { link(t, dir, filepath.Join(outside, "web"), "workloads/web") },
			want: []string{"workloads/web/score.yaml unsafe-path"}},
		{name: "link out: workloads", change: func(t *testing.T, dir string) { link(t, dir, outside, "workloads") },
			want: []string{"workloads unsafe-path"}},
		{name: "link out: environments", change: func(t *testing.T, dir string) { link(t, dir, outside, "environments") },
			want: []string{"environments unsafe-path"}},
		{name: "link out: policies", change: func(t *testing.T, dir string) { link(t, dir, outside, "policies") },
			want: []string{"policies unsafe-path"}},
		{name: "link out: modules", change: func(t *testing.T, dir string) { link(t, dir, outside, "modules") },
			want: []string{"modules unsafe-path"}},
		{name: "link out: a policy", change: func(t *testing.T, dir string) {
			link(t, dir, filepath.Join(outside, "secret"), "policies/x.rego")
		}, want: []string{"policies/x.rego unsafe-path"}},
		{name: "link out: a source", change: func(t *testing.T, dir string) {
			link(t, dir, filepath.Join(outside, "secret"), "workloads/web/a.txt")
		}, want: []string{atSource + " unsafe-path"}},
		{name: "link out: a source's folder", change: func(t *testing.T, dir string) {
			link(t, dir, outside, "workloads/web/etc")
			write(t, dir, "workloads/web/score.yaml", source("etc/secret"))
		}, want: []string{atSource + " unsafe-path"}},
		{name: "link to itself", change: func(t *testing.T, dir string) { link(t, dir, "local.yaml", "environments/local.yaml") },
			want: []string{"environments/local.yaml unreadable-file"}},
		{name: "link to nothing", change: func(t *testing.T, dir string) { link(t, dir, "nothing.yaml", "environments/local.yaml") },
			want: []string{"environments/local.yaml missing-file"}},
		{name: "links within the repository", change: func(t *testing.T, dir string) {
			write(t, dir, "shared/score.yaml", scoreText)
			write(t, dir, "shared/b.txt", "content")
			link(t, dir, "../../shared/score.yaml", "workloads/web/score.yaml")
			link(t, dir, "../../shared/b.txt", "workloads/web/a.txt")
			link(t, dir, "envs", "environments")
			write(t, dir, "envs/local.yaml", environmentText)
		}},

		{name: "traversal in a source", change: func(t *testing.T, dir string) {
			write(t, dir, "workloads/web/score.yaml", source("../../../secret"))
		}, want: []string{atSource + " unsafe-path"}},
		{name: "absolute source", change: func(t *testing.T, dir string) {
			write(t, dir, "workloads/web/score.yaml", source(filepath.Join(outside, "secret")))
		}, want: []string{atSource + " unsafe-path"}},
		{name: "backslashes in a source", change: func(t *testing.T, dir string) {
			write(t, dir, "workloads/web/score.yaml", source(`..\..\secret`))
		}, want: []string{atSource + " unsafe-path"}},
		{name: "source elsewhere in the repository", change: func(t *testing.T, dir string) {
			write(t, dir, "shared/a.txt", "content")
			write(t, dir, "workloads/web/score.yaml", source("../../shared/a.txt"))
		}},
		{name: "source that is not there", change: func(t *testing.T, dir string) { remove(t, dir, "workloads/web/a.txt") },
			want: []string{atSource + " missing-source"}},
		{name: "source larger than a ConfigMap", change: func(t *testing.T, dir string) {
			must(t, os.Truncate(filepath.Join(dir, "workloads/web/a.txt"), manifest.MaxSourceSize+1))
		}, want: []string{atSource + " file-too-large"}},

		{name: "files that are not read", change: func(t *testing.T, dir string) {
			write(t, dir, "environments/dev.yml", "x")
			write(t, dir, "environments/.hidden.yaml", "x")
			write(t, dir, "environments/sub/x.yaml", "x")
			write(t, dir, "workloads/README.md", "x")
			write(t, dir, "workloads/.git/x", "x")
			write(t, dir, "workloads/no-score/x", "x")
		}, want: []string{"environments/dev.yml:1:1 ignored-file", "environments/sub ignored-file", "workloads/README.md:1:1 ignored-file"}},
		{name: "names unlike their files'", change: func(t *testing.T, dir string) {
			write(t, dir, "environments/dev.yaml", environmentText)
			write(t, dir, "workloads/other/score.yaml", strings.Replace(scoreText, "files:", "args: [x], files:", 1))
			write(t, dir, "workloads/other/a.txt", "")
		}, want: []string{"environments/dev.yaml:3:18 name-mismatch", "workloads/other/score.yaml:2:18 name-mismatch"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := lay(t)
			c.change(t, dir)
			m, l := load(t, dir, "")
			if len(l) != len(c.want) {
				t.Errorf("diagnostics:\n%v\nwant %q", l, c.want)
			}
			for i, d := range l {
				at := d.File
				if !d.Range.Start.IsZero() {
					at += fmt.Sprintf(":%d:%d", d.Range.Start.Line, d.Range.Start.Column)
				}
				if got := fmt.Sprintf("%s %s: %s", at, d.Rule, d.Summary); i < len(c.want) && !strings.HasPrefix(got, c.want[i]) {
					t.Errorf("got %q, want %q", got, c.want[i])
				}
				if strings.Contains(fmt.Sprint(d), secret) || strings.Contains(d.Detail, secret) {
					t.Errorf("%s shows what lies outside", d)
				}
			}
			for _, w := range m.Workloads {
				if data := w.Containers["main"].Files["/etc/a"].Data; len(l) == 0 && string(data) != "content" || string(data) == secret {
					t.Errorf("the source of %s holds %q", w.Source.File, data)
				}
			}
			if len(c.want) == 0 && (m.Platform == nil || len(m.Environments) != 1 || len(m.Workloads) != 1) {
				t.Errorf("the model is %+v", m)
			}
		})
	}
}

// TestOpen opens what is no repository, and loads with a context that ended.
func TestOpen(t *testing.T) {
	empty := t.TempDir()
	if _, err := manifest.Open(empty); !errors.Is(err, manifest.ErrNoRepository) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := manifest.Open(filepath.Join(empty, "nothing")); err == nil || errors.Is(err, manifest.ErrNoRepository) {
		t.Errorf("no folder: %v", err)
	}
	write(t, empty, "file", "")
	if _, err := manifest.Open(filepath.Join(empty, "file")); err == nil {
		t.Error("a file is no repository")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	repo, err := manifest.Open(lay(t))
	must(t, err)
	defer repo.Close()
	if _, _, err := repo.Load(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended: %v", err)
	}
}

// TestBroken wants what did not decode to be known by name, so that references to
// it are not called dangling.
func TestBroken(t *testing.T) {
	dir := lay(t)
	write(t, dir, "environments/dev.yaml", "kind: [")
	write(t, dir, "workloads/api/score.yaml", "x: y")
	write(t, dir, "releases/dev.yaml", "")
	m, l := load(t, dir, "")
	if !l.HasErrors() || len(m.Environments) != 1 || len(m.Workloads) != 1 {
		t.Errorf("%+v\n%v", m, l)
	}
	if got := fmt.Sprint(m.Broken); got != "map[Environment/dev:true Release/dev:true Workload/api:true]" {
		t.Errorf("broken: %s", got)
	}
}
