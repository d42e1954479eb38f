package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/modules"
)

// workspace is where an environment is worked on: .strata in the repository, or
// .strata/offline for what is played by stand-ins. Nothing in it is for git.
type workspace struct {
	base string // .strata or .strata/offline
	env  string
}

func (a *app) workspace(env string, offline bool) (workspace, error) {
	root, err := filepath.Abs(a.dir)
	if err != nil {
		return workspace{}, err
	}
	top := filepath.Join(root, ".strata")
	if err := os.MkdirAll(top, 0o700); err != nil {
		return workspace{}, fmt.Errorf("the repository's .strata folder: %w", err)
	}
	ignore := filepath.Join(top, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o600); err != nil {
			return workspace{}, err
		}
	}
	w := workspace{base: top, env: env}
	if offline {
		w.base = filepath.Join(top, "offline")
	}
	return w, nil
}

func (w workspace) store() string   { return filepath.Join(w.base, "strata.db") }
func (w workspace) work() string    { return filepath.Join(w.base, "work", w.env) }
func (w workspace) plans() string   { return filepath.Join(w.base, "plans") }
func (w workspace) cloud() string   { return filepath.Join(w.base, "cloud", w.env) }
func (w workspace) cluster() string { return filepath.Join(w.base, "cluster", w.env) }
func (w workspace) secrets() string { return filepath.Join(w.base, "secrets", w.env) }
func (w workspace) mirror() string  { return filepath.Join(w.base, "mirror", w.env) }

// founding is where the state of a unit is kept until there is a place for it.
func (w workspace) founding(unit string) string {
	return filepath.Join(w.base, "bootstrap", w.env, filepath.FromSlash(unit)+".tfstate")
}

// states is the folder of the states that are kept here.
func (w workspace) states() string { return filepath.Join(w.base, "state", w.env) }

func (w workspace) state(unit string) string {
	return filepath.Join(w.states(), filepath.FromSlash(unit)+".tfstate")
}

// moduleContent returns the files of a module, by path within it.
func moduleContent(r *check.Result, module string) (map[string][]byte, error) {
	name, ok := strings.CutPrefix(module, catalog.BuiltinPrefix)
	if !ok {
		return r.Repo.ModuleFiles(module)
	}
	out := map[string][]byte{}
	err := fs.WalkDir(modules.FS, name, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != name && (e.Name() == "tests" || e.Name() == "examples"):
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		b, err := modules.FS.ReadFile(p)
		if err == nil {
			out[strings.TrimPrefix(p, name+"/")] = b
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("this Strata has no module %s: %w", name, err)
	}
	return out, nil
}

// contentDigest covers the names and the content of a module's files.
func contentDigest(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, len(files[name]))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// writeModules puts the modules that an environment calls where its roots expect
// them, and returns the digest of each.
func (w workspace) writeModules(r *check.Result, c *compile.Compiled) (map[string]string, error) {
	digests := map[string]string{}
	for _, module := range c.Modules() {
		files, err := moduleContent(r, module)
		if err != nil {
			return nil, err
		}
		digests[module] = contentDigest(files)
		dir := filepath.Join(w.work(), filepath.FromSlash(compile.ModulePath(module)))
		stamp := filepath.Join(dir, moduleStamp)
		if have, err := os.ReadFile(stamp); err == nil && string(have) == digests[module] {
			continue
		}
		if err := writeModule(dir, files, digests[module]); err != nil {
			return nil, err
		}
	}
	return digests, nil
}

// writeModule puts a module into its folder as a whole: another process may be doing
// the same, and OpenTofu may be reading.
func writeModule(dir string, files map[string][]byte, digest string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	for name, content := range files {
		file := filepath.Join(fresh, filepath.FromSlash(path.Clean(name)))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(fresh, moduleStamp), []byte(digest), 0o600); err != nil {
		return err
	}
	for range 100 {
		err = os.Rename(fresh, dir)
		if err == nil {
			return nil
		}
		if have, rerr := os.ReadFile(filepath.Join(dir, moduleStamp)); rerr == nil && string(have) == digest {
			return nil // somebody else was quicker
		}
		old, terr := os.MkdirTemp(filepath.Dir(dir), ".old-")
		if terr != nil {
			return terr
		}
		_ = os.Rename(dir, filepath.Join(old, "x"))
		if rerr := os.RemoveAll(old); rerr != nil {
			return rerr
		}
	}
	return err
}

// moduleStamp is a file beside a module's that says which content it has.
const moduleStamp = ".strata-module"

// moduleFolders lists the folders of the written modules, sorted.
func (w workspace) moduleFolders(c *compile.Compiled) []string {
	var out []string
	for _, m := range c.Modules() {
		out = append(out, filepath.Join(w.work(), filepath.FromSlash(compile.ModulePath(m))))
	}
	return out
}

// whoami returns who acts: STRATA_WHO, the address that git signs commits with, or
// user@host.
func (a *app) whoami(ctx context.Context) (who, host string) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if who := os.Getenv("STRATA_WHO"); who != "" {
		return who, host
	}
	if b, err := exec.CommandContext(ctx, "git", "-C", a.dir, "config", "user.email").Output(); err == nil {
		if who := strings.TrimSpace(string(b)); who != "" {
			return who, host
		}
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + host, host
}
