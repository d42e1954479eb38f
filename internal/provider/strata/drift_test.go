package strata

import (
	"context"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
)

func decodeYAML(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDrifted(t *testing.T) {
	for name, c := range map[string]struct{ applied, wanted, live, want string }{
		"nothing":                        {`{spec: {replicas: 1}}`, `{spec: {replicas: 1, x: y}}`, `{spec: {replicas: 1, x: y}}`, `{spec: {replicas: 1}}`},
		"written in another way":         {`{cpu: "0.1"}`, `{cpu: 100m}`, `{cpu: 100m}`, `{cpu: "0.1"}`},
		"a field":                        {`{spec: {replicas: 1}}`, `{spec: {replicas: 1}}`, `{spec: {replicas: 3}}`, `{spec: {replicas: 3}}`},
		"a field that is gone":           {`{a: {x: 1, y: 2}}`, `{a: {x: 1, y: 2}}`, `{a: {y: 2}}`, `{a: {y: 2}}`},
		"a field of others":              {`{a: 1}`, `{a: 1, b: 1}`, `{a: 1, b: 2}`, `{a: 1}`},
		"in a list":                      {`{c: [{n: a, image: x}]}`, `{c: [{n: a, image: x, pull: p}]}`, `{c: [{n: a, image: z, pull: p}]}`, `{c: [{n: a, image: z}]}`},
		"a list that others add to":      {`{c: [a]}`, `{c: [a, b]}`, `{c: [a, b]}`, `{c: [a]}`},
		"a list that has become shorter": {`{c: [a, b]}`, `{c: [a, b]}`, `{c: [a]}`, `{c: [a]}`},
		"another kind of thing":          {`{c: {a: 1}}`, `{c: {a: 1}}`, `{c: text}`, `{c: text}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := drifted(decodeYAML(t, c.applied), decodeYAML(t, c.wanted), decodeYAML(t, c.live))
			if want := decodeYAML(t, c.want); !reflect.DeepEqual(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// What goes into a state comes out of it as it was.
func TestDynamicRoundTrip(t *testing.T) {
	for _, v := range []any{
		map[string]any{"a": "x", "b": int64(3), "c": true, "d": []any{"x", int64(1), map[string]any{"e": 0.5}}, "f": map[string]any{}, "g": []any{}},
		map[string]any{"big": int64(1) << 53},
	} {
		d, err := dynamic(v)
		if err != nil {
			t.Fatal(err)
		}
		got, known, err := plain(context.Background(), d)
		if err != nil || !known || !reflect.DeepEqual(got, v) {
			t.Errorf("%v became %v (known %v, %v)", v, got, known, err)
		}
	}
}

func TestObjectNames(t *testing.T) {
	for _, id := range []string{"v1/Secret/ns/name", "v1/Namespace/name", "apps/v1/StatefulSet/ns/name", "rbac.authorization.k8s.io/v1/ClusterRole/name", "x.dev/v1alpha1/Thing/ns/name"} {
		obj, err := named(id)
		if err != nil {
			t.Fatal(err)
		}
		if got := idOf(obj); got != id {
			t.Errorf("%s became %s", id, got)
		}
	}
	for _, bad := range []string{"", "v1", "v1/Secret", "apps/v1/StatefulSet", "v1/Secret/a/b/c"} {
		if obj, err := named(bad); err == nil {
			t.Errorf("%q names %v", bad, obj)
		}
	}
}

func TestImagesOfOurs(t *testing.T) {
	obj := decodeYAML(t, `{spec: {template: {spec: {initContainers: [{image: "strata.local/a@sha256:1"}], containers: [{image: "strata.local/b@sha256:2"}, {image: docker.io/c}], note: strata.local/d}}}}`)
	if got := (&environment{}).ours(obj); len(got) != 2 {
		t.Errorf("%v", got)
	}
	if got := (&environment{Options: Options{Registry: "docker.io"}}).ours(obj); len(got) != 1 || got[0] != "docker.io/c" {
		t.Errorf("%v, of a registry", got)
	}
}
