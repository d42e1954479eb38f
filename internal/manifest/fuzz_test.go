package manifest_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
)

func FuzzDecodePlatform(f *testing.F)    { fuzzDecode[model.Platform](f, "strata.yaml") }
func FuzzDecodeEnvironment(f *testing.F) { fuzzDecode[model.Environment](f, "environments/*.yaml") }
func FuzzDecodeWorkload(f *testing.F)    { fuzzDecode[model.Workload](f, "workloads/*/score.yaml") }
func FuzzDecodeRelease(f *testing.F)     { fuzzDecode[model.Release](f, "releases/*.yaml") }
func FuzzDecodeExceptions(f *testing.F) {
	fuzzDecode[model.Exceptions](f, "policies/exceptions.yaml")
}

// The example has no contract of its own; the built-in ones have the same form.
func FuzzDecodeContract(f *testing.F) {
	fuzzDecode[model.Contract](f, "../../internal/catalog/contracts/*.yaml")
}

// awkward are documents that have troubled decoders.
var awkward = []string{
	"", "\n", "---\n", "---\n---\n", "a: 1\n---\nb: 2\n", "# only a comment", "\xef\xbb\xbfkind: x", "kind: \xff", "\tkind: x", "kind: x\r\nkind: y\r\n", "a: 1\rb: 2",
	"a: &a [*a]", "a: &a {b: *a}", "*a", "a: *b", "<<: {a: 1}", "? [a]\n: b", "? \n: b", "? {a: b}\n: c", "!!binary: x", "a: !!int x", "a: !!float .nan", "a: !!null x", "a: !!set {b}",
	"metadata: {name: {name: x}}", "spec: []", "spec: null", "metadata: [", "metadata: {name: 'x", "a: |\n  b\n c", "a: >-\n\n\n", "%YAML 1.1\n---\na: yes", "%TAG ! tag:x,2000:\n---\n!a b",
	"containers: {a: {files: [{target: /a}, {target: /a}, 7, null]}}", "containers: {a: {files: {/a: {target: /b}}}}", "containers: {a: &c {files: &f [{target: *n}]}, b: *c}",
	"a: 0x1F", "a: 0o17", "a: 1_000", "a: 99999999999999999999999999", "a: 1e999", "a: -0", "a: 2001-02-03", "\u2028a: b\u2029\nc", "a\u0085b: c: d", "日本: [\"本\", {",
}

func fuzzDecode[T any](f *testing.F, pattern string) {
	files, err := filepath.Glob(filepath.Join("..", "..", "examples", "acme", filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		f.Fatal("the example has no such file", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if l := decodeList[T](src, new(T)); len(l) > 0 {
			f.Fatalf("%s: %v", name, l)
		}
		f.Add(src)
	}
	for _, s := range awkward {
		f.Add([]byte(s))
	}
	known := map[string]bool{}
	for _, r := range check.Rules {
		known[r.ID] = true
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		first, second := new(T), new(T)
		l := decodeList[T](src, first)
		if again := decodeList[T](src, second); !reflect.DeepEqual(l, again) || !reflect.DeepEqual(first, second) {
			t.Fatalf("decoding twice differs:\n%v\n%v", l, again)
		}
		for _, d := range l {
			if !known[d.Rule] || d.Summary == "" || d.File != "x.yaml" || strings.Contains(d.Summary, "\n") {
				t.Errorf("malformed: %#v", d)
			}
			if d.Range.Start.IsZero() {
				t.Errorf("no place: %s", d)
			}
			within(t, src, d.Range)
		}
	})
}

// decodeList decodes and locates as Load does, and holds the result of decode
// against the diagnostics.
func decodeList[T any](src []byte, v *T) diag.List {
	var l diag.List
	ok := manifest.Decode("x.yaml", src, v, &l)
	if ok == l.HasErrors() {
		panic("decode reports success and errors alike")
	}
	manifest.Locate(l, func(string) []byte { return src })
	return l.Sorted()
}

// lines splits a text where YAML and editors do.
func lines(src []byte) []string {
	s := strings.TrimPrefix(string(src), "\xef\xbb\xbf")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Split(s, "\n")
}

// within wants a place that is zero or in the text, the place after the last
// character of a line included.
func within(t *testing.T, src []byte, r diag.Range) {
	t.Helper()
	all := lines(src)
	for _, p := range []diag.Pos{r.Start, r.End} {
		if p == (diag.Pos{}) {
			continue
		}
		if p.Line < 1 || p.Line > len(all) || p.Column < 1 || p.Column > utf8.RuneCountInString(all[p.Line-1])+1 {
			t.Errorf("%+v is outside the text of %d lines", r, len(all))
		}
	}
	if !r.End.IsZero() && (r.End.Line < r.Start.Line || r.End.Line == r.Start.Line && r.End.Column < r.Start.Column) {
		t.Errorf("%+v ends before it starts", r)
	}
}

// FuzzLocate looks up arbitrary paths in arbitrary documents. A path is written with
// "/" between keys; a key of digits is an index as well.
func FuzzLocate(f *testing.F) {
	score, err := os.ReadFile(filepath.Join("..", "..", "examples", "acme", "workloads", "checkout", "score.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range []string{"", "metadata/name", "containers/main/args/0", "containers/main/args/-1", "containers/main/args/99", "nothing/at/all", "resources/db/params/extensions/0/x"} {
		f.Add(score, p, true)
		f.Add(score, p, false)
	}
	for _, s := range awkward {
		f.Add([]byte(s), "a/0/b", false)
	}
	f.Fuzz(func(t *testing.T, src []byte, at string, onKey bool) {
		var keys, indexes diag.Path
		for seg := range strings.SplitSeq(at, "/") {
			keys = keys.With(seg)
			n := 0
			for _, r := range seg {
				n = n*10 + int(r-'0')
			}
			indexes = indexes.With(n)
		}
		var l diag.List
		for _, p := range []diag.Path{nil, keys, indexes} {
			l.Errorf("r", "x.yaml", p, "s").OnKey = onKey
		}
		manifest.Locate(l, func(string) []byte { return src })
		for _, d := range l {
			within(t, src, d.Range)
			// The document itself is there whenever anything is.
			if d.Range.Start.IsZero() != l[0].Range.Start.IsZero() {
				t.Errorf("%v is at %+v, the document at %+v", d.Path, d.Range, l[0].Range)
			}
		}
	})
}
