package manifest

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

const cachedScore = "apiVersion: score.dev/v1b1\nmetadata: {name: %s, team: shop}\ncontainers: {main: {image: %s}}\n"

// cached is a repository with enough workloads for a cache.
type cached struct{ dir, cache string }

func newCached(t *testing.T) cached {
	t.Helper()
	root := t.TempDir()
	c := cached{filepath.Join(root, "repository"), filepath.Join(root, "cache", "documents.gob")}
	c.write(t, PlatformFile, "apiVersion: strata/v1alpha1\nkind: Platform\nmetadata: {name: acme}\nspec: {domain: acme.example, teams: {shop: {contact: x}}}\n")
	for i := range cacheWorthwhile {
		c.workload(t, fmt.Sprintf("work%03d", i), "one")
	}
	digest := "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	c.write(t, "releases/prod.yaml", "apiVersion: strata/v1alpha1\nkind: Release\nmetadata: {name: prod}\nspec: {workloads: {work000: {images: {main: r.example/a"+digest+"}}}}\n")
	return c
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func (c cached) write(t fataler, name, content string) {
	t.Helper()
	file := filepath.Join(c.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func (c cached) workload(t *testing.T, name, image string) {
	t.Helper()
	c.write(t, "workloads/"+name+"/score.yaml", fmt.Sprintf(cachedScore, name, image))
}

func (c cached) load(t fataler, cache string) (*model.Repository, diag.List) {
	t.Helper()
	repo, err := Open(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	m, l, err := repo.Load(context.Background(), cache)
	if err != nil {
		t.Fatal(err)
	}
	return m, l
}

// wantSame wants Load with the cache as it is to give what Load without one gives.
func (c cached) wantSame(t fataler) {
	t.Helper()
	plain, plainList := c.load(t, "")
	m, l := c.load(t, c.cache)
	if !reflect.DeepEqual(l, plainList) {
		t.Fatalf("diagnostics with the cache:\n%v\nwithout:\n%v", l, plainList)
	}
	for i := range plain.Workloads {
		if i < len(m.Workloads) && !reflect.DeepEqual(m.Workloads[i], plain.Workloads[i]) {
			a, _ := json.Marshal(m.Workloads[i])
			b, _ := json.Marshal(plain.Workloads[i])
			t.Fatalf("with the cache:\n%s\n%+v\nwithout:\n%s\n%+v", a, m.Workloads[i], b, plain.Workloads[i])
		}
	}
	if !reflect.DeepEqual(m, plain) {
		t.Fatal("the model is another with the cache than without")
	}
}

// image returns the image of a workload.
func image(t *testing.T, m *model.Repository, name string) string {
	t.Helper()
	w, ok := m.WorkloadsByName()[name]
	if !ok {
		t.Fatalf("there is no workload %s", name)
	}
	return w.Containers["main"].Image
}

// doctor changes what the cache remembers, so that it shows whether it is believed.
func (c cached) doctor(t *testing.T, change func(r *remembered)) {
	t.Helper()
	known := recall(c.cache)
	r := remembered{Format: cacheFormat}
	for _, name := range model.SortedKeys(known.workloads) {
		r.Workloads = append(r.Workloads, known.workloads[name])
	}
	for _, name := range model.SortedKeys(known.releases) {
		r.Releases = append(r.Releases, known.releases[name])
	}
	if len(r.Workloads) != cacheWorthwhile || len(r.Releases) != 1 {
		t.Fatalf("the cache holds %d workloads and %d releases", len(r.Workloads), len(r.Releases))
	}
	change(&r)
	f, err := os.Create(c.cache)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := gob.NewEncoder(f).Encode(r); err != nil {
		t.Fatal(err)
	}
}

func TestCache(t *testing.T) {
	doctored := func(r *remembered) { r.Workloads[7].Containers["main"] = model.Container{Image: "doctored"} }
	const name = "work007"
	cases := []struct {
		name   string
		change func(t *testing.T, c cached)
		want   string
	}{
		{"nothing changed", func(t *testing.T, c cached) {}, "one"},
		{"it is used", func(t *testing.T, c cached) { c.doctor(t, doctored) }, "doctored"},
		{"changed file", func(t *testing.T, c cached) { c.doctor(t, doctored); c.workload(t, name, "two") }, "two"},
		{"file touched only", func(t *testing.T, c cached) { c.doctor(t, doctored); c.workload(t, name, "one") }, "doctored"},
		{"another file changed", func(t *testing.T, c cached) { c.doctor(t, doctored); c.workload(t, "work008", "two") }, "doctored"},
		{"missing", func(t *testing.T, c cached) { c.doctor(t, doctored); must(t, os.Remove(c.cache)) }, "one"},
		{"empty", func(t *testing.T, c cached) { c.doctor(t, doctored); must(t, os.Truncate(c.cache, 0)) }, "one"},
		{"cut off", func(t *testing.T, c cached) { c.doctor(t, doctored); must(t, os.Truncate(c.cache, 5000)) }, "one"},
		{"no gob", func(t *testing.T, c cached) { must(t, os.WriteFile(c.cache, []byte("no gob"), 0o600)) }, "one"},
		{"folder", func(t *testing.T, c cached) { must(t, os.Remove(c.cache)); must(t, os.Mkdir(c.cache, 0o700)) }, "one"},
		{"older format", func(t *testing.T, c cached) {
			c.doctor(t, func(r *remembered) { doctored(r); r.Format = "strata documents 0" })
		}, "one"},
		{"no format", func(t *testing.T, c cached) {
			c.doctor(t, func(r *remembered) { doctored(r); r.Format = "" })
		}, "one"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newCached(t)
			if _, l := c.load(t, c.cache); len(l) > 0 {
				t.Fatal(l)
			}
			tc.change(t, c)
			m, l := c.load(t, c.cache)
			if got := image(t, m, name); got != tc.want || len(l) > 0 {
				t.Errorf("the image is %q, want %q; %v", got, tc.want, l)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCacheForgets wants a removed file out of the model and out of the cache, and a
// file with a diagnostic never in it.
func TestCacheForgets(t *testing.T) {
	c := newCached(t)
	c.workload(t, "extra-one", "one")
	c.write(t, "workloads/broken/score.yaml", "x: y")
	c.load(t, c.cache)
	if n := len(recall(c.cache).workloads); n != cacheWorthwhile+1 {
		t.Errorf("the cache holds %d workloads", n)
	}
	must(t, os.RemoveAll(filepath.Join(c.dir, "workloads", "extra-one")))
	c.wantSame(t)
	if n := len(recall(c.cache).workloads); n != cacheWorthwhile {
		t.Errorf("the cache holds %d workloads after one was removed", n)
	}
	list, err := os.ReadDir(filepath.Dir(c.cache))
	if err != nil || len(list) != 1 {
		t.Errorf("beside the cache: %v, %v", list, err)
	}
}

// TestCacheProperty fills a few workloads with every kind of value a Score file may hold,
// those that say nothing included, and wants the cache to keep them apart.
func TestCacheProperty(t *testing.T) {
	c := newCached(t)
	text := rapid.SampledFrom([]string{`""`, `"x"`, `"${resources.db.host}"`})
	var free *rapid.Generator[string]
	free = rapid.Custom(func(t *rapid.T) string {
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); kind {
		case 0:
			return "null"
		case 1:
			return "{}"
		case 2:
			return "[]"
		case 3:
			return "[" + free.Draw(t, "item") + ", " + free.Draw(t, "item") + "]"
		case 4:
			return "{a: " + free.Draw(t, "a") + ", b: " + free.Draw(t, "b") + "}"
		default:
			return rapid.SampledFrom([]string{"0", "7", "0.5", "false", "true", `""`, "x"}).Draw(t, "scalar")
		}
	})
	mapping := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "empty") {
			return "{}"
		}
		return "{a: " + free.Draw(t, "value") + "}"
	})
	container := rapid.Custom(func(t *rapid.T) string {
		out := "image: a"
		for _, f := range []string{
			", command: []", ", args: [" + text.Draw(t, "arg") + "]", ", variables: {}", ", variables: {A: " + text.Draw(t, "variable") + "}",
			", files: {}", ", files: {/a: {content: " + text.Draw(t, "content") + "}}", ", files: [{target: /a, binaryContent: " + text.Draw(t, "binary") + "}]",
			", volumes: {}", ", resources: {}", ", resources: {limits: {}, requests: {cpu: \"1\"}}", ", livenessProbe: {}", ", readinessProbe: {exec: {command: []}}", ", before: {}",
		} {
			name := f[:4]
			if !strings.Contains(out, name) && rapid.IntRange(0, 2).Draw(t, "field"+f) == 0 {
				out += f
			}
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		for i := range 3 {
			name := fmt.Sprintf("extra%d", i)
			doc := fmt.Sprintf("apiVersion: score.dev/v1b1\nmetadata: {name: %s, free: %s}\ncontainers: {main: {%s}}\n", name, free.Draw(t, "free"), container.Draw(t, "container"))
			doc += rapid.SampledFrom([]string{"", "service: {}\n", "service: {ports: {}}\n", "service: {ports: {http: {port: 80}}}\n"}).Draw(t, "service")
			doc += rapid.SampledFrom([]string{"", "resources: {}\n", "resources: {db: {type: postgres}}\n", "resources: {db: {type: postgres, metadata: " + mapping.Draw(t, "metadata") + ", params: " + mapping.Draw(t, "params") + "}}\n"}).Draw(t, "resources")
			c.write(t, "workloads/"+name+"/score.yaml", doc)
		}
		if _, l := c.load(t, c.cache); l.HasErrors() {
			t.Fatal(l)
		}
		if n := len(recall(c.cache).workloads); n < cacheWorthwhile {
			t.Fatalf("the cache holds only %d workloads", n)
		}
		c.wantSame(t)
	})
}
