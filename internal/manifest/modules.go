package manifest

import (
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
