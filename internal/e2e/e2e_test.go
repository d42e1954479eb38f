package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stratahq/strata/internal/cli"
	"github.com/stratahq/strata/internal/needs"
)

// TestMain lets the test binary be the program: whoever runs it by the name strata
// gets Strata. The stand-ins that OpenTofu starts are run so too.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"strata": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			context.AfterFunc(ctx, stop)
			os.Exit(cli.Run(ctx, "v0.0.0-test", os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// world is a repository that a test works on.
type world struct {
	t      *testing.T
	dir    string // the repository
	strata string // the program
	env    []string
}

// tools returns a folder with the program beside OpenTofu.
func tools(t *testing.T) string {
	t.Helper()
	tofu, err := filepath.Abs("../../bin/tofu")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tofu); err != nil {
		if tofu, err = exec.LookPath("tofu"); err != nil {
			needs.Skip(t, "needs OpenTofu: make engines")
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(tofu, filepath.Join(dir, "tofu")); err != nil {
		t.Fatal(err)
	}
	// A link would be resolved to the test's own name.
	if err := os.Link(self, filepath.Join(dir, "strata")); err != nil {
		b, err := os.ReadFile(self)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "strata"), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newWorld copies a repository. bin is what tools returned.
func newWorld(t *testing.T, bin, from string) *world {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// What somebody made by running the example by hand is none of the test's.
	for _, made := range []string{".strata", "out"} {
		if err := os.RemoveAll(filepath.Join(dir, made)); err != nil {
			t.Fatal(err)
		}
	}
	return &world{t: t, dir: dir, strata: filepath.Join(bin, "strata"), env: []string{
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + filepath.Dir(dir), "XDG_CACHE_HOME=" + filepath.Join(filepath.Dir(dir), "cache"),
		"STRATA_WHO=author@small.example", "NO_COLOR=1", "COLUMNS=160",
	}}
}

func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.strata, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	return cmd
}

// run runs the program and returns its exit code and everything that it printed.
func (w *world) run(args ...string) (int, string) {
	w.t.Helper()
	cmd := w.command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// stdout runs the program, wants it to exit with a code and returns its standard
// output alone.
func (w *world) stdout(code int, args ...string) string {
	w.t.Helper()
	cmd := w.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Fatalf("strata %s: exit code %d, want %d:\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	return out.String()
}

// must runs the program and wants it to exit with a code.
func (w *world) must(code int, args ...string) string {
	w.t.Helper()
	got, out := w.run(args...)
	if got != code {
		w.t.Fatalf("strata %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

// edit replaces text in a file of the repository.
func (w *world) edit(file, old, with string) {
	w.t.Helper()
	path := filepath.Join(w.dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		w.t.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), old, with)), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) offline(parts ...string) string {
	return filepath.Join(append([]string{w.dir, ".strata", "offline"}, parts...)...)
}

// cloud returns what the cloud has: the content of each object's file.
func (w *world) cloud() map[string]string {
	w.t.Helper()
	return files(w.t, w.offline("cloud"), ".json")
}

// cluster returns the objects of the cluster.
func (w *world) cluster() map[string]string { return files(w.t, w.offline("cluster"), ".json") }

func files(t *testing.T, dir, ext string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() || filepath.Ext(p) != ext {
			return err
		}
		b, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was there a moment ago
		}
		rel, _ := filepath.Rel(dir, p)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// resources returns what the states know: the attributes of each resource.
func (w *world) resources() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for file, content := range files(w.t, w.offline("state"), ".tfstate") {
		var doc struct {
			Resources []struct {
				Module, Mode, Type, Name string
				Instances                []struct {
					Key        any             `json:"index_key"`
					Attributes json.RawMessage `json:"attributes"`
				}
			}
		}
		if err := json.Unmarshal([]byte(content), &doc); err != nil {
			w.t.Fatalf("%s: %v", file, err)
		}
		for _, r := range doc.Resources {
			if r.Mode != "managed" {
				continue
			}
			for _, i := range r.Instances {
				key, _ := json.Marshal(i.Key)
				out[strings.Join([]string{file, r.Module, r.Type, r.Name, string(key)}, " ")] = string(i.Attributes)
			}
		}
	}
	return out
}

// same compares what is with what should be.
func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	var wrong []string
	for k := range want {
		if _, ok := got[k]; !ok {
			wrong = append(wrong, "missing: "+k)
		} else if got[k] != want[k] {
			wrong = append(wrong, "differs: "+k+"\n  got  "+got[k]+"\n  want "+want[k])
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			wrong = append(wrong, "too many: "+k)
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		t.Errorf("%s, %d of %d:\n%s", what, len(wrong), len(want), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
}
