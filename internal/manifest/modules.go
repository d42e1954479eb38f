package manifest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

// RuleMissingModule is about a contract whose module is not there.
const RuleMissingModule = "missing-module"

// Modules checks that the modules which the repository's contracts name are
// folders of the repository that hold OpenTofu files.
func (r *Repo) Modules(m *model.Repository) diag.List {
	var l diag.List
	for _, c := range m.Contracts {
		for _, cloud := range model.SortedKeys(c.Spec.Modules) {
			src := c.Spec.Modules[cloud].Source
			dir := path.Join(path.Dir(c.Source.File), src)
			at := diag.P("spec", "modules", cloud, "source")
			if strings.HasPrefix(src, "builtin:") || path.IsAbs(src) || dir == ".." || strings.HasPrefix(dir, "../") {
				continue // package catalog says what a source may be
			}
			if !r.hasTofu(dir, &l, c.Source.File, at) {
				d := l.Errorf(RuleMissingModule, c.Source.File, at, "module folder %q holds no OpenTofu files", dir)
				d.Remedy = "Write main.tf there, or correct the path."
			}
		}
	}
	return l
}

func (r *Repo) hasTofu(dir string, l *diag.List, file string, at diag.Path) bool {
	var own diag.List
	for _, e := range r.entries(dir, &own) {
		name := e.Name()
		if strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tofu") || strings.HasSuffix(name, ".tf.json") {
			return true
		}
	}
	for _, d := range own {
		if d.Rule == RuleUnsafePath {
			l.Errorf(d.Rule, file, at, "module folder %q: %s", dir, d.Summary)
			return true
		}
	}
	return false
}

// maxModule bounds what is read of one module, in bytes: modules are text.
const maxModule = 8 << 20

// ModuleFiles reads the files of a module folder of the repository, by path
// relative to the folder. What OpenTofu leaves there is passed over. It returns an error for
// links that lead out of the repository and for folders that are too large.
func (r *Repo) ModuleFiles(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	total := 0
	err := fs.WalkDir(r.root.FS(), dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == ".terraform" || e.Name() == ".git"):
			return fs.SkipDir
		case e.IsDir(), strings.HasPrefix(e.Name(), "terraform.tfstate"), e.Name() == ".terraform.lock.hcl":
			return nil
		}
		b, err := r.read(p, MaxFileSize)
		if err != nil {
			return fmt.Errorf("module file %s: %w", p, err)
		}
		if total += len(b); total > maxModule {
			return fmt.Errorf("module %s has more than %d bytes", dir, maxModule)
		}
		out[strings.TrimPrefix(p, dir+"/")] = b
		return nil
	})
	return out, err
}
