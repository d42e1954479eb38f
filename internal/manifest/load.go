package manifest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/par"
)

// The places of a repository.
const (
	PlatformFile    = "strata.yaml"
	EnvironmentsDir = "environments"
	WorkloadsDir    = "workloads"
	ReleasesDir     = "releases"
	PoliciesDir     = "policies"
	ModulesDir      = "modules"
	ExceptionsFile  = "policies/exceptions.yaml"
	ScoreFile       = "score.yaml"
	ContractFile    = "contract.yaml"
)

// ErrNoRepository means that the folder holds no strata.yaml.
var ErrNoRepository = errors.New("no strata.yaml here")

// Repo is an opened repository. Nothing outside its folder can be reached
// through it: symbolic links that lead out are refused by the operating system.
type Repo struct {
	root *os.Root
	dir  string
}

// Open opens the repository in dir. It returns ErrNoRepository, wrapped, when
// the folder has no strata.yaml.
func Open(dir string) (*Repo, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	if _, err := root.Lstat(PlatformFile); err != nil {
		_ = root.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s (run strata init to make one, or name the repository with -C)", ErrNoRepository, dir)
		}
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return &Repo{root: root, dir: dir}, nil
}

// Close releases the folder.
func (r *Repo) Close() error { return r.root.Close() }

// Dir returns the folder that was opened.
func (r *Repo) Dir() string { return r.dir }

// Read returns the content of a file of the repository for showing it, or nil when
// it cannot be read.
func (r *Repo) Read(file string) []byte {
	b, err := r.read(file, MaxFileSize)
	if err != nil {
		return nil
	}
	return b
}

type tooLargeError struct{ size, limit int64 }

func (e tooLargeError) Error() string {
	return fmt.Sprintf("the file has %d bytes; at most %d are read", e.size, e.limit)
}

type notRegularError struct{ mode fs.FileMode }

func (e notRegularError) Error() string { return "it is not a regular file: " + e.mode.Type().String() }

// read reads a regular file of at most limit bytes. A pipe or device is refused
// without waiting for it.
func (r *Repo) read(file string, limit int64) ([]byte, error) {
	f, err := r.root.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, notRegularError{info.Mode()}
	}
	if info.Size() > limit {
		return nil, tooLargeError{info.Size(), limit}
	}
	b := make([]byte, 0, info.Size()+1)
	for {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		case int64(len(b)) > limit:
			return nil, tooLargeError{int64(len(b)), limit}
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// readError turns a failed read into a diagnostic.
func readError(file string, err error, l *diag.List) {
	var large tooLargeError
	var irregular notRegularError
	switch {
	case errors.As(err, &large):
		l.Errorf(RuleFileTooLarge, file, nil, "%v", large)
	case errors.As(err, &irregular):
		l.Errorf(RuleUnreadable, file, nil, "%v", irregular)
	case errors.Is(err, fs.ErrNotExist):
		l.Errorf(RuleMissingFile, file, nil, "there is no such file")
	case strings.Contains(err.Error(), "path escapes from parent"):
		l.Errorf(RuleUnsafePath, file, nil, "the path leads out of the repository").
			Detail = "It is, or passes through, a symbolic link to somewhere else. Strata reads nothing outside the repository."
	default:
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		l.Errorf(RuleUnreadable, file, nil, "cannot be read: %v", err)
	}
}

// doc is one file to decode.
type doc struct {
	file   string
	decode func(src []byte, l *diag.List)
}

// Load reads and decodes the whole repository. The model holds what decoded;
// the list, located and sorted, says what did not. cacheFile, outside the
// repository, remembers decoded workloads from one run to the next; "" means no
// cache. An error means that ctx ended.
func (r *Repo) Load(ctx context.Context, cacheFile string) (*model.Repository, diag.List, error) {
	m := &model.Repository{Policies: map[string][]byte{}, Broken: map[string]bool{}}
	var list diag.List
	var docs []doc
	docs = append(docs, doc{PlatformFile, func(src []byte, l *diag.List) {
		p := &model.Platform{Source: source(PlatformFile, src)}
		if decode(PlatformFile, src, p, l) {
			m.Platform = p
		}
	}})
	known := recall(cacheFile)
	envs, envDocs := documents[model.Environment](r.yamlFiles(EnvironmentsDir, &list), nil, nil, func(v *model.Environment) *model.Source { return &v.Source })
	works, workDocs := documents[model.Workload](r.scoreFiles(&list), known, known.workloads, func(v *model.Workload) *model.Source { return &v.Source })
	rels, relDocs := documents[model.Release](r.yamlFiles(ReleasesDir, &list), known, known.releases, func(v *model.Release) *model.Source { return &v.Source })
	cons, conDocs := documents[model.Contract](r.contractFiles(&list), nil, nil, func(v *model.Contract) *model.Source { return &v.Source })
	docs = slices.Concat(docs, envDocs, workDocs, relDocs, conDocs)
	if r.exists(ExceptionsFile) {
		docs = append(docs, doc{ExceptionsFile, func(src []byte, l *diag.List) {
			e := &model.Exceptions{Source: source(ExceptionsFile, src)}
			if decode(ExceptionsFile, src, e, l) {
				m.Exceptions = e
			}
		}})
	}
	lists := make([]diag.List, len(docs))
	err := par.Each(ctx, len(docs), func(i int) error {
		src, err := r.read(docs[i].file, MaxFileSize)
		if err != nil {
			readError(docs[i].file, err, &lists[i])
			return nil
		}
		docs[i].decode(src, &lists[i])
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lists {
		list.Add(l...)
	}
	firstWork := 1 + len(envDocs)
	_ = known.save(cacheFile, clean(works, workDocs, lists[firstWork:], known.workloads), clean(rels, relDocs, lists[firstWork+len(works):], known.releases))
	m.Environments = present(envs, func(i int) { m.Broken["Environment/"+stem(envDocs[i].file)] = true })
	m.Workloads = present(works, func(i int) { m.Broken["Workload/"+path.Base(path.Dir(workDocs[i].file))] = true })
	m.Releases = present(rels, func(i int) { m.Broken["Release/"+stem(relDocs[i].file)] = true })
	m.Contracts = present(cons, func(i int) {})
	names(m, &list)
	if err := r.sources(ctx, m, &list); err != nil {
		return nil, nil, err
	}
	r.policies(m, &list)
	Locate(list, r.Read)
	return m, list.Sorted(), nil
}

// documents makes one slot and one decoding task for each file. Documents of
// which docs remembers the same bytes are not decoded again.
func documents[T any](files []string, m *memory, docs map[string]*T, src func(*T) *model.Source) ([]*T, []doc) {
	slots := make([]*T, len(files))
	tasks := make([]doc, len(files))
	for i, file := range files {
		tasks[i] = doc{file, func(b []byte, l *diag.List) {
			if have, ok := recalled(m, docs, file, b, func(v *T) [32]byte { return src(v).Digest }); ok {
				slots[i] = have
				return
			}
			v := new(T)
			*src(v) = source(file, b)
			if decode(file, b, v, l) {
				slots[i] = v
			}
		}}
	}
	return slots, tasks
}

// clean returns the documents that decoded without a diagnostic and that the cache
// can hold as they are. Those that came from it need no second look.
func clean[T any](slots []*T, docs []doc, lists []diag.List, known map[string]*T) []*T {
	var out []*T
	for i, v := range slots {
		if v != nil && len(lists[i]) == 0 && (known[docs[i].file] == v || gobKeeps(reflect.ValueOf(v))) {
			out = append(out, v)
		}
	}
	return out
}

func present[T any](slots []*T, missing func(i int)) []*T {
	out := make([]*T, 0, len(slots))
	for i, s := range slots {
		if s == nil {
			missing(i)
			continue
		}
		out = append(out, s)
	}
	return out
}

func source(file string, src []byte) model.Source {
	return model.Source{File: file, Digest: sha256.Sum256(src)}
}

func stem(file string) string { return strings.TrimSuffix(path.Base(file), path.Ext(file)) }

func (r *Repo) exists(file string) bool {
	_, err := r.root.Lstat(file)
	return err == nil
}

// entries lists a folder in the order of names; a folder that is not there is empty.
func (r *Repo) entries(dir string, l *diag.List) []fs.DirEntry {
	f, err := r.root.Open(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			readError(dir, err, l)
		}
		return nil
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		readError(dir, err, l)
		return nil
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

func (r *Repo) yamlFiles(dir string, l *diag.List) []string {
	var out []string
	for _, e := range r.entries(dir, l) {
		file := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case path.Ext(file) == ".yaml":
			out = append(out, file)
		case path.Ext(file) == ".yml" || e.IsDir():
			l.Warnf(RuleIgnoredFile, file, nil, "ignored: only files named *.yaml are read from %s", dir)
		}
	}
	return out
}

func (r *Repo) scoreFiles(l *diag.List) []string {
	var out []string
	for _, e := range r.entries(WorkloadsDir, l) {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := path.Join(WorkloadsDir, e.Name(), ScoreFile)
		switch {
		case !e.IsDir() && e.Type()&fs.ModeSymlink == 0:
			l.Warnf(RuleIgnoredFile, path.Join(WorkloadsDir, e.Name()), nil, "ignored: a workload is a folder with a %s", ScoreFile)
		case r.exists(file):
			out = append(out, file)
		case e.Type()&fs.ModeSymlink != 0:
			// Reading it says whether it leads out of the repository.
			out = append(out, file)
		}
	}
	return out
}

// contractFiles finds contract.yaml files below modules/. Symbolic links to
// folders are not followed.
func (r *Repo) contractFiles(l *diag.List) []string {
	var out []string
	if !r.exists(ModulesDir) {
		return nil
	}
	err := fs.WalkDir(r.root.FS(), ModulesDir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") {
			return fs.SkipDir
		}
		if !e.IsDir() && e.Name() == ContractFile {
			out = append(out, p)
		}
		return nil
	})
	if err != nil {
		readError(ModulesDir, err, l)
	}
	return out
}

// policies reads the user's Rego files.
func (r *Repo) policies(m *model.Repository, l *diag.List) {
	for _, e := range r.entries(PoliciesDir, l) {
		file := path.Join(PoliciesDir, e.Name())
		if e.IsDir() || path.Ext(file) != ".rego" {
			continue
		}
		src, err := r.read(file, MaxFileSize)
		if err != nil {
			readError(file, err, l)
			continue
		}
		m.Policies[file] = src
	}
}
