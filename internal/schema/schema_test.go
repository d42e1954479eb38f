package schema_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/schema"
)

// roots are the types of the documents that users write.
var roots = map[string]reflect.Type{
	"platform":    reflect.TypeFor[model.Platform](),
	"environment": reflect.TypeFor[model.Environment](),
	"release":     reflect.TypeFor[model.Release](),
	"exceptions":  reflect.TypeFor[model.Exceptions](),
	"contract":    reflect.TypeFor[model.Contract](),
	"workload":    reflect.TypeFor[model.Workload](),
}

// structs returns every struct type below the roots that is read from a document.
func structs() []reflect.Type {
	var out []reflect.Type
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if seen[t] {
				return
			}
			seen[t] = true
			out = append(out, t)
			for _, f := range schema.Of(t).Fields {
				walk(f.Type)
			}
		}
	}
	for _, t := range roots {
		walk(t)
	}
	return out
}

// TestModelTags holds every field of the model to its tags: it has a name and a
// description that reads as sentences, and the rules fit its type.
func TestModelTags(t *testing.T) {
	types := structs()
	if len(types) < 30 {
		t.Fatalf("only %d types found", len(types))
	}
	for _, typ := range types {
		s := schema.Of(typ)
		for _, f := range s.Fields {
			name := typ.Name() + "." + f.Name
			if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s: doc tag %q is not a sentence", name, f.Doc)
			}
			f.DefaultValue() // panics when it does not fit
			if f.Default != "" && f.Enum != nil && !slices.Contains(f.Enum, f.Default) {
				t.Errorf("%s: default %q is none of %v", name, f.Default, f.Enum)
			}
			if f.Default != "" && f.Pattern != nil && !f.Pattern.Match(f.Default) {
				t.Errorf("%s: default %q does not fit its own pattern", name, f.Default)
			}
			base := f.Type
			if base.Kind() == reflect.Pointer {
				base = base.Elem()
			}
			kind := base.Kind()
			if f.KeyPattern != nil && kind != reflect.Map {
				t.Errorf("%s: keypattern on %s", name, f.Type)
			}
			if (f.Min != nil || f.Max != nil) && kind != reflect.Int {
				t.Errorf("%s: min or max on %s", name, f.Type)
			}
			if f.MinItems > 0 && kind != reflect.Map && kind != reflect.Slice {
				t.Errorf("%s: minitems on %s", name, f.Type)
			}
			if f.MinLength > 0 && kind != reflect.String {
				t.Errorf("%s: minlength on %s", name, f.Type)
			}
			if f.ListKey != "" && (kind != reflect.Map || schema.Of(base.Elem()).Field(f.ListKey) == nil) {
				t.Errorf("%s: listkey %q names no field of %s", name, f.ListKey, f.Type)
			}
		}
		for i := range typ.NumField() {
			sf := typ.Field(i)
			tag := sf.Tag.Get("json")
			if tag == "" {
				t.Errorf("%s.%s has no json tag", typ.Name(), sf.Name)
			}
			if tag != "-" && !sf.IsExported() {
				t.Errorf("%s.%s is not exported", typ.Name(), sf.Name)
			}
		}
	}
}

// TestPatterns holds each named pattern to values that fit and that do not.
func TestPatterns(t *testing.T) {
	long := strings.Repeat("a", 64)
	cases := map[string]struct{ good, bad []string }{
		"dns-label":        {[]string{"a", "prod-1", long[:63]}, []string{"", "-a", "A", long, "a.b", "a\n"}},
		"dns-name":         {[]string{"acme.example", "a"}, []string{"", "a..b", "A.b", strings.Repeat("a.", 127) + "aa"}},
		"registry":         {[]string{"registry.acme.example/apps", "localhost:5000"}, []string{"", "https://x", "a b"}},
		"ssh-key":          {[]string{"ssh-ed25519 AAAA me@host"}, []string{"ssh-ed25519", "AAAA"}},
		"quantity":         {[]string{"500m", "64Gi", "1.5"}, []string{"", "1 Gi", "-1"}},
		"https-url":        {[]string{"https://login.acme.example/x?y"}, []string{"http://a", "https://", "https:// a"}},
		"http-url":         {[]string{"http://collector.monitoring.svc:4318", "https://a"}, []string{"ftp://a", "http://", "collector:4318"}},
		"email":            {[]string{"a@b"}, []string{"a", "a b@c"}},
		"account-id":       {[]string{"444455556666", "my-project"}, []string{"1", "a/b/c/d"}},
		"bucket":           {[]string{"acme-state"}, []string{"ab", "-ab", "Abc"}},
		"key-prefix":       {[]string{"acme/state", "a"}, []string{"", "/a", "a/", "../a"}},
		"cidr":             {[]string{"10.0.0.0/16"}, []string{"10.0.0.0", "::/0"}},
		"kubernetes-minor": {[]string{"1.35"}, []string{"1", "1.35.2", "v1.35"}},
		"image-ref":        {[]string{"r.example/a:1@sha256:" + strings.Repeat("0", 64)}, []string{"r.example/a:1", "a@sha256:0"}},
		"date":             {[]string{"2026-01-31"}, []string{"2026-1-31", "tomorrow"}},
		"file-mode":        {[]string{"0444", "755"}, []string{"888", "44", "00444"}},
		"http-header":      {[]string{"X-Id"}, []string{"", "a b", "a:"}},
		"score-name":       {[]string{"ab"}, []string{"a", "-a", "A1"}},
		"score-type":       {[]string{"Postgres"}, []string{"a", "a_b"}},
		"score-id":         {[]string{"a.b", "a--b", "ab"}, []string{"a", "a.", long, "A"}},
		"score-annotation": {[]string{"example.com/name", "ab"}, []string{"a", "/ab", strings.Repeat("ab.", 105) + "ab/ab"}},
		"score-variable":   {[]string{"A"}, []string{"", "A=B"}},
		"score-cpu":        {[]string{"1", "0.5", "500m"}, []string{"", "m", ".5"}},
		"score-memory":     {[]string{"256Mi", "0.5G"}, []string{"", "0", "1m"}},
	}
	for name, p := range schema.Patterns {
		c, ok := cases[name]
		if !ok {
			t.Errorf("pattern %s has no cases", name)
		}
		for _, s := range c.good {
			if !p.Match(s) {
				t.Errorf("%s refuses %q", name, s)
			}
		}
		for _, s := range c.bad {
			if p.Match(s) {
				t.Errorf("%s accepts %q", name, s)
			}
		}
	}
}

// TestMalformedTags shows that a mistake in a tag does not go unnoticed.
func TestMalformedTags(t *testing.T) {
	type unknownRule struct {
		A string `json:"a" rule:"requierd"`
	}
	type unknownPattern struct {
		A string `json:"a" rule:"pattern=nope"`
	}
	type badNumber struct {
		A int `json:"a" rule:"min=x"`
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[unknownRule](), reflect.TypeFor[unknownPattern](), reflect.TypeFor[badNumber]()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is accepted", typ.Name())
				}
			}()
			schema.Of(typ)
		}()
	}
}
