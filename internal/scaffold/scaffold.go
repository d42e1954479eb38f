// Package scaffold writes the first files of a repository and of a workload.
// It never overwrites: what is there already is an error.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/schema"
)

//go:embed templates
var templates embed.FS

// Platform is what a new repository is made from.
type Platform struct {
	Name, Domain, Team string
}

// Workload is what a new workload is made from.
type Workload struct {
	Name, Team string
	Port       int
	// Resources lists resource types to declare, each under its own name.
	Resources []string
}

// NewPlatform writes a repository into dir, which is created when it is not
// there. It returns the files written, relative to dir. An error means that
// nothing was written.
func NewPlatform(dir string, p Platform) ([]string, error) {
	for _, c := range []struct{ what, value, pattern string }{
		{"name", p.Name, "dns-label"}, {"domain", p.Domain, "dns-name"}, {"team", p.Team, "dns-label"},
	} {
		if err := check(c.what, c.value, c.pattern); err != nil {
			return nil, err
		}
	}
	hello := Workload{Name: "hello", Team: p.Team, Port: 8080}
	list := program(hello)
	list = append(list,
		file{"strata.yaml", "strata.yaml.tmpl", p}, file{"environments/local.yaml", "local.yaml.tmpl", p},
		file{"workloads/hello/score.yaml", "hello.yaml.tmpl", p}, file{".gitignore", "gitignore.tmpl", p})
	return write(dir, list)
}

// NewWorkload writes a workload into the repository in dir: workloads/<name>/ with its
// Score file, a program that runs as it is, and the recipe of its image.
func NewWorkload(dir string, w Workload) ([]string, error) {
	if err := check("name", w.Name, "score-name"); err != nil {
		return nil, err
	}
	return write(dir, append(program(w), file{"workloads/" + w.Name + "/score.yaml", "workload.yaml.tmpl", w}))
}

// file is a file to be written from a template.
type file struct {
	name, template string
	data           any
}

// program returns the source of a workload's program and the recipe of its image.
func program(w Workload) []file {
	dir := "workloads/" + w.Name + "/"
	return []file{{dir + "main.go", "main.go.tmpl", w}, {dir + "go.mod", "go.mod.tmpl", w}, {dir + "image.yaml", "image.yaml.tmpl", w}}
}

func check(what, value, pattern string) error {
	if p := schema.Patterns[pattern]; !p.Match(value) {
		return fmt.Errorf("%s %q must be %s", what, value, p.Says)
	}
	return nil
}

// text writes a name so that YAML reads it as text: 007 and null are names too.
func text(name string) string {
	var v any
	if err := yaml.Unmarshal([]byte(name), &v); err == nil {
		if s, ok := v.(string); ok && s == name {
			return name
		}
	}
	return strconv.Quote(name)
}

// write renders every file before it writes the first, and refuses when one
// exists already.
func write(dir string, files []file) ([]string, error) {
	set, err := template.New("").Funcs(template.FuncMap{"text": text}).ParseFS(templates, "templates/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	// Through the root no symbolic link of the repository leads out of it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	content := map[string]string{}
	var names []string
	for _, f := range files {
		name := f.name
		if _, err := root.Lstat(name); err == nil {
			return nil, fmt.Errorf("%s exists already; nothing was written", filepath.Join(dir, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var b strings.Builder
		if err := set.ExecuteTemplate(&b, f.template, f.data); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		content[name] = b.String()
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := root.MkdirAll(path.Dir(name), 0o777); err != nil {
			return nil, err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err != nil {
			return nil, err
		}
		_, err = f.WriteString(content[name])
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return names, nil
}
