package image

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
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

// unique sorts modules and drops those that are there twice: several programs share them.
func unique(list []Module) []Module {
	slices.SortFunc(list, func(a, b Module) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Version, b.Version), strings.Compare(a.Sum, b.Sum))
	})
	return slices.Compact(list)
}

// binary is a program of an image.
type binary struct {
	file    string
	sum     string
	modules []Module
}

// programs builds or finds the programs of a recipe, by where in the image they are put.
// Without mayBuild they are only found, or the error wraps fs.ErrNotExist.
func (b *Builder) programs(ctx context.Context, r *Recipe, mayBuild bool) (map[string]binary, error) {
	out := map[string]binary{}
	var err error
	for name, to := range r.Spec.Engines {
		file := filepath.Join(b.Engines, name)
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("the program %s is not in %s, beside strata: `make build engines` builds it: %w", name, b.Engines, fs.ErrNotExist)
		}
		if out[to], err = b.inspect(file); err != nil {
			return nil, err
		}
	}
	if r.Spec.Go != "" {
		out[r.Spec.To], err = b.compile(ctx, r, mayBuild)
	}
	return out, err
}

// inspect says what is in a program. A file that has not changed is not read again.
func (b *Builder) inspect(file string) (binary, error) {
	out := binary{file: file}
	info, err := os.Stat(file)
	if err != nil {
		return out, err
	}
	stamp := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %d", version, file, info.Size(), info.ModTime().UnixNano()))
	kept := filepath.Join(b.Cache, "programs", hex.EncodeToString(stamp[:])+".json")
	var known struct {
		Sum     string   `json:"sum"`
		Modules []Module `json:"modules"`
	}
	if data, err := os.ReadFile(kept); err == nil && json.Unmarshal(data, &known) == nil {
		out.sum, out.modules = known.Sum, known.Modules
		return out, nil
	}
	if out.sum, err = fileSum(file); err != nil {
		return out, err
	}
	// A program of another language has no modules.
	if info, err := buildinfo.ReadFile(file); err == nil {
		out.modules = append(out.modules, Module{Path: "stdlib", Version: info.GoVersion}, Module{Path: info.Main.Path, Version: info.Main.Version})
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			out.modules = append(out.modules, Module{m.Path, m.Version, m.Sum})
		}
	}
	known.Sum, known.Modules = out.sum, out.modules
	data, err := json.Marshal(known)
	if err != nil {
		return out, err
	}
	return out, replace(kept, data)
}

// fileSum returns the SHA-256 of a file in hexadecimal digits.
func fileSum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// keptPrograms is how many states of a workload's program the cache keeps.
const keptPrograms = 4

// compile builds a static program of a Go package, unless nothing of its module has
// changed since.
func (b *Builder) compile(ctx context.Context, r *Recipe, mayBuild bool) (binary, error) {
	dir, err := filepath.Abs(filepath.Join(r.Dir, r.Spec.Go))
	if err != nil {
		return binary{}, err
	}
	stamp, err := sources(dir)
	if err != nil {
		return binary{}, fmt.Errorf("spec.go: %w", err)
	}
	where := sha256.Sum256([]byte(dir))
	folder := filepath.Join(b.Cache, "go", r.Metadata.Name+"-"+hex.EncodeToString(where[:6]))
	file := filepath.Join(folder, stamp+".bin")
	if _, err := os.Stat(file); err == nil {
		return b.inspect(file)
	}
	if !mayBuild {
		return binary{}, fmt.Errorf("its program is not built of these sources yet: %w", fs.ErrNotExist)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return binary{}, err
	}
	tmp, err := os.MkdirTemp(folder, ".build-")
	if err != nil {
		return binary{}, err
	}
	defer os.RemoveAll(tmp)
	fresh := filepath.Join(tmp, "program")
	b.note("%s: go build", r.Metadata.Name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", fresh, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return binary{}, errors.New("its program is written in Go, and there is no go on PATH to build it with")
	}
	if err != nil {
		return binary{}, fmt.Errorf("go build in %s: %w\n%s", dir, err, bytes.TrimSpace(out))
	}
	if _, err := buildinfo.ReadFile(fresh); err != nil {
		return binary{}, fmt.Errorf("spec.go: %s is no main package: %w", dir, err)
	}
	if err := os.Rename(fresh, file); err != nil {
		return binary{}, err
	}
	if err := prune(folder, ".bin", keptPrograms, func(base string) error { return os.Remove(base + ".bin") }); err != nil {
		return binary{}, err
	}
	return b.inspect(file)
}

// sources returns a digest of everything in the package's module that a build may read.
func sources(dir string) (string, error) {
	if info, err := os.Stat(dir); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", dir)
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
	fmt.Fprintln(h, compilerStamp(), runtime.GOARCH, rel)
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
		// A changed description is no changed program: it would build those of all its
		// neighbours in the module anew.
		if !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") || name == "score.yaml" || name == RecipeFile {
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

// compilerStamp changes when the Go on PATH does: a newer one compiles the same sources
// to another, and perhaps safer, program.
func compilerStamp() string {
	file, err := exec.LookPath("go")
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	info, err := os.Stat(file)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", file, info.Size(), info.ModTime().UnixNano())
}
