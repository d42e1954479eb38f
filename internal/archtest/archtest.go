// Package archtest holds the repository to its own rules: which package may import
// which, who may start goroutines or end the process, that packages and exported
// names are described, and that files stay short. It reads source text only; rules
// about what code does belong to the tests of that code.
package archtest

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Rules are what Check holds a module to. Packages are named by their folder; a name
// that ends in "/..." stands for all folders below as well.
type Rules struct {
	// Module is the module's path.
	Module string
	// Layers are groups of packages, lowest first. A package may import packages of
	// lower layers only, and each must be in a layer.
	Layers [][]string
	// Only says of some packages what alone they may import of the module.
	Only map[string][]string
	// Concurrent packages may start goroutines.
	Concurrent []string
	// Exits are the packages that may end the process.
	Exits []string
	// MaxLines is how long a file may be; LongFiles gives the reason for those that are
	// longer.
	MaxLines  int
	LongFiles map[string]string
}

// Violation is a place that breaks a rule.
type Violation struct {
	File string
	Line int
	// Rule is "imports", "goroutine", "exit", "package-doc", "doc" or "length".
	Rule string
	Text string
}

// String returns "file:line: text [rule]".
func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s [%s]", v.File, v.Line, v.Text, v.Rule)
}

// Check reads the Go files of the module at root, without its tests, and returns
// what breaks the rules, by file and line. Nested modules and testdata are left out.
func Check(root string, rules Rules) ([]Violation, error) {
	c := &checker{root: root, rules: rules, fset: token.NewFileSet(), documented: map[string]bool{}, first: map[string]string{}}
	if err := filepath.WalkDir(root, c.visit); err != nil {
		return nil, err
	}
	for pkg, file := range c.first {
		if !c.documented[pkg] {
			c.report(file, 1, "package-doc", "package %s has no comment that begins with its name and says what belongs in it", pkg)
		}
	}
	for file, reason := range rules.LongFiles {
		if strings.TrimSpace(reason) == "" || !c.long(file) {
			c.report(file, 1, "length", "listed as a long file, but it is none or no reason is given")
		}
	}
	slices.SortFunc(c.found, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text))
	})
	return c.found, nil
}

type checker struct {
	root       string
	rules      Rules
	fset       *token.FileSet
	documented map[string]bool   // packages with a doc comment
	first      map[string]string // first file of each package
	found      []Violation
	longFiles  []string
}

func (c *checker) report(file string, line int, rule, format string, args ...any) {
	c.found = append(c.found, Violation{file, line, rule, fmt.Sprintf(format, args...)})
}

func (c *checker) long(file string) bool { return slices.Contains(c.longFiles, file) }

func (c *checker) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(c.root, name)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	if d.IsDir() {
		return c.enter(name, rel, d.Name())
	}
	if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
		return nil
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(c.fset, rel, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	c.file(rel, f)
	return nil
}

// enter leaves out folders that the go command leaves out too, and nested modules.
func (c *checker) enter(name, rel, base string) error {
	if rel == "." {
		return nil
	}
	if base == "testdata" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	switch _, err := os.Stat(filepath.Join(name, "go.mod")); {
	case err == nil:
		return fs.SkipDir
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

func (c *checker) file(rel string, f *ast.File) {
	pkg := path.Dir(rel)
	if _, ok := c.first[pkg]; !ok {
		c.first[pkg] = rel
	}
	want := "Package " + f.Name.Name + " "
	if f.Name.Name == "main" {
		want = "Command " + path.Base(pkg) + " "
	}
	if f.Doc != nil && strings.HasPrefix(f.Doc.Text(), want) {
		c.documented[pkg] = true
	}
	lines := c.fset.File(f.FileStart).LineCount()
	if lines > c.rules.MaxLines {
		c.longFiles = append(c.longFiles, rel)
		if _, ok := c.rules.LongFiles[rel]; !ok {
			c.report(rel, 1, "length", "%d lines; over %d wants a reason in this package's list", lines, c.rules.MaxLines)
		}
	}
	c.imports(rel, pkg, f)
	c.calls(rel, pkg, f)
	if f.Name.Name != "main" {
		c.docs(rel, f)
	}
}

// layer returns the index of the layer that a package is in, or -1.
func (c *checker) layer(pkg string) int {
	return slices.IndexFunc(c.rules.Layers, func(layer []string) bool { return matchAny(layer, pkg) })
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, all := strings.CutSuffix(p, "/...")
		return p == pkg || all && (pkg == below || strings.HasPrefix(pkg, below+"/"))
	})
}

func (c *checker) imports(rel, pkg string, f *ast.File) {
	own := c.layer(pkg)
	if own < 0 {
		c.report(rel, 1, "imports", "package %s is in no layer; put it into one", pkg)
		return
	}
	for _, spec := range f.Imports {
		target, ok := strings.CutPrefix(importPath(spec), c.rules.Module+"/")
		if !ok {
			continue
		}
		line := c.fset.Position(spec.Pos()).Line
		only, limited := c.rules.Only[pkg]
		switch {
		case limited && !matchAny(only, target):
			c.report(rel, line, "imports", "%s may not import %s; of this module only: %s", pkg, target, strings.Join(only, ", "))
		case c.layer(target) >= own:
			c.report(rel, line, "imports", "%s may not import %s, which is not below it", pkg, target)
		}
	}
}

func importPath(spec *ast.ImportSpec) string {
	// The parser has checked that it is a string.
	p, _ := strconv.Unquote(spec.Path.Value)
	return p
}

// calls looks for goroutines and for ends of the process.
func (c *checker) calls(rel, pkg string, f *ast.File) {
	concurrent := matchAny(c.rules.Concurrent, pkg)
	command := matchAny(c.rules.Exits, pkg)
	packages := map[string]string{} // by the name that the file knows them under
	for _, spec := range f.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		packages[name] = p
	}
	goroutine := func(n ast.Node) {
		if !concurrent {
			c.report(rel, c.fset.Position(n.Pos()).Line, "goroutine", "%s may not start goroutines", pkg)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			goroutine(n)
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, _ := sel.X.(*ast.Ident)
			from := ""
			if x != nil {
				from = packages[x.Name]
			}
			// errgroup.Group and sync.WaitGroup both start with a method Go.
			if sel.Sel.Name == "Go" && from == "" {
				goroutine(n)
			}
			ends := from == "os" && sel.Sel.Name == "Exit" || from == "log" && strings.HasPrefix(sel.Sel.Name, "Fatal")
			if ends && !command {
				c.report(rel, c.fset.Position(n.Pos()).Line, "exit", "%s may not end the process; return an error", pkg)
			}
		}
		return true
	})
}
