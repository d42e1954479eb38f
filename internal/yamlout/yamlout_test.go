package yamlout_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	yamlv4 "go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/stratahq/strata/internal/yamlout"
)

// roundTrip fails when either YAML reader (1.1 as Kubernetes tools use it, and
// a newer one) takes the output for something else than the JSON.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, src []byte) {
	t.Helper()
	out, err := yamlout.Append(nil, src)
	if err != nil {
		t.Fatalf("Append(%s): %v", src, err)
	}
	var want, got any
	if err := json.Unmarshal(src, &want); err != nil {
		t.Fatalf("bad test: %v", err)
	}
	back, err := yaml.YAMLToJSONStrict(out)
	if err != nil {
		t.Fatalf("%s\nfrom %s: %v", out, src, err)
	}
	if err := json.Unmarshal(back, &got); err != nil {
		t.Fatalf("%s: %v", back, err)
	}
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%s\nreads as %s\nwant     %s", out, back, src)
	}
	var tree any
	if err := yamlv4.Unmarshal(out, &tree); err != nil {
		t.Fatalf("%s\nyaml v4: %v", out, err)
	}
	back, err = json.Marshal(tree)
	if err != nil {
		t.Fatalf("%v", err)
	}
	got = nil
	if err := json.Unmarshal(back, &got); err != nil {
		t.Fatalf("%v", err)
	}
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%s\nyaml v4 reads %s\nwant %s", out, back, src)
	}
}

// tricky are strings that some version of YAML takes for something else.
var tricky = []string{
	"", " ", "y", "N", "yes", "NO", "on", "Off", "true", "FALSE", "null", "~", "Null", ".inf", ".NaN", "-.inf", "inf", "nan",
	"0", "-1", "+1", "1.5", ".5", "5.", "1e3", "1E-3", "0x1F", "0o17", "017", "0b11", "1_000", "1:30", "190:20:30.15",
	"2001-12-14", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5", "=", "<<", "-", "--- a", "...", "? a", ": a", "a: b", "a:", "a #b", "#a",
	"- a", "&a", "*a", "!a", "!!str a", "|", ">", "%a", "@a", "`a", "[a]", "{a}", "a, b", "'a'", "\"a\"", "a\\b", "500m", "64Gi", "10.0.0.0/8", "1/2",
	"a\nb", "a\nb\n", "a\n\nb\n\n\n", " a\nb", "\na", "a\n b\n  c\n", "a\n\tb", "a\t\nb", "a\n ", "a \n", "a\n  \nb\n", "a\r\nb", "a\n---\nb\n", "a\n...\n", "a: b\nc: d\n#e\n", "\n", "\n\n",
	"a\u0085b", "a\u2028b", "\ufeffa", "\u00e9", "\U0001f600", "\x7f", "\x00", "\u00a0", "\uffff", "é\nè\n", "</script>&", "e1", "0e1", "abcdef", "1abcdef", "0xg", "12e03", "1T", "a  b", "$(A)", "a:b:c", "sha256:0a", "http://a.b:80/c?d=e&f",
	strings.Repeat("long ", 100),
}

func TestTrickyStrings(t *testing.T) {
	for _, s := range tricky {
		for _, v := range []any{s, map[string]any{s: s, "z": s}, []any{s, s}, map[string]any{"a": []any{s, map[string]any{"b": s}}, "b": map[string]any{"c": s}}, []any{[]any{s}}} {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, b)
		}
	}
}

func TestForm(t *testing.T) {
	const src = `{"kind":"X","list":[{"name":"a","sub":{"k":["v",1,true]}},[["x"],{}]],"none":[],"null":null,
		"text":"one\n\n  two\n","cut":"one\ntwo","quota":"500m","port":"8080","float":1e3,"yes":"no","when":{"a b":"c: d"}}`
	const want = `kind: X
list:
- name: a
  sub:
    k:
    - v
    - 1
    - true
- - - x
  - {}
none: []
"null": null
text: |
  one

    two
cut: |-
  one
  two
quota: 500m
port: "8080"
float: 1.0e+3
"yes": "no"
when:
  a b: "c: d"
`
	out, err := yamlout.Append([]byte("---\n"), []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); got != "---\n"+want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	roundTrip(t, []byte(src))
}

// TestEscapes has JSON that encoding/json would not write.
func TestEscapes(t *testing.T) {
	for _, src := range []string{
		`"\/\b\f\r\t\n\"\\"`, `"\u0041\u00e9\u20AC"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"\ude00\ud83d"`,
		` { "a" : [ 1 , 2.5 , -3e-2, 1E5, 0.1e+7 ] , "b" : { } , "c": [ ] } `,
		"\"\U0010fffe\"", `"\ufffe\u0085"`, "true", "-0.5", `"plain"`, "\"two\\nlines\"",
	} {
		roundTrip(t, []byte(src))
	}
	// Bytes that are not UTF-8 become U+FFFD, as in encoding/json.
	if out, err := yamlout.Append(nil, []byte("\"a\xffb\"")); err != nil || string(out) != "\"a\\ufffdb\"\n" {
		t.Errorf("%q, %v", out, err)
	}
	deep := strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60)
	roundTrip(t, []byte(deep))
}

func TestBadInput(t *testing.T) {
	for _, src := range []string{
		"", "{", "[", `{"a"`, `{"a":`, `{"a":1`, `{"a" 1}`, `{a:1}`, `[1 2]`, `[1,]`, `"a`, `"\x"`, `"\ud83d\u12"`, `"\u00g0"`, `"\u12"`, "\"\n\"", "\"\\n\n\"", `tru`, `01`, `1 2`, `{"a":1}}`, `"\`,
		`{"` + strings.Repeat("k", 1001) + `":1}`,
		strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		if out, err := yamlout.Append(nil, []byte(src)); err == nil {
			t.Errorf("Append(%.40q) = %q, want an error", src, out)
		}
	}
}

func TestRoundTripProperty(t *testing.T) {
	text := rapid.OneOf(
		rapid.SampledFrom(tricky),
		rapid.String(),
		rapid.StringMatching(`[-0-9a-fxoeEtTzZ_.:+ ]{0,12}`),
		rapid.StringMatching(`([ \ta-z:#-]{0,6}\n){0,4}[ \ta-z]{0,3}`),
	)
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		return rapid.Custom(func(t *rapid.T) any {
			kinds := 4
			if depth < 4 {
				kinds = 6
			}
			switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
			case 0:
				return rapid.Bool().Draw(t, "bool")
			case 1:
				// Integers that every reader keeps exactly.
				return rapid.Int64Range(-1<<53, 1<<53).Draw(t, "int")
			case 2:
				return text.Draw(t, "text")
			case 3:
				return nil
			case 4:
				return rapid.SliceOfN(value(depth+1), 0, 4).Draw(t, "list")
			default:
				return rapid.MapOfN(text, value(depth+1), 0, 4).Draw(t, "map")
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		b, err := json.Marshal(value(0).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, b)
	})
}

func FuzzAppend(f *testing.F) {
	for _, s := range tricky {
		b, _ := json.Marshal(map[string]any{"k": s, "l": []string{s}})
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		out, err := yamlout.Append(nil, src)
		if err != nil {
			return
		}
		if !json.Valid(src) {
			t.Fatalf("accepted %q, which is not JSON", src)
		}
		var want, got string
		// Numbers may lose precision in a reader; strings may lose nothing.
		if json.Unmarshal(src, &want) == nil {
			if err := yaml.Unmarshal(out, &got); err != nil || got != want {
				t.Fatalf("%s reads as %q (%v), want %q", out, got, err, want)
			}
		}
	})
}
