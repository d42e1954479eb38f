package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
)

// RecipeFile is the name of a workload's recipe, in the workload's folder.
const RecipeFile = "image.yaml"

// Recipe says what an image consists of: images/<name>.yaml, or image.yaml in a
// workload's folder.
type Recipe struct {
	APIVersion string         `json:"apiVersion" doc:"Version of this format." rule:"required;enum=strata/v1alpha1"`
	Kind       string         `json:"kind" doc:"Kind of this document." rule:"required;enum=Image"`
	Metadata   model.Metadata `json:"metadata" doc:"Names the image." rule:"required"`
	Spec       Spec           `json:"spec" doc:"What is in the image." rule:"required"`
	// Dir is the folder that paths are relative to; empty for a built-in recipe.
	Dir string `json:"-"`
}

// Spec is the body of a recipe.
type Spec struct {
	From       string            `json:"from,omitempty" doc:"Recipe of the image that this one is built upon; none: it starts empty." rule:"pattern=dns-label"`
	Packages   []string          `json:"packages,omitempty" doc:"Debian packages. What they depend on comes along."`
	Without    map[string]string `json:"without,omitempty" doc:"Packages that others depend on and nothing needs at run time, each with the reason."`
	Keep       []string          `json:"keep,omitempty" doc:"Files and folders of packages that come in although drop or a rule for all images leaves them out, as patterns."`
	Drop       []string          `json:"drop,omitempty" doc:"Files and folders of packages to leave out, as patterns: * is any text without '/'."`
	Shell      string            `json:"shell,omitempty" doc:"Why there is a shell in the image. An image with a shell and without a reason is refused."`
	Go         string            `json:"go,omitempty" doc:"Folder of a Go main package to build, relative to the recipe."`
	To         string            `json:"to,omitempty" doc:"Where in the image that program is put."`
	Engines    map[string]string `json:"engines,omitempty" doc:"Programs that come with Strata and lie beside it: where in the image each is put." rule:"keypattern=dns-label"`
	Files      []File            `json:"files,omitempty" doc:"Files to write."`
	Dirs       []string          `json:"dirs,omitempty" doc:"Folders that belong to the image's user."`
	Links      map[string]string `json:"links,omitempty" doc:"Symbolic links: where they lead, by name."`
	User       string            `json:"user,omitempty" doc:"User and group that the image runs as, in numbers: UID:GID. Never root." rule:"default=65532:65532"`
	Entrypoint []string          `json:"entrypoint,omitempty" doc:"Program and arguments that a container starts."`
	Env        map[string]string `json:"env,omitempty" doc:"Environment variables."`
	WorkDir    string            `json:"workDir,omitempty" doc:"Folder that a container starts in."`
}

// File is a file in an image, with its content or a file that has it.
type File struct {
	Path    string `json:"path" doc:"Absolute path in the image." rule:"required"`
	Content string `json:"content,omitempty" doc:"The file's text." rule:"exactlyone"`
	From    string `json:"from,omitempty" doc:"A file in the recipe's folder." rule:"exactlyone"`
	Mode    string `json:"mode,omitempty" doc:"Octal mode." rule:"pattern=file-mode;default=0644"`
}

// nonRoot is the user of images that name none.
const nonRoot = "65532:65532"

// RuleRecipe is the rule of what must hold in a recipe beyond its form.
const RuleRecipe = "image-recipe"

// InvalidError is a recipe that cannot be used: everything that is wrong with it.
type InvalidError struct {
	List   diag.List
	Source []byte
}

// Error has one line a mistake, with its place.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.List))
	for i, d := range e.List {
		lines[i] = d.String()
		if d.Remedy != "" {
			lines[i] += ". " + d.Remedy
		}
	}
	return strings.Join(lines, "\n")
}

// Decode reads a recipe; dir is the folder that its paths are relative to, empty for a
// built-in one. The error is an *InvalidError that says where each mistake is.
func Decode(src []byte, file, dir string) (*Recipe, error) {
	r := Recipe{Dir: dir}
	list, ok := manifest.Document(file, src, &r)
	if ok {
		r.validate(file, &list)
		manifest.Locate(list, func(string) []byte { return src })
	}
	if list.HasErrors() {
		return nil, &InvalidError{List: list.Sorted(), Source: src}
	}
	return &r, nil
}

var (
	debianName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	userName   = regexp.MustCompile(`^[1-9][0-9]{0,8}:[1-9][0-9]{0,8}$`)
)

func (r *Recipe) validate(file string, l *diag.List) {
	s := &r.Spec
	fail := func(path diag.Path, remedy, format string, args ...any) {
		l.Errorf(RuleRecipe, file, path, format, args...).Remedy = remedy
	}
	absolutes := func(path diag.Path, p string) {
		if !absolute(p) {
			fail(path, "Write the whole path, such as /var/lib/app.", "%s must be an absolute path without detours, not %q", path, p)
		}
	}
	spec := diag.P("spec")
	for i, p := range s.Packages {
		if !debianName.MatchString(p) {
			fail(spec.With("packages", i), "", "%q is no name of a Debian package", p)
		}
	}
	for p, why := range s.Without {
		if strings.TrimSpace(why) == "" {
			fail(spec.With("without", p), "Give the reason, or remove the line.", "%s is left out without a reason", p)
		}
	}
	for field, list := range map[string][]string{"drop": s.Drop, "keep": s.Keep} {
		for i, p := range list {
			if _, err := path.Match(p, "/"); err != nil || !strings.HasPrefix(p, "/") {
				fail(spec.With(field, i), "", "%q is no pattern of an absolute path", p)
			}
		}
	}
	switch {
	case s.Go != "" && s.To == "":
		fail(spec.With("go"), "Add `to: /usr/bin/<name>`.", "spec.to must say where the program is put")
	case s.Go == "" && s.To != "":
		fail(spec.With("to"), "Name one in spec.go, or remove spec.to.", "there is no program to put to %s", s.To)
	case s.Go != "" && (r.Dir == "" || filepath.IsAbs(s.Go)):
		fail(spec.With("go"), "", "spec.go is a folder relative to the recipe's own, and built-in recipes have none")
	case s.Go != "":
		absolutes(spec.With("to"), s.To)
	}
	for name, to := range s.Engines {
		absolutes(spec.With("engines", name), to)
	}
	for i, f := range s.Files {
		at := spec.With("files", i)
		absolutes(at.With("path"), f.Path)
		if (f.From == "") == (f.Content == "") {
			fail(at, "", "%s needs either content or from", f.Path)
		}
		if f.From != "" && (r.Dir == "" || !filepath.IsLocal(f.From)) {
			fail(at.With("from"), "", "%s is not in the recipe's folder", f.From)
		}
	}
	for i, d := range s.Dirs {
		absolutes(spec.With("dirs", i), d)
	}
	for name := range s.Links {
		absolutes(spec.With("links", name), name)
	}
	if s.User != "" && !userName.MatchString(s.User) {
		fail(spec.With("user"), "Write it as UID:GID, such as 65532:65532.", "spec.user must be a user and a group in numbers, and never root; it is %q", s.User)
	}
}

func absolute(p string) bool { return strings.HasPrefix(p, "/") && path.Clean(p) == p && p != "/" }

// owner returns the user and group that the image runs as.
func (s *Spec) owner() (uid, gid int) {
	u, g, _ := strings.Cut(s.User, ":")
	if s.User == "" {
		u, g, _ = strings.Cut(nonRoot, ":")
	}
	uid, _ = strconv.Atoi(u) // the decoder took numbers only
	gid, _ = strconv.Atoi(g)
	return uid, gid
}

// mode returns the mode of a file.
func (f File) mode() uint32 {
	if f.Mode == "" {
		return 0o644
	}
	m, _ := strconv.ParseUint(f.Mode, 8, 32) // the decoder took octal digits only
	return uint32(m)
}

// Recipes are recipes by name.
type Recipes map[string]*Recipe

// ReadAll reads every recipe in the top folder of a file system.
func ReadAll(fsys fs.FS) (Recipes, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	out := Recipes{}
	for _, file := range files {
		b, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		r, err := Decode(b, file, "")
		if err != nil {
			return nil, err
		}
		if r.Metadata.Name != strings.TrimSuffix(file, ".yaml") {
			return nil, fmt.Errorf("%s: metadata.name is %q; file and name must be the same", file, r.Metadata.Name)
		}
		out[r.Metadata.Name] = r
	}
	return out, nil
}

// ReadWorkload reads the recipe in a workload's folder. The error wraps
// fs.ErrNotExist where there is none: then nothing is built for the workload.
func ReadWorkload(dir string) (*Recipe, error) {
	file := filepath.Join(dir, RecipeFile)
	dir, err := filepath.Abs(dir) // its last part is the workload's name, also of "."
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := Decode(b, file, dir)
	if err != nil {
		return nil, err
	}
	if want := filepath.Base(dir); r.Metadata.Name != want {
		return nil, fmt.Errorf("%s: metadata.name is %q; it must be the workload's, %q", file, r.Metadata.Name, want)
	}
	return r, nil
}

// ReadWorkloads reads the recipes of all workloads of a repository, by name. Every
// mistake in any of them is in the error.
func ReadWorkloads(repository string) (Recipes, error) {
	files, err := filepath.Glob(filepath.Join(repository, manifest.WorkloadsDir, "*", RecipeFile))
	if err != nil {
		return nil, err
	}
	out := Recipes{}
	var errs []error
	for _, file := range files {
		r, err := ReadWorkload(filepath.Dir(file))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out[r.Metadata.Name] = r
	}
	return out, errors.Join(errs...)
}

// chain returns a recipe after those that it is built upon, lowest first.
func (all Recipes) chain(r *Recipe) ([]*Recipe, error) {
	out := []*Recipe{r}
	for r.Spec.From != "" {
		below, ok := all[r.Spec.From]
		if !ok {
			return nil, fmt.Errorf("image %s: spec.from names %q, and there is no such recipe: `strata image ls` lists them", r.Metadata.Name, r.Spec.From)
		}
		if slices.Contains(out, below) {
			return nil, fmt.Errorf("image %s: spec.from leads back to %s", out[0].Metadata.Name, below.Metadata.Name)
		}
		out = append(out, below)
		r = below
	}
	slices.Reverse(out)
	return out, nil
}
