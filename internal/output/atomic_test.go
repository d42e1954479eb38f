package output_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/output"
)

// The environment of a test binary that is to write trees instead of testing:
// "PAIR TIMES WHICH DIR CACHE".
const childVariable = "STRATA_OUTPUT_TEST_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childVariable); args != "" {
		if err := child(strings.Split(args, "\t")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child writes the trees of a pair in turn, so many times or, for 0, until it is killed.
func child(args []string) error {
	pair := pairs[args[0]]
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	which := [][]output.Item{pair[0].items(), pair[1].items()}
	if args[2] == "b" {
		which[0], which[1] = which[1], which[0]
	}
	for i := 0; times == 0 || i < times; i++ {
		if _, err := output.Write(context.Background(), args[3], args[4], which[i%2]); err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("writing")
		}
	}
	return nil
}

func startChild(t *testing.T, p place, pair string, times int, first string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{pair, strconv.Itoa(times), first, p.dir, p.cache}, "\t"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	return cmd, bufio.NewReader(out)
}

// pairs are two trees each, which differ in ways that are installed differently.
var pairs = func() map[string][2]tree {
	wide := [2]tree{{}, {}}
	for i := range 40 {
		same := fmt.Sprintf("stacks/unit%d/main.tf.json", i)
		wide[0][same], wide[1][same] = strings.Repeat("same", i), strings.Repeat("same", i)
		// Of one size, so that content alone tells them apart.
		other := fmt.Sprintf("objects/%d.yaml", i)
		wide[0][other], wide[1][other] = strings.Repeat("A", 10*i+1), strings.Repeat("B", 10*i+1)
		wide[0][fmt.Sprintf("only-a/%d", i)] = "a"
		wide[1][fmt.Sprintf("only-b/%d/x", i)] = "b"
	}
	wide[0]["swap"], wide[1]["swap/file"] = "file", "folder"
	folder := [2]tree{maps.Clone(wide[0]), maps.Clone(wide[0])}
	for i := range 20 {
		folder[1][fmt.Sprintf("objects/%d.yaml", i)] = strings.Repeat("B", 10*i+1)
		delete(folder[1], fmt.Sprintf("objects/%d.yaml", i+20))
	}
	file := [2]tree{maps.Clone(wide[0]), maps.Clone(wide[0])}
	file[0]["objects/7.yaml"] = strings.Repeat("A", 1<<20)
	file[1]["objects/7.yaml"] = strings.Repeat("B", 1<<20)
	return map[string][2]tree{"whole tree": wide, "one folder": folder, "one file": file}
}()

// TestKilled kills a process that writes one tree over another, at moments
// spread over the whole of a write. Afterwards there must be one tree or the
// other, and the next write must clear up.
func TestKilled(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	found := map[string]int{}
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write(t, pair[1])
			for kill := range 20 {
				start := time.Now()
				p.write(t, pair[0])
				if kill%2 == 0 {
					p.write(t, pair[1])
					p.write(t, pair[0])
				}
				// How long writes take here says over how long to spread the kills.
				span := time.Since(start)
				cmd, out := startChild(t, p, name, 0, "b")
				if line, err := out.ReadString('\n'); err != nil || line != "writing\n" {
					t.Fatalf("the child says %q, %v", line, err)
				}
				time.Sleep(time.Duration(random.Int64N(int64(span))))
				check(t, cmd.Process.Kill())
				if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
					t.Fatalf("the child was not killed: %v", err)
				}
				got, err := read(p.dir)
				check(t, err)
				switch a, b := diff(pair[0], got), diff(pair[1], got); {
				case a == "":
					found["first tree"]++
				case b == "":
					found["second tree"]++
				default:
					t.Fatalf("kill %d left neither tree. Against the first:\n%s\nAgainst the second:\n%s", kill, a, b)
				}
				if len(leftovers(t, p.dir)) > 0 {
					found["under construction"]++
				}
				p.write(t, pair[1])
				wantTree(t, p.dir, pair[1])
				wantNoLeftovers(t, p.dir)
			}
		})
	}
	t.Logf("found %v", found)
	for _, what := range []string{"first tree", "second tree", "under construction"} {
		if found[what] == 0 {
			t.Errorf("no kill found this: %s", what)
		}
	}
}

// TestTwoWriters lets processes write different trees into one place, and
// goroutines of one process.
func TestTwoWriters(t *testing.T) {
	pair := pairs["whole tree"]
	complete := func(t *testing.T, p place) {
		t.Helper()
		got, err := read(p.dir)
		check(t, err)
		if a, b := diff(pair[0], got), diff(pair[1], got); a != "" && b != "" {
			t.Fatalf("neither tree. Against the first:\n%s\nAgainst the second:\n%s", a, b)
		}
		wantNoLeftovers(t, p.dir)
		for _, want := range pair {
			p.write(t, want)
			wantTree(t, p.dir, want)
		}
	}
	t.Run("processes", func(t *testing.T) {
		p := newPlace(t)
		a, _ := startChild(t, p, "whole tree", 8, "a")
		b, _ := startChild(t, p, "whole tree", 8, "b")
		for _, c := range []*exec.Cmd{a, b} {
			if err := c.Wait(); err != nil {
				t.Errorf("a writer failed: %v", err)
			}
		}
		complete(t, p)
	})
	t.Run("goroutines", func(t *testing.T) {
		p := newPlace(t)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for range 5 {
					if _, err := output.Write(context.Background(), p.dir, p.cache, pair[i%2].items()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		complete(t, p)
	})
}

// TestFullDisk writes to a file system that has no room for the new tree.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		needs.Skip(t, "needs root, to mount a small file system; CI runs as root")
	}
	many := tree{}
	for i := range 200 {
		many[fmt.Sprintf("many/%d", i)] = "x"
	}
	big := strings.Repeat("x", 512<<10)
	cases := []struct {
		name, options string
		next          tree
	}{
		{"no room for one file", "size=256k", small.but(tree{"top": big})},
		{"no room for one folder", "size=256k", small.but(tree{"objects/a.yaml": big, "objects/b.yaml": "new"})},
		{"no room for the tree", "size=256k", tree{"stacks/x": "x", "objects/a.yaml": "new", "big": big, "late/y": "y"}},
		{"no inodes", "size=4m,nr_inodes=100", small.but(many)},
		{"no room even for folders", "size=4m,nr_inodes=16", small.but(tree{"a/b/c/d/e/f/g/h/i/j/k/l/m": "x"})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			disk := t.TempDir()
			if err := unix.Mount("none", disk, "tmpfs", 0, c.options); err != nil {
				needs.Skip(t, "needs root that may mount: %v", err)
			}
			t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
			p := place{filepath.Join(disk, "prod"), filepath.Join(t.TempDir(), "build.json")}
			p.write(t, small)
			before := identities(t, p.dir)
			_, err := output.Write(context.Background(), p.dir, p.cache, c.next.items())
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("the error is %v", err)
			}
			wantTree(t, p.dir, small)
			wantNoLeftovers(t, p.dir)
			if after := identities(t, p.dir); !maps.Equal(before, after) {
				t.Error("files were touched")
			}
			fits := small.but(tree{"top": "fits"})
			p.write(t, fits)
			wantTree(t, p.dir, fits)
		})
	}
}

// TestFullCacheDisk leaves no room for the cache, which only saves work.
func TestFullCacheDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		needs.Skip(t, "needs root, to mount a small file system; CI runs as root")
	}
	disk := t.TempDir()
	if err := unix.Mount("none", disk, "tmpfs", 0, "size=4k"); err != nil {
		needs.Skip(t, "needs root that may mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	p := newPlace(t)
	p.cache = filepath.Join(disk, "build.json")
	for _, want := range []tree{pairs["whole tree"][0], pairs["whole tree"][1], pairs["whole tree"][0]} {
		p.write(t, want)
		wantTree(t, p.dir, want)
	}
	if list, err := os.ReadDir(disk); err != nil || len(list) > 0 {
		t.Errorf("left on the disk of the cache: %v, %v", list, err)
	}
}

// TestRandomTrees writes random trees over each other, with others meddling in
// between, and wants each time exactly the new one.
func TestRandomTrees(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "c"})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
	})
	content := rapid.SampledFrom([]string{"", "1", "2", "long", "LONG"})
	random := rapid.Custom(func(t *rapid.T) tree {
		out := tree{}
		for path, c := range rapid.MapOfN(name, content, 0, 8).Draw(t, "files") {
			out[path] = c
		}
		// A name cannot be a file and a folder in one tree.
		for path := range out {
			for i := range path {
				if path[i] == '/' {
					delete(out, path[:i])
				}
			}
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp("", "strata-output-")
		check(t, err)
		defer os.RemoveAll(root)
		p := place{filepath.Join(root, "prod"), filepath.Join(root, "cache", "build.json")}
		for range rapid.IntRange(2, 5).Draw(t, "writes") {
			want := random.Draw(t, "tree")
			p.write(t, want)
			wantTree(t, p.dir, want)
			if again := p.write(t, want); again.Changed() || again.Rendered > 0 {
				t.Fatalf("the same again does something: %+v", again)
			}
			for path := range want {
				switch rapid.IntRange(0, 8).Draw(t, "meddle with "+path) {
				case 0:
					top, _, _ := strings.Cut(path, "/")
					p.remove(t, top)
				case 1:
					p.put(t, path, "edited by hand")
				case 2:
					p.symlink(t, root, path)
				case 3:
					p.remove(t, path)
					p.put(t, path+"/within", "x")
				}
			}
			wantCacheOnly(t, root)
		}
	})
}

// wantCacheOnly wants nothing beside the tree but its lock and the cache.
func wantCacheOnly(t tb, root string) {
	t.Helper()
	if left := leftovers(t, filepath.Join(root, "prod")); len(left) > 1 || len(left) == 1 && left[0] != "cache" {
		t.Fatalf("left beside the tree: %v", left)
	}
}
