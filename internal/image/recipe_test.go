package image_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stratahq/strata/images"
	"github.com/stratahq/strata/internal/image"
)

const head = "apiVersion: strata/v1alpha1\nkind: Image\nmetadata: {name: app}\nspec:\n"

// TestDecode has a mistake of each kind, and where it must be reported.
func TestDecode(t *testing.T) {
	for _, test := range []struct{ spec, want string }{
		{"  form: static", `image.yaml:5:3: error: unknown field "form" in spec`},
		{"  packages: redis", "image.yaml:5:13: error: spec.packages must be a list"},
		{"  packages: [Redis!]", `image.yaml:5:14: error: "Redis!" is no name of a Debian package`},
		{"  without: {perl: ''}", "image.yaml:5:19: error: perl is left out without a reason"},
		{"  drop: ['[']", `image.yaml:5:10: error: "[" is no pattern`},
		{"  keep: [usr/bin/df]", `image.yaml:5:10: error: "usr/bin/df" is no pattern of an absolute path`},
		{"  go: .", "image.yaml:5:7: error: spec.to must say where the program is put"},
		{"  go: .\n  to: bin/app", "image.yaml:6:7: error: spec.to must be an absolute path"},
		{"  to: /bin/app", "image.yaml:5:7: error: there is no program"},
		{"  engines: {strata-entry: entry}", "image.yaml:5:27: error: spec.engines.strata-entry must be an absolute path"},
		{"  files: [{path: /etc/app, from: ../secret}]", "image.yaml:5:34: error: ../secret is not in the recipe's folder"},
		{"  files: [{path: /etc/app, from: a, content: b}]", "image.yaml:5:11: error: /etc/app needs either content or from"},
		{"  files: [{path: /etc/../app, content: b}]", "image.yaml:5:18: error: spec.files[0].path must be an absolute path without detours"},
		{"  files: [{path: /etc/app, content: b, mode: '999'}]", "image.yaml:5:46: error: spec.files[0].mode must be an octal mode"},
		{"  dirs: [/]", "image.yaml:5:10: error: spec.dirs[0] must be an absolute path"},
		{"  links: {bin: usr/bin}", "image.yaml:5:16: error: spec.links.bin must be an absolute path"},
		{"  user: root", "image.yaml:5:9: error: spec.user must be a user and a group in numbers, and never root"},
		{"  user: '0:0'", "image.yaml:5:9: error: spec.user must be"},
		{"  user: '65532:0'", "image.yaml:5:9: error: spec.user must be"},
	} {
		_, err := image.Decode([]byte(head+test.spec+"\n"), "image.yaml", t.TempDir())
		var invalid *image.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", test.spec, err, test.want)
		}
	}
	for _, test := range []struct{ text, want string }{
		{"", "the file is empty"},
		{"apiVersion: strata/v1alpha1\nkind: Image\nmetadata: {name: App}\nspec: {}\n", "app.yaml:3:18: error: metadata.name must be a DNS label"},
		{"apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec: {}\n", "app.yaml:1:13: error: apiVersion must be"},
		{head + "  go: .\n  to: /app\n", "built-in recipes have none"},
		{strings.Replace(head, "app", "other", 1) + "  user: '1:1'\n", "file and name must be the same"},
	} {
		_, err := image.ReadAll(fstest.MapFS{"app.yaml": {Data: []byte(test.text)}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %s", test.text, err, test.want)
		}
	}
}

func TestChain(t *testing.T) {
	b := builder(t)
	r := func(name, from string) *image.Recipe {
		r := &image.Recipe{Spec: image.Spec{From: from}}
		r.Metadata.Name = name
		return r
	}
	b.Recipes = image.Recipes{"a": r("a", "b"), "b": r("b", "a")}
	if _, err := b.Build(t.Context(), b.Recipes["a"]); err == nil || !strings.Contains(err.Error(), "leads back") {
		t.Errorf("a circle: %v", err)
	}
	if _, err := b.Build(t.Context(), r("c", "nothing")); err == nil || !strings.Contains(err.Error(), `spec.from names "nothing"`) {
		t.Errorf("a recipe that is not there: %v", err)
	}
}

// TestWorkload builds the image of a workload, changes its program, and gets the first
// image back.
func TestWorkload(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "app")
	write := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	program := func(says string) string { return fmt.Sprintf("package main\n\nfunc main() { println(%q) }\n", says) }
	b := builder(t)
	build := func() *image.Image {
		t.Helper()
		img, err := b.BuildWorkload(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	if _, err := b.BuildWorkload(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a workload without a recipe: %v", err)
	}
	write("image.yaml", head+"  go: .\n  to: /app\n  files: [{path: /etc/greeting, from: greeting.txt}]\n")
	write("go.mod", "module example.com/app\n\ngo 1.26\n")
	write("main.go", program("hello"))
	write("greeting.txt", "hello")
	first := build()
	if m := first.Modules(); len(m) != 2 || m[0].Path != "example.com/app" || m[1].Path != "stdlib" {
		t.Errorf("modules: %v", m)
	}
	write("main.go", program("good evening"))
	second := build()
	if second.Digest == first.Digest {
		t.Error("another program, and the same image")
	}
	write("main.go", program("hello"))
	if again := build(); again.Digest != first.Digest {
		t.Errorf("the same program gives %s and %s", first.Digest, again.Digest)
	}
	write("greeting.txt", "good evening")
	if third := build(); third.Digest == first.Digest {
		t.Error("another file, and the same image")
	}
	if found, err := b.Find(t.Context(), second.Ref()); err != nil || found.Digest != second.Digest {
		t.Errorf("an image of before: %v, %v", found, err)
	}
	write("main.go", "package main\n\nfunc main() { nothing() }\n")
	if _, err := b.BuildWorkload(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("a program that does not compile: %v", err)
	}
	write("main.go", "package app\n")
	if _, err := b.BuildWorkload(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no main package") {
		t.Errorf("a package that is no program: %v", err)
	}
}

// FuzzDecode feeds the decoder: whatever the text is, it says what is wrong with it or
// returns a recipe that keeps the rules.
func FuzzDecode(f *testing.F) {
	files, err := fs.Glob(images.FS, "*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("recipes: %v, %v", files, err)
	}
	for _, file := range files {
		b, err := fs.ReadFile(images.FS, file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, spec := range []string{"  user: '1:1'", "  files: [{path: /a, from: b, mode: '0644'}]", "  go: ../x\n  to: /app", "  drop: ['/a/[^b]*']", "  links: {/a: b}"} {
		f.Add([]byte(head + spec + "\n"))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := image.Decode(src, "image.yaml", "dir")
		var invalid *image.InvalidError
		switch {
		case errors.As(err, &invalid):
			if len(invalid.List) == 0 || err.Error() == "" {
				t.Error("an error that says nothing")
			}
		case err != nil:
			t.Errorf("an error without a place: %v", err)
		default:
			if r.Spec.User != "" && (strings.HasPrefix(r.Spec.User, "0") || strings.Contains(r.Spec.User, "root")) {
				t.Errorf("user %q", r.Spec.User)
			}
			for _, file := range r.Spec.Files {
				if file.From != "" && !filepath.IsLocal(file.From) {
					t.Errorf("file %q", file.From)
				}
			}
		}
	})
}

// TestKept: layers that are used are not let go of while others are written.
func TestKept(t *testing.T) {
	b := builder(t)
	recipe := func(n int) *image.Recipe {
		r := &image.Recipe{Spec: image.Spec{Files: []image.File{{Path: "/etc/n", Content: fmt.Sprint(n)}}}}
		r.Metadata.Name = "app"
		return r
	}
	var built []*image.Image
	for n := range 12 {
		img, err := b.Build(t.Context(), recipe(n))
		if err != nil {
			t.Fatal(err)
		}
		built = append(built, img)
		at := time.Now().Add(time.Duration(n-60) * time.Minute)
		if err := os.Chtimes(filepath.Join(b.Cache, "layers", filepath.FromSlash(img.Layers[0].Key)+".json"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Built(t.Context(), recipe(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Find(t.Context(), built[1].Ref()); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if _, err := b.Build(t.Context(), recipe(12+n)); err != nil {
			t.Fatal(err)
		}
	}
	for n, kept := range []bool{true, true, false, false, true} {
		if _, err := b.Built(t.Context(), recipe(n)); (err == nil) != kept || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("layer %d: %v; kept: %v", n, err, kept)
		}
	}
}
