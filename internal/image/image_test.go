package image_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stratahq/strata/images"
	"github.com/stratahq/strata/internal/image"
)

// engines is a folder with the programs that images contain: those of this repository
// as they are now, and those that `make engines` built.
var engines string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "engines-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		// As the Makefile builds them, so that nothing is compiled twice.
		for _, args := range [][]string{
			{"../../cmd/strata-pause", "../../cmd/strata-entry"},
			{"-gcflags=all=-dwarf=false", "../../cmd/strata-control", "../../cmd/strata-proxy"},
		} {
			cmd := exec.Command("go", append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", dir}, args...)...)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
				return 1
			}
		}
		for _, name := range []string{"strata-objectstore", "strata-kafka"} {
			file, err := filepath.Abs(filepath.Join("..", "..", "bin", name))
			if err != nil {
				panic(err)
			}
			if _, err := os.Stat(file); err != nil {
				continue // tests that need it say so
			}
			if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
				panic(err)
			}
		}
		engines = dir
		return m.Run()
	}())
}

// shared returns a builder with the user's cache, where most is built already.
func shared(t *testing.T) *image.Builder {
	t.Helper()
	recipes, err := image.ReadAll(images.FS)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := image.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	return &image.Builder{Recipes: recipes, Cache: cache, Engines: engines, Note: func(s string) { t.Log(s) }}
}

// builder returns a builder with a cache that is empty but for downloads.
func builder(t *testing.T) *image.Builder {
	t.Helper()
	b := shared(t)
	downloads := filepath.Join(b.Cache, "debs")
	if err := os.MkdirAll(downloads, 0o755); err != nil {
		t.Fatal(err)
	}
	b.Cache = t.TempDir()
	if err := os.Symlink(downloads, filepath.Join(b.Cache, "debs")); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEnsure(t *testing.T) {
	ctx := context.Background()
	socket := containerd(t)
	b := builder(t)
	pause, err := b.Build(ctx, b.Recipes["pause"])
	if err != nil {
		t.Fatal(err)
	}
	refs := []string{"strata.local/pause:1", pause.Ref(), pause.Ref(), "registry.example/app@sha256:" + strings.Repeat("0", 64)}
	for _, want := range []int{2, 0} {
		if n, err := b.Ensure(ctx, socket, refs); err != nil || n != want {
			t.Fatalf("Ensure loaded %d, %v; want %d", n, err, want)
		}
	}
	if _, err := ctr(ctx, socket, "run", "--detach", "--snapshotter", "overlayfs", pause.Ref(), "pause"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "pause ends", func() error {
		out, err := ctr(ctx, socket, "task", "ls")
		if err != nil || strings.Contains(out, "STOPPED") {
			return err
		}
		// The first process of a namespace gets no signal that it does not handle yet, so one
		// that comes too soon is lost.
		_, err = ctr(ctx, socket, "task", "kill", "--signal", "SIGTERM", "pause")
		return errors.Join(fmt.Errorf("tasks: %s", out), err)
	})
	if _, err := ctr(ctx, socket, "task", "rm", "pause"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Ensure(ctx, socket, []string{"strata.local/app@sha256:" + strings.Repeat("0", 64)}); err == nil || !strings.Contains(err.Error(), "strata image build app") {
		t.Errorf("an image that nobody built: %v", err)
	}
}

func TestFind(t *testing.T) {
	ctx := context.Background()
	b := builder(t)
	built, err := b.Build(ctx, b.Recipes["pause"])
	if err != nil {
		t.Fatal(err)
	}
	found, err := b.Find(ctx, built.Ref())
	if err != nil {
		t.Fatal(err)
	}
	digest, err := found.Image.Digest()
	if err != nil || digest.String() != built.Digest || found.Ref() != built.Ref() || found.Size != built.Size {
		t.Errorf("found %+v with digest %s, %v; built %+v", found, digest, err, built)
	}
	// What the cache has lost is made of the recipe again.
	if err := os.RemoveAll(b.Cache); err != nil {
		t.Fatal(err)
	}
	if again, err := b.Find(ctx, built.Ref()); err != nil || again.Digest != built.Digest {
		t.Errorf("after the cache is gone: %+v, %v", again, err)
	}
	layers, err := filepath.Glob(filepath.Join(b.Cache, "layers", "pause", "*.tar.gz"))
	if err != nil || len(layers) != 1 {
		t.Fatalf("layers %v, %v", layers, err)
	}
	if err := os.Truncate(layers[0], 100); err != nil {
		t.Fatal(err)
	}
	if again, err := b.Find(ctx, built.Ref()); err != nil || again.Digest != built.Digest {
		t.Errorf("after the layer was cut off: %+v, %v", again, err)
	}
	_, err = b.Find(ctx, "strata.local/pause@sha256:"+strings.Repeat("0", 64))
	if err == nil || !strings.Contains(err.Error(), "plan and apply again") {
		t.Errorf("another digest of a recipe: %v", err)
	}
}
