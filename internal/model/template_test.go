package model_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stratahq/strata/internal/model"
)

func text(s string) model.TemplatePart { return model.TemplatePart{Text: s} }

func ref(segs ...string) model.TemplatePart { return model.TemplatePart{Ref: segs} }

func TestParseTemplate(t *testing.T) {
	type parts = []model.TemplatePart
	cases := []struct {
		in     string
		want   parts
		offset int // of the error, or -1
	}{
		{"", nil, -1},
		{"plain", parts{text("plain")}, -1},
		{"${a}", parts{ref("a")}, -1},
		{"${a.b.c}", parts{ref("a", "b", "c")}, -1},
		{"x${a}y", parts{text("x"), ref("a"), text("y")}, -1},
		{"${a}${b}", parts{ref("a"), ref("b")}, -1},
		{"$$", parts{text("$")}, -1},
		{"$$$$", parts{text("$$")}, -1},
		{"$${a}", parts{text("${a}")}, -1},
		{"$$${a}", parts{text("$"), ref("a")}, -1},
		{"$", parts{text("$")}, -1},
		{"$a $(b) $1", parts{text("$a $(b) $1")}, -1},
		{"100$", parts{text("100$")}, -1},
		{`${a\.b.c}`, parts{ref("a.b", "c")}, -1},
		{`${a\b}`, parts{ref(`a\b`)}, -1},
		{`${metadata.annotations.example\.com/x}`, parts{ref("metadata", "annotations", "example.com/x")}, -1},
		{"${日本.語}", parts{ref("日本", "語")}, -1},
		{"a}b", parts{text("a}b")}, -1},
		{"${a", nil, 0},
		{"日本${a", nil, 2},
		{"${}", nil, 0},
		{"x${a..b}", nil, 1},
		{"${.a}", nil, 0},
		{"${a.}", nil, 0},
		{"${a b}", nil, 0},
		{"${a:-b}", nil, 0},
		{"${${a}}", nil, 0},
		{"${a\nb}", nil, 0},
		{"${a}${", nil, 4},
	}
	for _, c := range cases {
		got, err := model.ParseTemplate(c.in)
		if c.offset >= 0 {
			var te *model.TemplateError
			if !errors.As(err, &te) || te.Offset != c.offset || te.Error() == "" || got != nil {
				t.Errorf("%q: %v, %#v, want an error at %d", c.in, got, err, c.offset)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, %v, want %v", c.in, got, err, c.want)
		}
	}
}

// assemble is the inverse of ParseTemplate.
func assemble(parts []model.TemplatePart) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strings.ReplaceAll(p.Text, "$", "$$"))
		if p.Ref == nil {
			continue
		}
		b.WriteString("${")
		for i, seg := range p.Ref {
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(strings.ReplaceAll(seg, ".", `\.`))
		}
		b.WriteString("}")
	}
	return b.String()
}

// FuzzParseTemplate wants no panic, an error within the text, and parts that can be
// put together to a text which means the same.
func FuzzParseTemplate(f *testing.F) {
	for _, s := range []string{"", "$", "$$", "${a}", "x${a.b}y$${c}", `${a\.b}`, `${a\}`, "${", "${}", "$$${a}$", "é${", "\xff${a}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := model.ParseTemplate(s)
		if err != nil {
			var te *model.TemplateError
			if !errors.As(err, &te) || te.Offset < 0 || te.Offset >= utf8.RuneCountInString(s) {
				t.Fatalf("%q: %#v", s, err)
			}
			if r := []rune(s)[te.Offset]; r != '$' {
				t.Errorf("%q: the error is at %q", s, r)
			}
			return
		}
		for i, p := range parts {
			if (p.Text == "") == (p.Ref == nil) || i > 0 && p.Ref == nil && parts[i-1].Ref == nil {
				t.Errorf("%q: part %d of %v is malformed", s, i, parts)
			}
			for _, seg := range p.Ref {
				if seg == "" {
					t.Errorf("%q: empty segment", s)
				}
			}
		}
		again, err := model.ParseTemplate(assemble(parts))
		if err != nil || !reflect.DeepEqual(again, parts) {
			t.Errorf("%q is %v, put together %q, which is %v (%v)", s, parts, assemble(parts), again, err)
		}
	})
}

func TestLookup(t *testing.T) {
	m := model.WorkloadMetadata{
		Name: "web", Team: "shop", Annotations: map[string]string{"a.b/c": "x", "empty": ""},
		Extra: map[string]any{"tier": "gold", "n": int64(7), "f": 0.5, "b": true, "null": nil, "list": []any{"x"}, "deep": map[string]any{"er": "v"}},
	}
	cases := []struct {
		path, want string
		ok         bool
	}{
		{"name", "web", true}, {"team", "shop", true}, {"name/x", "", false}, {"team/x", "", false},
		{"annotations/a.b|c", "x", true}, {"annotations/empty", "", true}, {"annotations/none", "", false}, {"annotations", "", false}, {"annotations/a/b", "", false},
		{"tier", "gold", true}, {"n", "7", true}, {"f", "0.5", true}, {"b", "true", true}, {"deep/er", "v", true},
		{"null", "", false}, {"list", "", false}, {"list/0", "", false}, {"deep", "", false}, {"deep/er/x", "", false}, {"none", "", false}, {"", "", false},
	}
	for _, c := range cases {
		var path []string
		for seg := range strings.SplitSeq(c.path, "/") {
			path = append(path, strings.ReplaceAll(seg, "|", "/"))
		}
		got, ok := m.Lookup(path)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %q, %v", c.path, got, ok)
		}
	}
	if _, ok := m.Lookup(nil); ok {
		t.Error("the whole of the metadata is no text")
	}
}
