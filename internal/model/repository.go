package model

import (
	"slices"
	"strings"
)

// Repository is everything that a user describes, as decoded from one folder.
// Slices are in the order of their files' names. A document that did not decode
// is not in it.
type Repository struct {
	Platform     *Platform
	Environments []*Environment
	Workloads    []*Workload
	Releases     []*Release
	Exceptions   *Exceptions
	Contracts    []*Contract
	// Policies holds the user's Rego files: content by file name.
	Policies map[string][]byte
	// Broken holds the names of environments, workloads and releases whose file
	// exists but did not decode ("Environment/prod"), so that what refers to them is
	// not reported as dangling.
	Broken map[string]bool
}

// Environment returns the first environment of that name.
func (r *Repository) Environment(name string) (*Environment, bool) {
	return find(r.Environments, func(e *Environment) bool { return e.Metadata.Name == name })
}

// Release returns the release of the environment of that name.
func (r *Repository) Release(env string) (*Release, bool) {
	return find(r.Releases, func(e *Release) bool { return e.Metadata.Name == env })
}

// EnvironmentNames returns the names of all environments, sorted.
func (r *Repository) EnvironmentNames() []string {
	var out []string
	for _, e := range r.Environments {
		out = append(out, e.Metadata.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WorkloadsByName indexes the workloads by name; of two with one name the first
// by file wins.
func (r *Repository) WorkloadsByName() map[string]*Workload {
	out := make(map[string]*Workload, len(r.Workloads))
	for _, w := range r.Workloads {
		if _, ok := out[w.Metadata.Name]; !ok {
			out[w.Metadata.Name] = w
		}
	}
	return out
}

// Runs reports whether workload w runs in environment e: in a local
// environment every workload does, elsewhere those that the release lists.
func (r *Repository) Runs(e *Environment, w string) bool {
	if e.Spec.Cloud == CloudLocal {
		return true
	}
	rel, ok := r.Release(e.Metadata.Name)
	if !ok {
		return false
	}
	_, ok = rel.Spec.Workloads[w]
	return ok
}

func find[T any](list []T, ok func(T) bool) (T, bool) {
	if i := slices.IndexFunc(list, ok); i >= 0 {
		return list[i], true
	}
	var zero T
	return zero, false
}

// SortedKeys returns the keys of m in ascending order.
func SortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
