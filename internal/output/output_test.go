package output_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/output"
)

var small = tree{
	"stacks/network/main.tf.json": "network",
	"stacks/db/main.tf.json":      "db",
	"objects/a.yaml":              "a",
	"objects/b.yaml":              "b",
	"top":                         "top",
}

// but returns a copy of t with some files other; "" removes one.
func (t tree) but(changes tree) tree {
	out := maps.Clone(t)
	for name, content := range changes {
		if content == "" {
			delete(out, name)
			continue
		}
		out[name] = content
	}
	return out
}

// TestWrite writes one tree over another and wants exactly the new one, each
// file that did not change untouched, and the report to count what happened.
func TestWrite(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "main.tf.json")
	if err := os.WriteFile(secret, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		old    tree
		tamper func(t *testing.T, p place)
		new    tree
		// extra is what stays beside the new tree.
		extra                      tree
		rendered, written, removed int
	}{
		{name: "nothing changes", old: small, new: small},
		{name: "one file", old: small, new: small.but(tree{"top": "other"}), rendered: 1, written: 1},
		{name: "one nested file", old: small, new: small.but(tree{"stacks/db/main.tf.json": "larger"}), rendered: 1, written: 1},
		{name: "one new file", old: small, new: small.but(tree{"objects/c.yaml": "c"}), rendered: 1, written: 1},
		{name: "new folders", old: small, new: small.but(tree{"x/y/z": "deep"}), rendered: 1, written: 1},
		{name: "one removed", old: small, new: small.but(tree{"objects/b.yaml": ""}), rendered: 1, removed: 1},
		{name: "the last of a folder removed", old: small, new: small.but(tree{"stacks/db/main.tf.json": ""}), rendered: 1, removed: 1},
		{name: "an item removed", old: small, new: small.but(tree{"top": ""}), removed: 1},
		{name: "everything removed", old: small, new: tree{}, removed: 5},
		{name: "everything other", old: small, new: tree{"new": "new"}, rendered: 1, written: 1, removed: 5},
		{name: "file becomes folder", old: small, new: small.but(tree{"top": "", "top/a": "a", "top/b/c": "c"}), rendered: 1, written: 2, removed: 1},
		{name: "nested file becomes folder", old: small, new: small.but(tree{"objects/a.yaml": "", "objects/a.yaml/x": "x"}), rendered: 1, written: 1, removed: 1},
		{name: "folder becomes file", old: small, new: small.but(tree{"stacks/network/main.tf.json": "", "stacks/network": "file"}), rendered: 1, written: 1, removed: 1},
		{name: "top folder becomes file", old: small, new: small.but(tree{"objects/a.yaml": "", "objects/b.yaml": "", "objects": "file"}), rendered: 1, written: 1, removed: 2},
		{name: "several folders", old: small, new: small.but(tree{"stacks/db/main.tf.json": "1", "objects/a.yaml": "2", "top": "3"}), rendered: 3, written: 3},
		{name: "one removed and one changed", old: small, new: small.but(tree{"top": "", "objects/a.yaml": "longer than before"}), rendered: 1, written: 1, removed: 1},
		{name: "file becomes empty", old: tree{"e": "x"}, new: tree{"e": ""}, rendered: 1, written: 1},

		{
			name: "cache missing", old: small, new: small, rendered: 3,
			tamper: func(t *testing.T, p place) { check(t, os.Remove(p.cache)) },
		},
		{
			name: "cache damaged", old: small, new: small, rendered: 3,
			tamper: func(t *testing.T, p place) { check(t, os.Truncate(p.cache, 20)) },
		},
		{
			name: "cache of another format", old: small, new: small, rendered: 3,
			tamper: func(t *testing.T, p place) {
				b, err := os.ReadFile(p.cache)
				check(t, err)
				changed := strings.Replace(string(b), `"version":`, `"version":9`, 1)
				if changed == string(b) {
					t.Fatal("the cache names no version")
				}
				check(t, os.WriteFile(p.cache, []byte(changed), 0o600))
			},
		},
		{
			name: "cache is a folder", old: small, new: small.but(tree{"top": "new"}), rendered: 3, written: 1,
			tamper: func(t *testing.T, p place) {
				check(t, os.Remove(p.cache))
				check(t, os.MkdirAll(filepath.Join(p.cache, "full"), 0o777))
			},
		},
		{
			name: "file edited by hand", old: small, new: small, rendered: 1, written: 1,
			tamper: func(t *testing.T, p place) { p.put(t, "objects/a.yaml", "edited") },
		},
		{
			name: "file edited by hand to the same size", old: small, new: small, rendered: 1, written: 1,
			tamper: func(t *testing.T, p place) {
				p.put(t, "objects/a.yaml", "X")
				// The clock of a file system may be coarse; the edit is not.
				later := time.Now().Add(time.Hour)
				check(t, os.Chtimes(filepath.Join(p.dir, "objects", "a.yaml"), later, later))
			},
		},
		{
			name: "file touched only", old: small, new: small, rendered: 1,
			tamper: func(t *testing.T, p place) {
				later := time.Now().Add(time.Hour)
				check(t, os.Chtimes(filepath.Join(p.dir, "top"), later, later))
			},
		},
		{
			name: "file deleted by hand", old: small, new: small, rendered: 1, written: 1,
			tamper: func(t *testing.T, p place) { p.remove(t, "stacks/db/main.tf.json") },
		},
		{
			name: "folder deleted by hand", old: small, new: small, rendered: 1, written: 2,
			tamper: func(t *testing.T, p place) { p.remove(t, "stacks") },
		},
		{
			name: "file added by hand", old: small, new: small, removed: 1,
			tamper: func(t *testing.T, p place) { p.put(t, "stacks/db/own.tf", "mine") },
		},
		{
			name: "file made a folder by hand", old: small, new: small, rendered: 1, written: 1, removed: 1,
			tamper: func(t *testing.T, p place) { p.remove(t, "top"); p.put(t, "top/x", "x") },
		},
		{
			name: "pipe in the place of a file", old: small, new: small, rendered: 1, written: 1,
			tamper: func(t *testing.T, p place) {
				p.remove(t, "top")
				check(t, syscall.Mkfifo(filepath.Join(p.dir, "top"), 0o600))
			},
		},

		{
			name: "file made a link by hand", old: small, new: small, rendered: 1, written: 1,
			tamper: func(t *testing.T, p place) { p.symlink(t, secret, "stacks/db/main.tf.json") },
		},
		{
			name: "link to the same content", old: small.but(tree{"top": "outside"}), new: small.but(tree{"top": "outside"}), rendered: 1, written: 1,
			tamper: func(t *testing.T, p place) { p.symlink(t, secret, "top") },
		},
		{
			name: "folder made a link by hand", old: small, new: small, rendered: 1, written: 1, removed: 1,
			tamper: func(t *testing.T, p place) { p.symlink(t, outside, "stacks/db") },
		},
		{
			name: "top folder made a link by hand", old: small, new: small.but(tree{"objects/b.yaml": "new"}), rendered: 1, written: 2, removed: 1,
			tamper: func(t *testing.T, p place) { p.symlink(t, outside, "objects") },
		},
		{
			name: "dangling link", old: small, new: small, removed: 1,
			tamper: func(t *testing.T, p place) { p.symlink(t, filepath.Join(outside, "nothing"), "stray") },
		},

		{
			name: "what OpenTofu leaves stays", old: small, new: small.but(tree{"stacks/db/main.tf.json": "new", "stacks/network/main.tf.json": "new"}),
			rendered: 1, written: 2, extra: tofu, tamper: leaveTofu,
		},
		{
			name: "what OpenTofu leaves stays without a change", old: small, new: small, extra: tofu, tamper: leaveTofu,
		},
		{
			name: "what OpenTofu leaves outlives its root", old: small, new: small.but(tree{"stacks/db/main.tf.json": "", "top": "new"}),
			rendered: 2, written: 1, removed: 1, extra: tofu, tamper: leaveTofu,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			first := p.write(t, c.old)
			if onDisk := len(identities(t, p.dir)); first.Files != onDisk || first.Written != onDisk || first.Removed != 0 || !first.Changed() {
				t.Errorf("the first report is %+v; there are %d files", first, onDisk)
			}
			if c.tamper != nil {
				c.tamper(t, p)
			}
			before := identities(t, p.dir)
			contents, err := readSkippingPipes(p.dir)
			check(t, err)
			report := p.write(t, c.new)
			want := c.new.but(c.extra)
			wantTree(t, p.dir, want)
			wantNoLeftovers(t, p.dir)
			after := identities(t, p.dir)
			for name := range want {
				if contents[name] == want[name] && before[name] != after[name] {
					t.Errorf("%s did not change but is now %+v, was %+v", name, after[name], before[name])
				}
			}
			got := output.Report{Items: report.Items, Rendered: report.Rendered, Written: report.Written, Removed: report.Removed}
			wantReport := output.Report{Items: len(c.new.items()), Rendered: c.rendered, Written: c.written, Removed: c.removed}
			if got != wantReport || report.Changed() != (c.written+c.removed > 0) {
				t.Errorf("the report is %+v, want %+v", got, wantReport)
			}
			if report.Files != len(after)-len(c.extra) {
				t.Errorf("the report counts %d files of %d", report.Files, len(after)-len(c.extra))
			}
			if again := p.write(t, c.new); again.Changed() {
				t.Errorf("the same again changes something: %+v", again)
			}
			if b, err := os.ReadFile(secret); err != nil || string(b) != "outside" {
				t.Errorf("a file outside the tree was touched: %q, %v", b, err)
			}
			if list, err := os.ReadDir(outside); err != nil || len(list) != 1 {
				t.Errorf("the folder outside holds %v, %v", list, err)
			}
		})
	}
}

// tofu is what OpenTofu leaves beside a root.
var tofu = tree{
	"stacks/db/.terraform/providers/x/y": "provider",
	"stacks/db/.terraform.lock.hcl":      "lock",
	"stacks/db/terraform.tfstate":        "state",
	"stacks/db/terraform.tfstate.backup": "backup",
	"stacks/db/.terraform/link":          "-> providers/x",
}

func leaveTofu(t *testing.T, p place) {
	for name, content := range tofu {
		if to, ok := strings.CutPrefix(content, "-> "); ok {
			check(t, os.MkdirAll(filepath.Join(p.dir, filepath.Dir(name)), 0o777))
			p.symlink(t, to, name)
			continue
		}
		p.put(t, name, content)
	}
}

// readSkippingPipes is read for a tree in which reading could wait forever.
func readSkippingPipes(dir string) (tree, error) {
	info, err := os.Lstat(filepath.Join(dir, "top"))
	if err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return tree{}, nil
	}
	return read(dir)
}

func check(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func item(key, digest string, files ...output.File) output.Item {
	return output.Item{Key: key, Digest: digest, Render: func() ([]output.File, error) { return files, nil }}
}

func file(path, content string) output.File { return output.File{Path: path, Content: []byte(content)} }

// TestWriteRefuses wants an error and the old tree untouched, file by file.
func TestWriteRefuses(t *testing.T) {
	broken := errors.New("cannot render this")
	cases := []struct {
		name  string
		items []output.Item
		want  string
	}{
		{"traversal", []output.Item{item("x", "1", file("../evil", "x"))}, "no path within the tree"},
		{"deep traversal", []output.Item{item("x", "1", file("a/../../evil", "x"))}, "no path within the tree"},
		{"absolute", []output.Item{item("x", "1", file("/evil", "x"))}, "no path within the tree"},
		{"empty path", []output.Item{item("x", "1", file("", "x"))}, "no path within the tree"},
		{"the tree itself", []output.Item{item("x", "1", file(".", "x"))}, "no path within the tree"},
		{"a path written in two ways", []output.Item{item("x", "1", file("a/../top", "x"))}, "no path within the tree"},
		{"dot segment", []output.Item{item("x", "1", file("./top", "x"))}, "no path within the tree"},
		{"double slash", []output.Item{item("x", "1", file("a//b", "x"))}, "no path within the tree"},
		{"folder", []output.Item{item("x", "1", file("a/", "x"))}, "no path within the tree"},
		{"OpenTofu's state", []output.Item{item("x", "1", file("stacks/db/terraform.tfstate", "x"))}, "no path within the tree"},
		{"OpenTofu's folder", []output.Item{item("x", "1", file(".terraform/x", "x"))}, "no path within the tree"},
		{"two items, one path", []output.Item{item("x", "1", file("same", "x")), item("y", "1", file("same", "x"))}, "x and y both render to same"},
		{"one item, one path twice", []output.Item{item("x", "1", file("same", "x"), file("same", "y"))}, "both render to same"},
		{"file within a file", []output.Item{item("x", "1", file("a", "x")), item("y", "1", file("a/b", "x"))}, ""},
		{"name longer than any", []output.Item{item("x", "1", file(strings.Repeat("n", 300), "x"))}, ""},
		{"render fails", []output.Item{item("x", "1", file("fine", "x")), {Key: "y", Digest: "2", Render: func() ([]output.File, error) { return nil, broken }}}, broken.Error()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.write(t, small)
			before := identities(t, p.dir)
			_, err := output.Write(context.Background(), p.dir, p.cache, c.items)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("the error is %v, want %q", err, c.want)
			}
			wantTree(t, p.dir, small)
			wantNoLeftovers(t, p.dir)
			if after := identities(t, p.dir); !maps.Equal(before, after) {
				t.Errorf("files were touched: %v, were %v", after, before)
			}
			if up := filepath.Join(filepath.Dir(p.dir), "evil"); exists(up) {
				t.Errorf("%s was written", up)
			}
			if report := p.write(t, small); report.Changed() {
				t.Errorf("a later write had to repair: %+v", report)
			}
		})
	}
}

func exists(name string) bool { _, err := os.Lstat(name); return err == nil }

// TestWriteNothingYet wants no folder when the first write fails.
func TestWriteNothingYet(t *testing.T) {
	p := newPlace(t)
	_, err := output.Write(context.Background(), p.dir, p.cache, []output.Item{item("x", "1", file("ok", "x"), file("../evil", "x"))})
	if err == nil || exists(p.dir) || exists(p.cache) {
		t.Errorf("error %v; tree there: %v, cache there: %v", err, exists(p.dir), exists(p.cache))
	}
}

// TestRenderOnlyWhenNeeded wants Render called for a changed digest, and for no
// other item.
func TestRenderOnlyWhenNeeded(t *testing.T) {
	p := newPlace(t)
	var mu sync.Mutex
	calls := map[string]int{}
	counted := func(key, digest string) output.Item {
		return output.Item{Key: key, Digest: digest, Render: func() ([]output.File, error) {
			mu.Lock()
			defer mu.Unlock()
			calls[key]++
			return []output.File{file(key+"/f", digest)}, nil
		}}
	}
	write := func(items ...output.Item) {
		t.Helper()
		clear(calls)
		if _, err := output.Write(context.Background(), p.dir, p.cache, items); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want string) {
		t.Helper()
		if got := fmt.Sprint(calls); got != want {
			t.Errorf("rendered %s, want %s", got, want)
		}
	}
	write(counted("a", "1"), counted("b", "1"))
	want("map[a:1 b:1]")
	write(counted("a", "1"), counted("b", "1"))
	want("map[]")
	write(counted("a", "1"), counted("b", "2"))
	want("map[b:1]")
	write(counted("b", "2"), counted("a", "1"))
	want("map[]")
	// An empty digest stands for nothing.
	write(counted("a", ""), counted("b", "2"))
	want("map[a:1]")
	write(counted("a", ""), counted("b", "2"))
	want("map[a:1]")
}

// TestLinkedTree plants a link in the place of the tree itself. What it leads to
// is not Strata's, whether the link is replaced or refused.
func TestLinkedTree(t *testing.T) {
	p := newPlace(t)
	other := t.TempDir()
	check(t, os.WriteFile(filepath.Join(other, "precious"), []byte("mine"), 0o600))
	check(t, os.MkdirAll(filepath.Dir(p.dir), 0o777))
	check(t, os.Symlink(other, p.dir))
	_, err := output.Write(context.Background(), p.dir, p.cache, small.items())
	if err == nil {
		wantTree(t, p.dir, small)
	}
	wantTree(t, other, tree{"precious": "mine"})
	wantNoLeftovers(t, p.dir)
}

// TestCancelled ends the context before and during a write.
func TestCancelled(t *testing.T) {
	for _, when := range []string{"before", "while rendering", "while waiting for another writer"} {
		t.Run(when, func(t *testing.T) {
			p := newPlace(t)
			p.write(t, small)
			before := identities(t, p.dir)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			next := small.but(tree{"top": "new", "objects/a.yaml": "new"}).items()
			switch when {
			case "before":
				cancel()
			case "while rendering":
				render := next[0].Render
				next[0].Render = func() ([]output.File, error) { cancel(); return render() }
				// However many cores render at once, some item comes after.
				for i := range 200 {
					next = append(next, item(fmt.Sprint("more", i), "", file(fmt.Sprint("more/", i), "x")))
				}
			default:
				// The lock is the kernel's and belongs to an open file, so another one of
				// this process holds it as well as another process does.
				f, err := os.Open(filepath.Dir(p.dir))
				check(t, err)
				defer f.Close()
				check(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
				cancel()
			}
			_, err := output.Write(ctx, p.dir, p.cache, next)
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("the error is %v", err)
			}
			wantTree(t, p.dir, small)
			wantNoLeftovers(t, p.dir)
			if after := identities(t, p.dir); !maps.Equal(before, after) {
				t.Error("files were touched")
			}
		})
	}
}
