package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Module is a Go module that is compiled into a program.
type Module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"`
}

// binary is a program of an image.
type binary struct {
	file    string
	sum     string
	modules []Module
}

// program builds or finds the program of a recipe; the zero value where it has none.
func (b *Builder) program(ctx context.Context, r *Recipe) (binary, error) {
	switch {
	case r.Spec.Engine != "":
		file := filepath.Join(b.Engines, r.Spec.Engine)
		if _, err := os.Stat(file); err != nil {
			return binary{}, fmt.Errorf("the program %s is not in %s: `make engines` builds it", r.Spec.Engine, b.Engines)
		}
		return b.read(file)
	case r.Spec.Go != "":
		return b.compile(ctx, r)
	}
	return binary{}, nil
}

func (b *Builder) read(file string) (binary, error) {
	f, err := os.Open(file)
	if err != nil {
		return binary{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return binary{}, err
	}
	out := binary{file: file, sum: hex.EncodeToString(h.Sum(nil))}
	info, err := buildinfo.Read(f)
	if err != nil {
		return out, nil //nolint:nilerr // a program of another language has no modules
	}
	out.modules = append(out.modules, Module{Path: "stdlib", Version: info.GoVersion}, Module{Path: info.Main.Path, Version: info.Main.Version})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		out.modules = append(out.modules, Module{m.Path, m.Version, m.Sum})
	}
	return out, nil
}

// compile builds a static program of a Go package, unless nothing of its module has
// changed since.
func (b *Builder) compile(ctx context.Context, r *Recipe) (binary, error) {
	dir := filepath.Join(r.Dir, r.Spec.Go)
	stamp, err := sources(dir)
	if err != nil {
		return binary{}, err
	}
	file := filepath.Join(b.Cache, "go", stamp, r.Metadata.Name)
	if _, err := os.Stat(file); err == nil {
		return b.read(file)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return binary{}, errors.New("its program is written in Go, and there is no go on PATH to build it with")
	}
	b.note("%s: go build", r.Metadata.Name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return binary{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", file+".new", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return binary{}, fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(file+".new", file); err != nil {
		return binary{}, err
	}
	return b.read(file)
}

// sources returns a digest of everything in the package's module that a build may read.
func sources(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	root := dir
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return "", fmt.Errorf("%s is in no Go module", dir)
		}
		root = filepath.Dir(root)
	}
	h := sha256.New()
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOARCH, rel)
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "node_modules", "bin", "out"}, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %x\n", strings.TrimPrefix(file, root), sha256.Sum256(data))
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}
