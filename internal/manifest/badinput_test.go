package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/model"
)

// head is the beginning of a Score file; what follows is line 4.
const head = "apiVersion: score.dev/v1b1\nmetadata: {name: web, team: shop}\ncontainers:\n"

// TestBadInput wants each diagnostic of a malformed Score file at its line and column.
func TestBadInput(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	indent := func(s, by string) string {
		return by + strings.TrimSuffix(strings.ReplaceAll(s, "\n", "\n"+by), by)
	}
	cases := []struct {
		name, src string
		want      []string
	}{
		{"good", head + "  main: {image: a}\n", nil},
		{"empty", "", []string{"1:1 missing-field"}},
		{"comment only", "# nothing\n", []string{"1:1 missing-field"}},
		{"a list", "- a\n", []string{"1:1 wrong-type"}},
		{"a scalar", "text", []string{"1:1 wrong-type"}},
		{"tab for indentation", head + "\tmain: {image: a}\n", []string{"4:1 yaml-syntax"}},
		{"tab before a value", head + "  main: {image:\ta, imge: b}\n", []string{"4:20 unknown-field"}},
		{"bracket not closed", head + "  main: {image: a", []string{"4:18 yaml-syntax"}},
		{"quote not closed", head + "  main: {image: 'a", []string{"4:19 yaml-syntax"}},
		{"reserved character", head + "  main:\n    image: @a\n", []string{"5:12 yaml-syntax"}},
		{"unknown field", head + "  main:\n    image: a\n    comand: [x]\n", []string{"6:5 unknown-field"}},
		{"two unknown fields", head + "  main:\n    imgae: a\n    comand: [x]\n", []string{"4:3 missing-field", "5:5 unknown-field", "6:5 unknown-field"}},
		{"CRLF", strings.ReplaceAll(head+"  main:\n    image: a\n    comand: [x]\n", "\n", "\r\n"), []string{"6:5 unknown-field"}},
		{"BOM", "\xef\xbb\xbfapiVersion: v2\n" + strings.Join(strings.SplitAfter(head, "\n")[1:], "") + "  main: {image: a}\n", []string{"1:13 invalid-value"}},
		{"BOM and CRLF", "\xef\xbb\xbf" + strings.ReplaceAll(head+"  main: {image: 7}\n", "\n", "\r\n"), []string{"4:17 wrong-type"}},
		{"not UTF-8", head + "  main: {image: é\xff}\n", []string{"4:18 yaml-syntax"}},
		{"NUL", head + "  main: {image: a\x00}\n", []string{"4:18 yaml-syntax"}},
		{"multi-byte before the error", head + "  main: {image: \"日本語é😀\", comand: x}\n", []string{"4:26 unknown-field"}},
		{"combining marks count as characters", head + "  main: {image: \"e\u0301\", comand: x}\n", []string{"4:23 unknown-field"}},
		{"multi-byte key", head + "  main: {image: a, größe: x, bild: 1}\n", []string{"4:20 unknown-field", "4:30 unknown-field"}},
		{"flow over lines", head + "  main: {\n    image: a,\n      x: {y: [1,\n  2]},\n    args: [a, 7,\n      true]}\n", []string{"6:7 unknown-field", "8:15 wrong-type", "9:7 wrong-type"}},
		{"wrong types", head + "  main:\n    image: [a]\n    args: a\n    variables: [a]\n    files: 7\n    resources: null\n", []string{"5:12 wrong-type", "6:11 wrong-type", "7:16 wrong-type", "8:12 wrong-type", "9:16 wrong-type"}},
		{"empty value", head + "  main:\n    image:\n", []string{"5:11 wrong-type"}},
		{"number for text", head + "  main: {image: a, variables: {A: 1, B: true, C: ~, D: 1.5, E: 2026-01-01}}\n", []string{"4:35 wrong-type", "4:41 wrong-type", "4:50 wrong-type", "4:56 wrong-type"}},
		{"key that is no text", head + "  main: {image: a, variables: {1: a, true: b, [x]: c}}\n", []string{"4:32 wrong-type", "4:38 wrong-type", "4:47 wrong-type"}},
		{"bad name", head + "  Main: {image: a}\n", []string{"4:3 invalid-value"}},
		{"duplicate key", head + "  main:\n    image: a\n    image: b\n", []string{"6:5 duplicate-key"}},
		{"duplicate key in free metadata", "apiVersion: score.dev/v1b1\nmetadata: {name: web, x: {a: 1, \"a\": 2}}\ncontainers: {main: {image: a}}\n", []string{"2:33 duplicate-key"}},
		{"duplicate key by alias", head + "  main:\n    &i image: a\n    *i : b\n", []string{"6:5 duplicate-key"}},
		{"anchor and alias are fine", head + "  main: &m {image: a, variables: &v {A: b}}\n  other: *m\n", nil},
		{"mistake seen through an alias", head + "  main: &m {imgae: a}\n  other: *m\n", []string{"4:3 missing-field", "4:13 unknown-field", "4:13 unknown-field", "5:3 missing-field"}},
		{"alias of nothing", head + "  main: *m\n", []string{"4:9 yaml-syntax"}},
		{"merge key", head + "  main: &m {image: a}\n  other:\n    <<: *m\n", []string{"5:3 missing-field", "6:5 unknown-field"}},
		{"alias of itself", "apiVersion: score.dev/v1b1\nmetadata: {name: web, x: &x [*x]}\ncontainers: {main: {image: a}}\n", []string{"2:30 alias-bomb"}},
		{"second document", head + "  main: {image: a}\n---\na: b\n", []string{"6:1 multiple-documents"}},
		{"list item without target", head + "  main: {image: a, files: [{content: x}]}\n", []string{"4:28 missing-field"}},
		{"list item twice", head + "  main: {image: a, volumes: [{target: /a, source: x}, {target: /a, source: y}]}\n", []string{"4:55 duplicate-key"}},
		{"target in the map form", head + "  main: {image: a, files: {/a: {target: /a, content: x}}}\n", []string{"4:33 unknown-field"}},
		{"out of bounds", head + "  main: {image: a}\nservice: {ports: {http: {port: 65536}, tls: {port: 0}, x1: {port: 99999999999999999999}}}\n", []string{"5:32 invalid-value", "5:52 invalid-value", "5:67 wrong-type"}},
		{"infinite number", "apiVersion: score.dev/v1b1\nmetadata: {name: web, x: .inf, y: 18446744073709551615}\ncontainers: {main: {image: a}}\n", []string{"2:26 invalid-value", "2:35 invalid-value"}},
		{"block text", head + "  main:\n    image: |\n      a\n    files:\n      /a:\n        content: |\n          x: y\n        mode: \"999\"\n", []string{"11:15 invalid-value"}},
		{"billion laughs", "apiVersion: score.dev/v1b1\nmetadata:\n  name: web\n" + indent(bomb, "  ") + "containers: {main: {image: a}}\n", []string{"4:25 alias-bomb"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { wantPlaces(t, c.src, c.want) })
	}
}

func wantPlaces(t *testing.T, src string, want []string) {
	t.Helper()
	var got []string
	for _, d := range decodeList([]byte(src), new(model.Workload)) {
		got = append(got, fmt.Sprintf("%d:%d %s", d.Range.Start.Line, d.Range.Start.Column, d.Rule))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("diagnostics at\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDeepNesting nests 10,000 levels. Which rule refuses it depends on how: the parser
// gives up before the decoder does.
func TestDeepNesting(t *testing.T) {
	const deep = 10_000
	blocks := ""
	for i := range 300 {
		blocks += strings.Repeat(" ", i+1) + "a:\n"
	}
	metadata := "apiVersion: score.dev/v1b1\nmetadata: {name: web, x: %s}\ncontainers: {main: {image: a}}\n"
	for _, c := range []struct{ name, src string }{
		{"lists", fmt.Sprintf(metadata, strings.Repeat("[", deep)+strings.Repeat("]", deep))},
		{"mappings", fmt.Sprintf(metadata, strings.Repeat("{a: ", deep)+strings.Repeat("}", deep))},
		{"not closed", fmt.Sprintf(metadata, strings.Repeat("[", deep))},
		{"block lists", "apiVersion: score.dev/v1b1\nmetadata:\n  name: web\n  x:\n    " + strings.Repeat("- ", deep) + "a\ncontainers: {main: {image: a}}\n"},
		{"block mappings", "apiVersion: score.dev/v1b1\nmetadata:\n name: web\n" + blocks + "containers: {main: {image: a}}\n"},
		{"only brackets", strings.Repeat("[", deep)},
		{"typed", "containers: " + strings.Repeat("{a: ", deep)},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := decodeList([]byte(c.src), new(model.Workload))
			if !l.HasErrors() || len(l) > 20 {
				t.Errorf("%d diagnostics", len(l))
			}
			for _, d := range l {
				within(t, []byte(c.src), d.Range)
			}
		})
	}
}

// TestKeyedForms wants the list form of files and volumes to mean what the map form does.
func TestKeyedForms(t *testing.T) {
	asMap := head + "  main:\n    image: a\n    files:\n      /a: {content: x, mode: \"0444\"}\n      /b: {source: y}\n    volumes:\n      /v: {source: \"${resources.v}\", readOnly: true}\n"
	asList := head + "  main:\n    image: a\n    files:\n      - {target: /a, content: x, mode: \"0444\"}\n      - {source: y, target: /b}\n    volumes:\n      - {target: /v, source: \"${resources.v}\", readOnly: true}\n"
	var ofMap, ofList model.Workload
	for src, v := range map[string]*model.Workload{asMap: &ofMap, asList: &ofList} {
		if l := decodeList([]byte(src), v); len(l) > 0 {
			t.Fatal(l)
		}
	}
	if a, b := fmt.Sprintf("%+v", dump(ofMap)), fmt.Sprintf("%+v", dump(ofList)); a != b {
		t.Errorf("the map form is\n%s\nthe list form\n%s", a, b)
	}
	if f := ofList.Containers["main"].Files["/a"]; f.Content == nil || *f.Content != "x" || f.Mode != "0444" || f.Target != "" {
		t.Errorf("file /a is %+v", f)
	}
	if v := ofList.Containers["main"].Volumes["/v"]; !v.ReadOnly || v.Source != "${resources.v}" || v.Target != "" {
		t.Errorf("volume /v is %+v", v)
	}
}

// dump makes pointers to text comparable in print.
func dump(w model.Workload) []string {
	var out []string
	for _, c := range model.SortedKeys(w.Containers) {
		for _, name := range model.SortedKeys(w.Containers[c].Files) {
			f := w.Containers[c].Files[name]
			content := "none"
			if f.Content != nil {
				content = *f.Content
			}
			f.Content = nil
			out = append(out, fmt.Sprintf("%s %s %+v %q", c, name, f, content))
		}
		for _, name := range model.SortedKeys(w.Containers[c].Volumes) {
			out = append(out, fmt.Sprintf("%s %s %+v", c, name, w.Containers[c].Volumes[name]))
		}
	}
	return out
}
