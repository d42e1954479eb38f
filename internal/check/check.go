// Package check runs everything that needs no network, no credentials and no
// cluster: load, validate, compile, judge. Commands share it, so that what
// `strata check` accepts is what `strata build` builds. It prints nothing.
package check

import (
	"context"
	"errors"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/policy"
)

// Result is what is known of a repository.
type Result struct {
	Repo    *manifest.Repo
	Model   *model.Repository
	Catalog *catalog.Catalog
	// Diagnostics are located and sorted. With an error among them, nothing
	// beyond the catalog is there.
	Diagnostics diag.List
	// Policy holds the built-in rules and the repository's own; nil when those
	// do not compile.
	Policy *policy.Set
}

// Load opens the repository in dir, decodes it and validates it. The caller
// closes Result.Repo. An error means that there is no repository, or that ctx ended; what is wrong with
// the user's text is in the diagnostics.
func Load(ctx context.Context, dir string) (*Result, error) {
	repo, err := manifest.Open(dir)
	if err != nil {
		return nil, err
	}
	r, err := load(ctx, repo)
	if err != nil {
		return nil, errors.Join(err, repo.Close())
	}
	return r, nil
}

func load(ctx context.Context, repo *manifest.Repo) (*Result, error) {
	dropOtherCaches(repo.Dir())
	m, list, err := repo.Load(ctx, CacheFile(repo.Dir(), "documents.gob"))
	if err != nil {
		return nil, err
	}
	cat, own := catalog.New(m.Contracts)
	list.Add(own...)
	list.Add(repo.Modules(m)...)
	list.Add(m.Validate(cat)...)
	var sources []policy.Source
	for _, file := range model.SortedKeys(m.Policies) {
		sources = append(sources, policy.Source{File: file, Data: m.Policies[file]})
	}
	set, rego := policy.Load(ctx, sources...)
	list.Add(rego...)
	manifest.Locate(list, repo.Read)
	return &Result{Repo: repo, Model: m, Catalog: cat, Diagnostics: list.Sorted(), Policy: set}, nil
}

// Close releases the repository's folder.
func (r *Result) Close() error { return r.Repo.Close() }
