package standin

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stratahq/strata/schemas"
)

func carriedSchema(t testing.TB) []byte {
	t.Helper()
	b, err := schemas.Providers.ReadFile("aws/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDecodeCarried reads the schema that Strata carries and writes it again.
func TestDecodeCarried(t *testing.T) {
	src := carriedSchema(t)
	s, err := Decode(src)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Resources) < 50 || s.Resources["aws_vpc"].Attributes["cidr_block"].Type == nil {
		t.Errorf("%d resource types", len(s.Resources))
	}
	again, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	same, err := Decode(again)
	if err != nil || !reflect.DeepEqual(s, same) {
		t.Errorf("it is another one when it was written: %v", err)
	}
}

// TestFactsFit wants every fact about a type that the schema has to be about
// attributes that the type has.
func TestFactsFit(t *testing.T) {
	s, err := Decode(carriedSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	text, err := schemas.Providers.ReadFile("aws/facts/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := DecodeFacts(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(facts); err != nil {
		t.Fatal(err)
	}
	for typ, f := range facts {
		b, ok := s.Resources[typ]
		if !ok {
			continue
		}
		has := func(what, name string) {
			if _, ok := b.Attributes[name]; !ok {
				t.Errorf("%s: %s names %q, which there is not", typ, what, name)
			}
		}
		for _, n := range f.Key {
			has("key", n)
		}
		for _, n := range f.Replaces {
			has("replaces", n)
		}
		for n := range f.Values {
			has("values", n)
		}
		for n := range f.Defaults {
			has("defaults", n)
		}
		for _, n := range []string{f.Protection, f.Template} {
			if n != "" {
				has("protection or template", n)
			}
		}
	}
	for typ := range s.Resources {
		if _, ok := facts[typ]; !ok {
			t.Errorf("nothing is known of %s: its objects have no key, so two of one name can be made", typ)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for name, c := range map[string]struct{ src, says string }{
		"nothing":       {``, "EOF"},
		"no JSON":       {`x`, "invalid"},
		"more":          {`{"source":"a/b/c","version":"1"} {}`, "more after"},
		"no source":     {`{"version":"1"}`, "source"},
		"unknown field": {`{"source":"a/b/c","version":"1","extra":1}`, "extra"},
		"no type":       {`{"source":"a/b/c","version":"1","resources":{"t":{"attributes":{"a":"strings"}}}}`, "strings"},
		"no flag":       {`{"source":"a/b/c","version":"1","resources":{"t":{"attributes":{"a":"string maybe"}}}}`, "maybe"},
		"nesting":       {`{"source":"a/b/c","version":"1","resources":{"t":{"blocks":{"b":{"nesting":"bag"}}}}}`, "bag"},
		"twice":         {`{"source":"a/b/c","version":"1","resources":{"t":{"attributes":{"b":"string"},"blocks":{"b":{"nesting":"list"}}}}}`, "attribute and a block"},
		"deep":          {`{"source":"a/b/c","version":"1","resources":{"t":{"attributes":{"a":"` + strings.Repeat("list(", 100) + `"}}}}`, "type"},
	} {
		if _, err := Decode([]byte(c.src)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPull trims the document of a provider.
func TestPull(t *testing.T) {
	doc := `{"format_version":"1.0","provider_schemas":{"registry.opentofu.org/example/p":{
  "provider":{"version":0,"block":{"attributes":{"region":{"type":"string","optional":true}}}},
  "resource_schemas":{"p_a":{"version":1,"block":{"attributes":{"id":{"type":"string","computed":true},"list":{"type":["list",["object",{"x":"string"}]],"optional":true}},"block_types":{"b":{"nesting_mode":"set","min_items":1,"block":{"attributes":{"y":{"type":["map","number"],"required":true,"sensitive":true}}}}}}},"p_b":{"version":0,"block":{}}},
  "data_source_schemas":{"p_d":{"version":0,"block":{"attributes":{"n":{"nested_type":{"attributes":{"z":{"type":"bool","computed":true}},"nesting_mode":"map"},"computed":true}}}}}}}}`
	s, err := Pull([]byte(doc), "example/p", "1.0.0", []string{"p_a"}, []string{"p_d"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"generated":"","source":"registry.opentofu.org/example/p","version":"1.0.0","config":{"attributes":{"region":"string optional"}},"resources":{"p_a":{"attributes":{"id":"string computed","list":"list(object({x=string})) optional"},"blocks":{"b":{"nesting":"set","min":1,"attributes":{"y":"map(number) required sensitive"}}}}},"data":{"p_d":{"attributes":{"n":{"nesting":"map","flags":"computed","attributes":{"z":"bool computed"}}}}}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := Pull([]byte(doc), "example/p", "1.0.0", []string{"p_c"}, nil); err == nil || !strings.Contains(err.Error(), "p_c") {
		t.Errorf("a type that there is not: %v", err)
	}
	if _, err := Pull([]byte(doc), "example/q", "1.0.0", nil, nil); err == nil {
		t.Error("a provider that there is not")
	}
}

func TestFault(t *testing.T) {
	f, err := ParseFault("type=a,op=create,nth=2,do=error:No more, sorry")
	if err != nil || f != (Fault{Type: "a", Op: "create", Nth: 2, Do: "error", Text: "No more, sorry"}) {
		t.Errorf("%+v %v", f, err)
	}
	for _, wrong := range []string{"", "do=explode", "nth=x,do=crash", "colour=red,do=crash", "type", "do=sleep:long"} {
		if _, err := ParseFault(wrong); err == nil {
			t.Errorf("%q is a fault", wrong)
		}
	}
}

// TestInvented makes up the same values for the same object, and others for another.
func TestInvented(t *testing.T) {
	s, err := Decode(carriedSchema(t))
	if err != nil {
		t.Fatal(err)
	}
	facts := Facts{"aws_vpc": {IDPrefix: "vpc-", Values: map[string]string{"arn": "arn:{account_id}/{id}"}}}
	srv := New(Options{Schema: s, Facts: facts, Account: "111122223333", Region: "eu-west-1", Cloud: t.TempDir()})
	b := s.Resources["aws_vpc"]
	make := func(id string) map[string]any {
		return srv.fill("aws_vpc", id, b, map[string]any{"cidr_block": "10.0.0.0/16", "id": unknown{}, "arn": unknown{}, "main_route_table_id": unknown{}})
	}
	if a, again, other := make("vpc-1"), make("vpc-1"), make("vpc-2"); !reflect.DeepEqual(a, again) || reflect.DeepEqual(a["main_route_table_id"], other["main_route_table_id"]) || a["arn"] != "arn:111122223333/vpc-1" {
		t.Errorf("%v\n%v\n%v", a, again, other)
	}
}

// FuzzDecode reads any schema: what it takes can be written and read again.
func FuzzDecode(f *testing.F) {
	if b, err := os.ReadFile("../../e2e/testdata/every/schema.json"); err == nil {
		f.Add(b)
	}
	f.Add([]byte(`{"source":"a/b/c","version":"1","resources":{"t":{"attributes":{"a":"object({b=list(string),c=map(bool)}) optional"}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); err != nil {
			t.Errorf("%v in %s", err, b)
		}
	})
}

// FuzzFacts reads any facts, fixtures and faults.
func FuzzFacts(f *testing.F) {
	f.Add("aws_vpc: {idPrefix: vpc-, key: [name], values: {arn: 'a:{id}'}}")
	f.Add("- type: aws_region\n  attributes: {name: '{region}'}")
	f.Add("type=a,op=create,nth=1,do=sleep:3s")
	f.Fuzz(func(_ *testing.T, text string) {
		if facts, err := DecodeFacts([]byte(text)); err == nil {
			for typ := range facts {
				facts.ImportID(typ, map[string]any{"name": "x"})
			}
		}
		_, _ = DecodeFixtures([]byte(text))
		_, _ = ParseFault(text)
	})
}
