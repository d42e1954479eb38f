package output_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stratahq/strata/internal/output"
)

// tree is the content of files by slash path.
type tree map[string]string

// marker is a file that Write may put at the top of a tree to know it again. It
// belongs to no item.
const marker = ".strata-build"

// items makes one item of the files of each top-level name, so that a change
// touches some items and spares others.
func (t tree) items() []output.Item {
	groups := map[string][]output.File{}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		top, _, _ := strings.Cut(name, "/")
		groups[top] = append(groups[top], output.File{Path: name, Content: []byte(t[name])})
	}
	var out []output.Item
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		files := groups[key]
		out = append(out, output.Item{
			Key:    key,
			Digest: fmt.Sprintf("%q", files),
			Render: func() ([]output.File, error) { return files, nil },
		})
	}
	return out
}

// read returns what lies in dir: symbolic links as "-> target", and folders
// without a file as a path that ends in a slash.
func read(dir string) (tree, error) {
	out := tree{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case rel == marker:
		case e.IsDir():
			list, err := os.ReadDir(p)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				out[rel+"/"] = ""
			}
		case e.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			out[rel] = "-> " + to
		default:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			out[rel] = string(b)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return tree{}, nil
	}
	return out, err
}

// diff says how two trees differ, or "".
func diff(want, got tree) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch have, ok := got[name]; {
		case !ok:
			out = append(out, "missing "+name)
		case have != want[name]:
			out = append(out, fmt.Sprintf("%s is %.60q, want %.60q", name, have, want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			out = append(out, "unexpected "+name)
		}
	}
	return strings.Join(out, "\n")
}

// tb is what tests and properties have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func wantTree(t tb, dir string, want tree) {
	t.Helper()
	got, err := read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(want, got); d != "" {
		t.Fatalf("the tree differs:\n%s", d)
	}
}

// leftovers lists what stands beside the tree and should not.
func leftovers(t tb, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		if n := e.Name(); n != filepath.Base(dir) && n != "."+filepath.Base(dir)+".lock" {
			out = append(out, n)
		}
	}
	return out
}

func wantNoLeftovers(t tb, dir string) {
	t.Helper()
	if left := leftovers(t, dir); len(left) > 0 {
		t.Fatalf("left beside the tree: %v", left)
	}
}

// identity is what tools that watch a file see of it.
type identity struct {
	inode uint64
	mtime int64
}

func identities(t tb, dir string) map[string]identity {
	t.Helper()
	out := map[string]identity{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(rel)] = identity{info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano()}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// place is a tree's folder and its cache file.
type place struct{ dir, cache string }

func newPlace(t *testing.T) place {
	t.Helper()
	root := t.TempDir()
	return place{filepath.Join(root, "out", "prod"), filepath.Join(root, "cache", "build.json")}
}

func (p place) write(t tb, want tree) output.Report {
	t.Helper()
	report, err := output.Write(context.Background(), p.dir, p.cache, want.items())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// put writes a file of the tree as somebody else would.
func (p place) put(t tb, name, content string) {
	t.Helper()
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func (p place) remove(t tb, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(p.dir, filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
}

func (p place) symlink(t tb, to, name string) {
	t.Helper()
	p.remove(t, name)
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, file); err != nil {
		t.Fatal(err)
	}
}
