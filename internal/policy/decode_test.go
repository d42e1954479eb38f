package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDecodeObjects(t *testing.T) {
	objs, diags := DecodeObjects([]byte(`# a comment
apiVersion: v1
kind: Pod
metadata: {name: a, created: 2020-01-01}
spec:
  hostNetwork: yes
  n: 3
  quoted: "yes"
---
---
kind: List
items:
- kind: Service
  metadata: {name: s}
- &cm
  kind: ConfigMap
  metadata: {name: c}
  data: &d {a: "1"}
---
kind: ConfigMap
metadata: {name: m}
data: &base {x: "1", y: "2"}
other:
  <<: *base
  x: "3"
`), "x.yaml")
	if len(diags) != 0 {
		t.Fatal(diags)
	}
	var got []string
	for _, o := range objs {
		raw, _ := json.Marshal(o)
		got = append(got, string(raw))
	}
	want := []string{
		`{"Value":{"apiVersion":"v1","kind":"Pod","metadata":{"created":"2020-01-01","name":"a"},"spec":{"hostNetwork":true,"n":3,"quoted":"yes"}},"Line":2}`,
		`{"Value":{"kind":"Service","metadata":{"name":"s"}},"Line":13}`,
		`{"Value":{"data":{"a":"1"},"kind":"ConfigMap","metadata":{"name":"c"}},"Line":15}`,
		`{"Value":{"data":{"x":"1","y":"2"},"kind":"ConfigMap","metadata":{"name":"m"},"other":{"x":"3","y":"2"}},"Line":20}`,
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("object %d: got %s\nwant %s", i, got[min(i, len(got)-1)], want[i])
		}
	}
}

func TestDecodeObjectsRefuses(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		prev := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+prev+",", 8) + "*" + prev + "]\n"
	}
	for name, tc := range map[string]struct{ data, rule, at string }{
		"size":      {strings.Repeat("#", maxObjectsFile+1), "objects-size", "0:0"},
		"bomb":      {"kind: X\n" + bomb, "objects-aliases", ""},
		"cycle":     {"kind: X\na: &a {b: *a}\n", "", ""},
		"depth":     {"kind: X\na: " + strings.Repeat("[", 500) + strings.Repeat("]", 500), "objects-depth", ""},
		"duplicate": {"kind: X\nkind: Y\n", "objects-duplicate", "2:1"},
		"syntax":    {"kind: X\na: [\n", "objects-syntax", ""},
		"no kind":   {"---\nmetadata: {}\n", "objects-shape", "2:1"},
		"a list":    {"- a\n", "objects-shape", "1:1"},
		"map key":   {"kind: X\n? {a: b}\n: c\n", "objects-shape", "2:3"},
		"infinity":  {"kind: X\na: .inf\n", "objects-shape", "2:4"},
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := DecodeObjects([]byte(tc.data), "x.yaml")
			if !diags.HasErrors() {
				t.Fatal("no error")
			}
			if tc.rule != "" && diags[0].Rule != tc.rule {
				t.Errorf("rule %s, want %s: %s", diags[0].Rule, tc.rule, diags[0])
			}
			if tc.at != "" && tc.at != "0:0" && !strings.HasPrefix(diags[0].String(), "x.yaml:"+tc.at+":") {
				t.Errorf("%s, want it at %s", diags[0], tc.at)
			}
		})
	}
}

func TestDecodePlanRefuses(t *testing.T) {
	for _, s := range []string{"", "[]", "{}", "null", `{"format_version":"1.2"} {}`, `{"format_version":"1.2","resource_changes":{}}`, `{"format_version":1}`} {
		if _, err := DecodePlan([]byte(s)); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func FuzzObjects(f *testing.F) {
	set := load(f)
	f.Add([]byte("kind: Pod\nspec: {containers: [{name: a}]}\n---\nkind: List\nitems: [{kind: Service}]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("kind: X\n<<: [{a: b}]\n"))
	f.Add([]byte(`{"kind":"Deployment","spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		objs, _ := DecodeObjects(data, "x.yaml")
		for _, o := range objs {
			if _, err := json.Marshal(o.Value); err != nil {
				t.Fatalf("not JSON: %v", err)
			}
			if _, err := set.Objects(context.Background(), ObjectContext{File: "x.yaml"}, o); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzPlanJSON(f *testing.F) {
	set := load(f)
	files, err := filepath.Glob("testdata/plans/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no sample plans", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := DecodePlan(data); err != nil {
			return
		}
		a, err := set.Plan(context.Background(), PlanContext{}, data)
		if err != nil {
			t.Fatal(err)
		}
		b, err := set.Plan(context.Background(), PlanContext{}, data)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("judged twice, said %v and %v (%v)", a, b, err)
		}
	})
}
