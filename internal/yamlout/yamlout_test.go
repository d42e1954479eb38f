package yamlout

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
	sigs "sigs.k8s.io/yaml"
)

var words = []string{
	"", "a", "true", "Yes", "null", "~", "1", "1.5", "0x10", "1e3", "2024-01-01", "12:30:45", "a: b", "a #b", "- a", "[a]", "{a}", "*a", "&a", "!a",
	"a\nb", "a\nb\n", "a\n\nb\n", " a\nb", "a\n \nb", "a\n\n", "\n", "\t", "\u0085", "\u2028", "\ufeff", "\x7f", "é", "日本", "=", "<<", ".inf", ".nan", "a:", "a ",
	"$(X)", "'", "\"", "\\", "%a", "@a", "`a", "|", ">", "? a", "---", "...", "O", "on:off", "https://a.example/x?y=1", "a\r\nb", "#", "a\tb\nc",
}

func values() *rapid.Generator[any] {
	str := rapid.OneOf(rapid.SampledFrom(words), rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("ab:#- \n\t'\"$(){}[],&*!|>%@`?~")), 0, 12, -1))
	leaf := rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return float64(rapid.IntRange(-1e6, 1e6).Draw(t, "int"))
		case 3:
			return rapid.Float64Range(-1e9, 1e9).Draw(t, "float")
		}
		return str.Draw(t, "string")
	})
	var tree func(depth int) *rapid.Generator[any]
	tree = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		return rapid.Custom(func(t *rapid.T) any {
			switch rapid.IntRange(0, 2).Draw(t, "shape") {
			case 0:
				return rapid.SliceOfN(tree(depth-1), 0, 4).Draw(t, "list")
			case 1:
				return rapid.MapOfN(str, tree(depth-1), 0, 4).Draw(t, "map")
			}
			return leaf.Draw(t, "leaf")
		})
	}
	return tree(3)
}

// TestRoundTrip proves that two readers, one of YAML 1.1 habits and one of 1.2,
// read back the JSON that was written.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, err := json.Marshal(values().Draw(t, "value"))
		if err != nil {
			t.Skip("no JSON")
		}
		roundTrip(t, in)
	})
}

func FuzzRoundTrip(f *testing.F) {
	for _, w := range words {
		b, _ := json.Marshal(map[string]any{w: []any{w, map[string]any{"k": w}}})
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !json.Valid(in) || len(in) > 1000 {
			t.Skip()
		}
		var v any
		if json.Unmarshal(in, &v) != nil || !sane(v) {
			t.Skip()
		}
		in, _ = json.Marshal(v)
		roundTrip(t, in)
	})
}

// sane leaves out what readers limit for reasons of their own: very long keys.
func sane(v any) bool {
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			if len(k) > 100 || !sane(e) {
				return false
			}
		}
	case []any:
		for _, e := range x {
			if !sane(e) {
				return false
			}
		}
	}
	return true
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func roundTrip(t fataler, in []byte) {
	var want any
	if err := json.Unmarshal(in, &want); err != nil {
		t.Fatalf("%v", err)
	}
	out, err := Append(nil, want)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var have any
	if err := sigs.Unmarshal(out, &have); err != nil {
		t.Fatalf("%s\nwritten as\n%s\n%v", in, out, err)
	}
	if !reflect.DeepEqual(have, want) {
		t.Fatalf("%s\nwritten as\n%s\nread as %#v", in, out, have)
	}
	var twelve any
	if err := yaml.Load(out, &twelve); err != nil {
		t.Fatalf("%s\nwritten as\n%s\n%v", in, out, err)
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	var v any
	in := `{"b":["x",{"y":"1","z":[1,2]},[]],"a":{"text":"one\ntwo\n","on":"on","url":"https://a.example:80/x"},"c":{},"d":null}`
	if err := json.Unmarshal([]byte(in), &v); err != nil {
		t.Fatal(err)
	}
	out, err := Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
a:
  "on": "on"
  text: |
    one
    two
  url: https://a.example:80/x
b:
- x
- "y": "1"
  z:
  - 1
  - 2
- []
c: {}
d: null
`, "\n")
	if string(out) != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
}
