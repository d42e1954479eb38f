package model_test

import (
	"reflect"
	"testing"

	"github.com/stratahq/strata/internal/model"
)

// contracts know the type "db" alone.
type contracts struct{ defaults map[string]any }

func (c contracts) Resource(typ string) (*model.Contract, bool) {
	return &model.Contract{Spec: model.ContractSpec{Classes: []string{"small", "large"}}}, typ == "db"
}
func (contracts) Platform(string) (*model.Contract, bool) { return nil, false }
func (contracts) ResourceTypes() []string                 { return []string{"db"} }
func (c contracts) Defaults(typ string) map[string]any {
	if typ != "db" {
		return nil
	}
	return c.defaults
}
func (contracts) PlatformDefaults(string) map[string]any                { return nil }
func (contracts) ValidateParams(string, map[string]any) []model.Problem { return nil }
func (contracts) ValidateExisting(*model.Contract, map[string]any) []model.Problem {
	return nil
}
func (contracts) ModuleFor(*model.Contract, string) (model.ModuleBinding, bool) {
	return model.ModuleBinding{}, false
}

type params = map[string]any

// merging returns what goes into one effective resource, anew each time.
func merging() (contracts, *model.Environment, *model.Workload) {
	c := contracts{params{"a": "contract", "b": "contract", "c": "contract", "d": "contract", "deep": params{"a": 1, "b": 1, "c": params{"x": 1}}, "list": []any{1, 2}}}
	e := &model.Environment{Spec: model.EnvironmentSpec{
		Resources: map[string]model.ResourceDefaults{"db": {Params: params{"b": "environment", "c": "environment", "d": "environment", "deep": params{"b": 2, "e": params{"own": true}}}}},
		Workloads: map[string]model.WorkloadOverride{"web": {Resources: map[string]model.ResourceOverride{
			"main": {Params: params{"d": "override", "deep": params{"c": params{"y": 4}}}, Existing: model.Existing{"host": "h"}},
		}}},
	}}
	w := &model.Workload{Metadata: model.WorkloadMetadata{Name: "web"}, Resources: map[string]model.Resource{
		"main":  {Type: "db", ID: "shared", Params: params{"c": "workload", "d": "workload", "deep": params{"b": 3}, "list": []any{3}}},
		"other": {Type: "db", Params: params{"deep": "flat"}},
		"odd":   {Type: "unheard", Class: "special", Params: params{"x": nil}},
	}}
	return c, e, w
}

func TestEffectiveResource(t *testing.T) {
	c, e, w := merging()
	got := model.EffectiveResource(c, e, w, "main")
	want := model.Effective{Name: "main", Type: "db", Class: "small", ID: "shared", Existing: model.Existing{"host": "h"}, Params: params{
		"a": "contract", "b": "environment", "c": "workload", "d": "override",
		"deep": params{"a": 1, "b": 3, "c": params{"x": 1, "y": 4}, "e": params{"own": true}}, "list": []any{3},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got = model.EffectiveResource(c, e, w, "other")
	if got.Params["deep"] != "flat" || got.Params["d"] != "environment" || got.Existing != nil {
		t.Errorf("a text in the place of a mapping: %+v", got)
	}
	got = model.EffectiveResource(c, e, w, "odd")
	if want := (model.Effective{Name: "odd", Type: "unheard", Class: "special", Params: params{"x": nil}}); !reflect.DeepEqual(got, want) {
		t.Errorf("a type that nobody knows: %+v", got)
	}
}

// TestEffectiveResourceShares nothing: what a caller does with the merged
// parameters changes no document.
func TestEffectiveResourceShares(t *testing.T) {
	c, e, w := merging()
	var spoil func(m params)
	spoil = func(m params) {
		for k, v := range m {
			if sub, ok := v.(params); ok {
				spoil(sub)
			}
			m[k] = "spoilt"
		}
		m["spoilt"] = true
	}
	for _, name := range []string{"main", "other", "odd"} {
		spoil(model.EffectiveResource(c, e, w, name).Params)
	}
	c2, e2, w2 := merging()
	if !reflect.DeepEqual(c, c2) || !reflect.DeepEqual(e, e2) || !reflect.DeepEqual(w, w2) {
		t.Errorf("the documents changed:\n%+v\n%+v\n%+v", c, e.Spec, w.Resources)
	}
}

func TestClasses(t *testing.T) {
	for _, c := range []struct{ typ, def, own, over, want string }{
		{"db", "", "", "", "small"}, {"db", "env", "", "", "env"}, {"db", "env", "own", "", "own"}, {"db", "env", "own", "over", "over"},
		{"unheard", "", "", "", model.DefaultClass}, {"unheard", "", "own", "", "own"},
	} {
		e := &model.Environment{Spec: model.EnvironmentSpec{
			Resources: map[string]model.ResourceDefaults{c.typ: {Class: c.def}},
			Workloads: map[string]model.WorkloadOverride{"web": {Resources: map[string]model.ResourceOverride{"x": {Class: c.over}}}},
		}}
		w := &model.Workload{Metadata: model.WorkloadMetadata{Name: "web"}, Resources: map[string]model.Resource{"x": {Type: c.typ, Class: c.own}}}
		if got := model.EffectiveResource(contracts{}, e, w, "x").Class; got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestRouteHost(t *testing.T) {
	w := &model.Workload{Metadata: model.WorkloadMetadata{Name: "web", Extra: params{"sub": "a"}}}
	for _, c := range []struct {
		host    any
		class   string
		ingress *model.Ingress
		want    string
	}{
		{"shop", "public", &model.Ingress{Domain: "acme.example"}, "shop.acme.example"},
		{"shop", "internal", &model.Ingress{Domain: "acme.example"}, "shop.internal.acme.example"},
		{"shop", "internal", &model.Ingress{Domain: "acme.example", InternalDomain: "corp.example"}, "shop.corp.example"},
		{"www.other.example", "public", &model.Ingress{Domain: "acme.example"}, "www.other.example"},
		{nil, "public", &model.Ingress{Domain: "acme.example"}, "web.acme.example"},
		{"", "public", &model.Ingress{Domain: "acme.example"}, "web.acme.example"},
		{"${metadata.name}-x", "public", &model.Ingress{Domain: "acme.example"}, "web-x.acme.example"},
		{"${metadata.sub}.${metadata.name}", "public", &model.Ingress{Domain: "acme.example"}, "a.web"},
		{"shop", "public", nil, "shop"},
	} {
		e := &model.Environment{Spec: model.EnvironmentSpec{Ingress: c.ingress}}
		if got := model.RouteHost(e, w, model.Effective{Class: c.class, Params: params{"host": c.host}}); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.host, c.class, got, c.want)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		in    string
		bytes int64
	}{
		{"1", 1}, {"1K", 1000}, {"1k", 1000}, {"1Ki", 1024}, {"2M", 2_000_000}, {"1.5Gi", 3 << 29}, {"", -1}, {"1KK", -1}, {"x", -1},
	} {
		q, err := model.Quantity(c.in)
		if (err != nil) != (c.bytes < 0) || err == nil && q.Value() != c.bytes {
			t.Errorf("%q: %v, %v", c.in, q.Value(), err)
		}
	}
}

func TestPort(t *testing.T) {
	one := &model.Workload{Service: &model.Service{Ports: map[string]model.ServicePort{"http": {Port: 80, TargetPort: 8080}}}}
	two := &model.Workload{Service: &model.Service{Ports: map[string]model.ServicePort{"http": {Port: 80}, "grpc": {Port: 90}, "twin": {Port: 90}}}}
	for _, c := range []struct {
		w    *model.Workload
		port any
		want string
	}{
		{one, nil, "http"}, {one, "http", "http"}, {one, 80, "http"}, {one, int64(80), "http"}, {one, 80.0, "http"},
		{one, 8080, ""}, {one, "80", ""}, {one, 80.5, ""}, {one, "", ""}, {one, true, ""},
		{two, nil, ""}, {two, "grpc", "grpc"}, {two, 90, "grpc"}, {two, "none", ""},
		{&model.Workload{}, nil, ""}, {&model.Workload{}, "http", ""}, {&model.Workload{Service: &model.Service{}}, 80, ""},
	} {
		got, err := c.w.Port(c.port)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v: %q, %v, want %q", c.port, got, err, c.want)
		}
	}
	if p := one.Service.Ports["http"]; p.Target() != 8080 || two.Service.Ports["http"].Target() != 80 {
		t.Errorf("targets are %d and %d", p.Target(), two.Service.Ports["http"].Target())
	}
}

func TestInt(t *testing.T) {
	for _, c := range []struct {
		in   any
		want int
		ok   bool
	}{
		{7, 7, true}, {int64(-7), -7, true}, {7.0, 7, true}, {7.5, 0, false}, {"7", 0, false}, {nil, 0, false}, {true, 0, false}, {1e300, 0, false},
	} {
		if got, ok := model.Int(c.in); got != c.want || ok != c.ok {
			t.Errorf("%v: %d, %v", c.in, got, ok)
		}
	}
}
