package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Recipe says what an image consists of: images/<name>.yaml, or image.yaml in a
// workload's folder.
type Recipe struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       Spec     `yaml:"spec"`
	// Dir is the folder that paths are relative to; empty for a built-in recipe.
	Dir string `yaml:"-"`
}

// Metadata names a recipe.
type Metadata struct {
	Name string `yaml:"name"`
}

// Spec is the body of a recipe.
type Spec struct {
	// From is the recipe of the image below; empty for none.
	From string `yaml:"from"`
	// Packages are Debian packages; Without those of their dependencies that nothing
	// needs at run time, each with the reason.
	Packages []string          `yaml:"packages"`
	Without  map[string]string `yaml:"without"`
	// Shell is the reason why there is a shell; empty where there is none.
	Shell string `yaml:"shell"`
	// Go is a package to build, relative to the recipe; Engine a program that lies
	// beside strata. Either becomes To.
	Go     string `yaml:"go"`
	Engine string `yaml:"engine"`
	To     string `yaml:"to"`
	// Files are written as they are; Dirs are made for the image's user; Links are
	// symbolic links, by name.
	Files []File            `yaml:"files"`
	Dirs  []string          `yaml:"dirs"`
	Links map[string]string `yaml:"links"`
	// The rest is the image's configuration.
	User       string            `yaml:"user"`
	Entrypoint []string          `yaml:"entrypoint"`
	Env        map[string]string `yaml:"env"`
	WorkDir    string            `yaml:"workDir"`
	// keep names parts of packages that are left out otherwise.
	Keep []string `yaml:"keep"`
}

// File is a file in an image, with its content or a file that has it.
type File struct {
	Path    string `yaml:"path"`
	Content string `yaml:"content"`
	From    string `yaml:"from"`
	Mode    uint32 `yaml:"mode"`
}

// nonRoot is the user of images that name none.
const nonRoot = "65532:65532"

var recipeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Decode reads a recipe. An unknown field or a wrong value is an error that says where.
func Decode(data []byte, file string) (*Recipe, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var r Recipe
	if err := d.Decode(&r); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := d.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a recipe is one document", file)
	}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &r, nil
}

func (r *Recipe) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	s := &r.Spec
	if r.APIVersion != "strata/v1alpha1" || r.Kind != "Image" {
		fail("apiVersion must be strata/v1alpha1 and kind Image")
	}
	if !recipeName.MatchString(r.Metadata.Name) {
		fail("metadata.name %q must be a DNS label", r.Metadata.Name)
	}
	if s.Go != "" && s.Engine != "" {
		fail("spec.go and spec.engine exclude each other")
	}
	if (s.Go != "" || s.Engine != "") && !absolute(s.To) {
		fail("spec.to must say where the program is put: an absolute path, not %q", s.To)
	}
	for _, f := range s.Files {
		if !absolute(f.Path) {
			fail("spec.files: %q is no absolute path", f.Path)
		}
		if (f.Content == "") == (f.From == "") {
			fail("spec.files: %s needs either content or from", f.Path)
		}
		if strings.HasPrefix(filepath.Clean(f.From), "..") || filepath.IsAbs(f.From) {
			fail("spec.files: %s leads out of the recipe's folder", f.From)
		}
	}
	for _, d := range s.Dirs {
		if !absolute(d) {
			fail("spec.dirs: %q is no absolute path", d)
		}
	}
	if s.User == "root" || s.User == "0" || strings.HasPrefix(s.User, "0:") {
		fail("spec.user: images do not run as root")
	}
	return errors.Join(errs...)
}

func absolute(p string) bool { return strings.HasPrefix(p, "/") && path.Clean(p) == p && p != "/" }

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
		r, err := Decode(b, file)
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

// ReadFile reads the recipe of a workload. Its paths are relative to its folder.
func ReadFile(file string) (*Recipe, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r, err := Decode(b, file)
	if err != nil {
		return nil, err
	}
	r.Dir = filepath.Dir(file)
	return r, nil
}

// chain returns a recipe after those that it is built upon, lowest first.
func (all Recipes) chain(r *Recipe) ([]*Recipe, error) {
	out := []*Recipe{r}
	for r.Spec.From != "" {
		below, ok := all[r.Spec.From]
		if !ok {
			return nil, fmt.Errorf("image %s: spec.from names %q, and there is no such recipe", r.Metadata.Name, r.Spec.From)
		}
		if slices.Contains(out, below) {
			return nil, fmt.Errorf("image %s: it is built upon itself", r.Metadata.Name)
		}
		out = append(out, below)
		r = below
	}
	slices.Reverse(out)
	return out, nil
}
