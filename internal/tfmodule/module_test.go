package tfmodule_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/tfmodule"
	"github.com/stratahq/strata/modules"
)

func TestRead(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/module.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files, want := fstest.MapFS{}, map[string]string{}
	for _, f := range ar.Files {
		if strings.HasSuffix(f.Name, ".tf") {
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		} else {
			want[f.Name] = string(f.Data)
		}
	}
	m, err := tfmodule.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.Style(), "\n") + "\n"; got != want["style"] {
		t.Errorf("style:\n%s", got)
	}
	if got := m.Readme(tfmodule.ReadmeOptions{Name: "aws/thing"}); got != want["readme"] {
		t.Errorf("readme:\n%s", got)
	}
}

func TestReadErrors(t *testing.T) {
	for name, c := range map[string]struct{ src, says string }{
		"nothing":   {"", "no .tf file"},
		"no syntax": {"resource {", "main.tf:1"},
		"no type":   {"variable \"a\" {\n  type = lists(string)\n}", "main.tf:2"},
	} {
		files := fstest.MapFS{}
		if c.src != "" {
			files["main.tf"] = &fstest.MapFile{Data: []byte(c.src)}
		}
		if _, err := tfmodule.Read(files); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRead reads anything: it may refuse it, and must come back.
func FuzzRead(f *testing.F) {
	f.Add("# Intro.\n\nvariable \"a\" {\n  type = object({ b = optional(list(string), []) })\n}\noutput \"b\" { value = 1 }\n")
	f.Fuzz(func(t *testing.T, src string) {
		m, err := tfmodule.Read(fstest.MapFS{"main.tf": &fstest.MapFile{Data: []byte(src)}})
		if err == nil {
			m.Readme(tfmodule.ReadmeOptions{Name: "x"})
		}
	})
}

// TestContracts compares every built-in module with its contract: each output is
// there, each parameter has a variable.
func TestContracts(t *testing.T) {
	c, _ := catalog.New(nil)
	n := 0
	compare := func(k *model.Contract) {
		for cloud, b := range k.Spec.Modules {
			source, ok := strings.CutPrefix(b.Source, catalog.BuiltinPrefix)
			if !ok || cloud != model.CloudAWS {
				continue
			}
			dir, err := fs.Sub(modules.FS, source)
			if err != nil {
				t.Fatal(err)
			}
			m, err := tfmodule.Read(dir)
			if err != nil {
				t.Errorf("%s: %v", source, err)
				continue
			}
			n++
			for _, wrong := range append(m.Fulfils(c, k, b), m.Style()...) {
				t.Errorf("%s: %s", source, wrong)
			}
		}
	}
	for _, name := range c.ResourceTypes() {
		k, _ := c.Resource(name)
		compare(k)
	}
	for _, name := range c.PlatformTypes() {
		k, _ := c.Platform(name)
		compare(k)
	}
	if n != 16 {
		t.Errorf("%d modules were compared", n)
	}
}

// TestFulfils says what a module lacks.
func TestFulfils(t *testing.T) {
	c, _ := catalog.New(nil)
	k, _ := c.Resource("postgres")
	b, _ := c.ModuleFor(k, model.CloudAWS)
	m, err := tfmodule.Read(fstest.MapFS{"main.tf": &fstest.MapFile{Data: []byte("variable \"extra\" {}\noutput \"more\" { value = 1 }\noutput \"host\" { value = 1 }\n")}})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(m.Fulfils(c, k, b), "\n")
	for _, want := range []string{"there is no output password", "output more is in no contract", "there is no variable vpc_id, which the contract passes", "there is no variable postgres_version for the parameter version", "variable extra is required, and nothing passes it"} {
		if !strings.Contains(got, want) {
			t.Errorf("does not say %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "output host") {
		t.Errorf("finds what is there:\n%s", got)
	}
}
