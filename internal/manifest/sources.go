package manifest

import (
	"context"
	"errors"
	"path"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/par"
)

// MaxSourceSize is the largest file that a Score file may take content from, in
// bytes: what a ConfigMap holds.
const MaxSourceSize = 1 << 20

// names checks that documents are called what their files are called.
func names(m *model.Repository, l *diag.List) {
	at := diag.P("metadata", "name")
	for _, e := range m.Environments {
		nameMatches(l, e.Source.File, stem(e.Source.File), e.Metadata.Name, at)
	}
	for _, rel := range m.Releases {
		nameMatches(l, rel.Source.File, stem(rel.Source.File), rel.Metadata.Name, at)
	}
	for _, w := range m.Workloads {
		if dir := path.Base(path.Dir(w.Source.File)); dir != w.Metadata.Name {
			d := l.Warnf(RuleNameMismatch, w.Source.File, at, "workload %q is in folder %q", w.Metadata.Name, dir)
			d.Remedy = "Give the folder the workload's name."
		}
	}
}

func nameMatches(l *diag.List, file, want, have string, at diag.Path) {
	if want != have {
		d := l.Errorf(RuleNameMismatch, file, at, "metadata.name is %q but the file is called %q", have, path.Base(file))
		d.Remedy = "Rename one of them."
	}
}

// sources reads the files that Score files take content from, relative to the
// Score file and never from outside the repository.
func (r *Repo) sources(ctx context.Context, m *model.Repository, l *diag.List) error {
	lists := make([]diag.List, len(m.Workloads))
	err := par.Each(ctx, len(m.Workloads), func(i int) error {
		w := m.Workloads[i]
		for cname, c := range w.Containers {
			for target, f := range c.Files {
				if f.Source == "" {
					continue
				}
				at := diag.P("containers", cname, "files", target, "source")
				f.Data = r.source(w.Source.File, f.Source, at, &lists[i])
				c.Files[target] = f
			}
		}
		return nil
	})
	for _, own := range lists {
		l.Add(own...)
	}
	return err
}

func (r *Repo) source(score, src string, at diag.Path, l *diag.List) []byte {
	if path.IsAbs(src) || strings.Contains(src, "\\") {
		d := l.Errorf(RuleUnsafePath, score, at, "file source %q must be a path relative to the Score file", shorten(src))
		d.Detail = "Strata reads nothing outside the repository."
		return nil
	}
	file := path.Join(path.Dir(score), src)
	if file == ".." || strings.HasPrefix(file, "../") {
		d := l.Errorf(RuleUnsafePath, score, at, "file source %q leads out of the repository", shorten(src))
		d.Detail = "Strata reads nothing outside the repository."
		return nil
	}
	b, err := r.read(file, MaxSourceSize)
	if err == nil {
		return b
	}
	var own diag.List
	readError(file, err, &own)
	rule := own[0].Rule
	if rule == RuleMissingFile {
		rule = RuleMissingSource
	}
	d := l.Errorf(rule, score, at, "file source %q: %s", shorten(src), own[0].Summary)
	d.Detail = own[0].Detail
	var large tooLargeError
	if errors.As(err, &large) {
		d.Detail = "File content becomes a ConfigMap, and that holds one mebibyte."
		d.Remedy = "Put large files into the image."
	}
	return nil
}
