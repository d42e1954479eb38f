package stack

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

var update = flag.Bool("update", false, "write the goldens")

// TestGolden renders the unit of each txtar file in the context beside it.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var c Context
			var u graph.Unit
			var golden *txtar.File
			for i, f := range ar.Files {
				switch f.Name {
				case "context.json":
					err = json.Unmarshal(f.Data, &c)
				case "unit.json":
					err = json.Unmarshal(f.Data, &u)
				case FileName:
					golden = &ar.Files[i]
				}
				if err != nil {
					t.Fatal(f.Name, err)
				}
			}
			c.ModuleSource = moduleSource
			got, err := Render(c, u)
			if err != nil {
				t.Fatal(err)
			}
			resolves(t, got)
			if *update {
				golden.Data = got
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if string(got) != string(golden.Data) {
				t.Errorf("got\n%s\nrun go test -update if that is right", got)
			}
		})
	}
}

func moduleSource(module string) string {
	return "../../../modules/" + strings.TrimPrefix(module, "builtin:")
}

// resolves checks that what a root refers to is in it.
func resolves(t testing.TB, root []byte) {
	t.Helper()
	file, ds := hcljson.Parse(root, FileName)
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	var doc map[string]map[string]any
	if err := json.Unmarshal(root, &doc); err != nil {
		t.Fatal(err)
	}
	attrs, ds := file.Body.JustAttributes()
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	for name, attr := range attrs {
		for _, tr := range attr.Expr.Variables() {
			block := map[string]string{"var": "variable", "module": "module"}[tr.RootName()]
			target := ""
			if len(tr) > 1 {
				if step, ok := tr[1].(hcl.TraverseAttr); ok {
					target = step.Name
				}
			}
			if _, ok := doc[block][target]; !ok {
				t.Errorf("%s refers to %s.%s, which is not there", name, tr.RootName(), target)
			}
		}
	}
}

func testContext() Context {
	return Context{
		Platform: "acme", Environment: "prod", Cloud: model.CloudAWS, Region: "eu-west-1",
		AccountID: "111122223333", Role: "strata-deployer", State: &model.State{Backend: "s3", Bucket: "acme-prod-state"},
		ModuleSource: moduleSource,
	}
}

func testUnit() graph.Unit {
	return graph.Unit{
		Addr: addr.WorkloadResource("prod", "shop", "db"), Layer: model.LayerProvisioning, Kind: graph.Tofu,
		Contract: "postgres", Team: "storefront", Workload: "shop", Module: "builtin:aws/postgres",
		Inputs: map[string]graph.Value{
			"size":   {Literal: "small"},
			"vpc_id": {Ref: &graph.Ref{Unit: addr.Foundation("prod", "network"), Output: "vpc_id", Type: "string"}},
		},
		Outputs: map[string]model.ContractOutput{
			"host":     {Type: "string", Description: "Host."},
			"password": {Type: "string", Kind: "secret", Description: "Password."},
		},
	}
}

func root(t testing.TB, c Context, u graph.Unit) map[string]any {
	t.Helper()
	data, err := Render(c, u)
	if err != nil {
		t.Fatal(err)
	}
	resolves(t, data)
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func at(t testing.TB, v any, keys ...string) any {
	t.Helper()
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("%q is not in a mapping", k)
		}
		v = m[k]
	}
	return v
}

func TestEveryCloudHasAGolden(t *testing.T) {
	for name := range clouds {
		if _, err := os.Stat("testdata/" + name + ".txtar"); err != nil {
			t.Error(err)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Context, *graph.Unit)
		says   string
	}{
		"no account":        {func(c *Context, _ *graph.Unit) { c.AccountID = "" }, "no account to pin"},
		"no state":          {func(c *Context, _ *graph.Unit) { c.State = nil }, "where its state is kept"},
		"unknown backend":   {func(c *Context, _ *graph.Unit) { c.State = &model.State{Backend: "http"} }, `"http" is not known`},
		"unknown cloud":     {func(c *Context, _ *graph.Unit) { c.Cloud = "moon" }, `cloud "moon"`},
		"a kube unit":       {func(_ *Context, u *graph.Unit) { u.Kind = graph.Kube }, "not a tofu unit"},
		"an existing unit":  {func(_ *Context, u *graph.Unit) { u.Existing = true }, "exists already"},
		"no module":         {func(_ *Context, u *graph.Unit) { u.Module = "" }, "names no module"},
		"a meta-argument":   {func(_ *Context, u *graph.Unit) { u.Inputs["for_each"] = graph.Value{} }, `input "for_each"`},
		"an odd input":      {func(_ *Context, u *graph.Unit) { u.Inputs["a b"] = graph.Value{} }, `input "a b"`},
		"an odd output":     {func(_ *Context, u *graph.Unit) { u.Outputs["a.b"] = model.ContractOutput{} }, `"a.b" cannot be`},
		"a type with code":  {func(_ *Context, u *graph.Unit) { u.Inputs["x"] = ref("${file(\"/etc/passwd\")}") }, "output o of prod/x"},
		"a literal of code": {func(_ *Context, u *graph.Unit) { u.Inputs["x"] = graph.Value{Literal: func() {}} }, "input x"},
	} {
		t.Run(name, func(t *testing.T) {
			c, u := testContext(), testUnit()
			tc.change(&c, &u)
			_, err := Render(c, u)
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.HasPrefix(err.Error(), "render prod/workloads/shop/db: ") {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

func ref(typ string) graph.Value {
	return graph.Value{Ref: &graph.Ref{Unit: addr.Foundation("prod", "x"), Output: "o", Type: typ}}
}

func TestCreatedAccount(t *testing.T) {
	c := testContext()
	account := addr.Foundation("prod", "account")
	c.AccountID, c.Role = "", "strata-deployer"
	c.AccountRef = &graph.Ref{Unit: account, Output: "account_id", Type: "string"}
	doc := root(t, c, testUnit())
	if got := at(t, doc, "provider", "aws", "allowed_account_ids"); got.([]any)[0] != "${var.account_account_id}" {
		t.Errorf("pinned to %v", got)
	}
	if got := at(t, doc, "provider", "aws", "assume_role", "role_arn"); got != "arn:aws:iam::${var.account_account_id}:role/strata-deployer" {
		t.Errorf("assumes %v", got)
	}
	if b := at(t, doc, "terraform", "backend", "s3").(map[string]any); b["allowed_account_ids"] != nil || b["assume_role"] != nil {
		t.Errorf("a backend takes no variables: %v", b)
	}
	c.RoleRef = &graph.Ref{Unit: account, Output: "deployer_role", Type: "string"}
	doc = root(t, c, testUnit())
	if got := at(t, doc, "provider", "aws", "assume_role", "role_arn"); got != "${var.account_deployer_role}" {
		t.Errorf("assumes %v", got)
	}

	// The unit that makes the account cannot be pinned to it.
	u := testUnit()
	u.Addr, u.Contract, u.Inputs = account, "account", nil
	doc = root(t, c, u)
	if p := at(t, doc, "provider", "aws").(map[string]any); p["allowed_account_ids"] != nil || p["assume_role"] != nil {
		t.Errorf("account unit: %v", p)
	}
	if _, ok := doc["variable"]; ok {
		t.Error("account unit depends on itself")
	}
}

func TestRoleARN(t *testing.T) {
	for _, tc := range []struct{ region, role, want string }{
		{"eu-west-1", "deployer", "arn:aws:iam::111122223333:role/deployer"},
		{"cn-north-1", "deployer", "arn:aws-cn:iam::111122223333:role/deployer"},
		{"us-gov-west-1", "path/deployer", "arn:aws-us-gov:iam::111122223333:role/path/deployer"},
		{"eu-west-1", "arn:aws:iam::999988887777:role/x", "arn:aws:iam::999988887777:role/x"},
		{"eu-west-1", "", ""},
	} {
		s := &scope{Context: Context{Region: tc.region, Role: tc.role, AccountID: "111122223333"}}
		if got := s.roleARN(); got != tc.want {
			t.Errorf("%s in %s: %q, want %q", tc.role, tc.region, got, tc.want)
		}
	}
}

func TestBackends(t *testing.T) {
	c := testContext()
	c.State = &model.State{Backend: "pg"}
	u := testUnit()
	schema := at(t, root(t, c, u), "terraform", "backend", "pg", "schema_name")
	if schema != "acme/prod/workloads/shop/db" {
		t.Errorf("schema %v", schema)
	}
	// PostgreSQL cuts longer names off, which would put two units into one schema.
	long := strings.Repeat("x", 60)
	u.Addr = addr.WorkloadResource("prod", long, "a")
	a := at(t, root(t, c, u), "terraform", "backend", "pg", "schema_name").(string)
	u.Addr = addr.WorkloadResource("prod", long, "b")
	b := at(t, root(t, c, u), "terraform", "backend", "pg", "schema_name").(string)
	if len(a) > 63 || a == b {
		t.Errorf("schemas %q and %q", a, b)
	}
	c.State = &model.State{Backend: "s3", Bucket: "b", Prefix: "teams/x", Region: "eu-north-1"}
	s3 := at(t, root(t, c, testUnit()), "terraform", "backend", "s3").(map[string]any)
	if s3["key"] != "teams/x/prod/workloads/shop/db/terraform.tfstate" || s3["region"] != "eu-north-1" || s3["use_lockfile"] != true {
		t.Errorf("got %v", s3)
	}
	c.State = &model.State{Backend: "local"}
	c.StatePath = func(u addr.Unit) string { return "../state/" + u.Name }
	if got := at(t, root(t, c, testUnit()), "terraform", "backend", "local", "path"); got != "../state/workloads/shop/db" {
		t.Errorf("got %v", got)
	}
}

func TestModuleSourceIsNeverARegistryAddress(t *testing.T) {
	for in, want := range map[string]string{
		"modules/search/aws": "./modules/search/aws", "../x": "../x", "./x": "./x", "/srv/x": "/srv/x",
		"hashicorp/consul/aws": "./hashicorp/consul/aws", "git::https://evil.example/x": "./git::https://evil.example/x",
	} {
		c := testContext()
		c.ModuleSource = func(string) string { return in }
		if got := at(t, root(t, c, testUnit()), "module", "this", "source"); got != want {
			t.Errorf("%s became %v", in, got)
		}
	}
}

func TestSecretsAreReferences(t *testing.T) {
	u := testUnit()
	u.Inputs["token"] = graph.Value{Ref: &graph.Ref{Unit: addr.Foundation("prod", "broker"), Output: "token", Type: "object({a = string})", Secret: true}}
	doc := root(t, testContext(), u)
	if got := at(t, doc, "variable", "broker_token", "type"); got != "string" {
		t.Errorf("the reference to a secret has type %v", got)
	}
	out := at(t, doc, "output", "password").(map[string]any)
	if out["sensitive"] != nil || !strings.HasPrefix(out["description"].(string), "Path in the central secrets service") {
		t.Errorf("got %v", out)
	}
}

func TestVariableNamesNeverCollide(t *testing.T) {
	u := testUnit()
	u.Inputs = map[string]graph.Value{}
	for i, name := range []string{"shared/amqp/default/a-b", "shared/amqp/default/a.b", "shared/amqp/default-a/b"} {
		u.Inputs[string(rune('a'+i))] = graph.Value{Ref: &graph.Ref{Unit: addr.Unit{Env: "prod", Name: name}, Output: "host", Type: "string"}}
	}
	var names []string
	for _, v := range Variables(testContext(), u) {
		names = append(names, v.Name)
	}
	want := []string{"shared_amqp_default_a_b_host", "shared_amqp_default_a_b_host_2", "shared_amqp_default_a_b_host_3"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
	if doc := root(t, testContext(), u); at(t, doc, "module", "this", "a") == at(t, doc, "module", "this", "b") {
		t.Error("two references became one")
	}
}

func TestLabels(t *testing.T) {
	got := labels(map[string]string{"Platform": "Evil", "platform": "acme", "unit": "workloads/shop/db", "1st": "A b", "cost-centre": strings.Repeat("x", 80)})
	want := map[string]string{"platform": "acme", "unit": "workloads-shop-db", "x1st": "a-b", "cost-centre": strings.Repeat("x", 63)}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %v, want %s", k, got[k], v)
		}
	}
}

// hostile draws text made of what templates give a meaning to.
var hostile = rapid.StringOfN(rapid.SampledFrom([]rune("$$%%{{}}\"\\~ab/\n.")), 0, 24, -1)

func evaluate(t interface{ Fatal(args ...any) }, v any) cty.Value {
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	expr, ds := hcljson.ParseExpression(data, "value")
	if ds.HasErrors() {
		t.Fatal(ds)
	}
	if vars := expr.Variables(); len(vars) > 0 {
		t.Fatal("text became a reference", string(data))
	}
	// With a nil context strings would be taken as they stand.
	val, ds := expr.Value(&hcl.EvalContext{})
	if ds.HasErrors() {
		t.Fatal(string(data), ds)
	}
	return val
}

func TestEscapedTextEvaluatesToItself(t *testing.T) {
	for _, text := range []string{"", "plain", "$", "${", "$${", "$$${x}", "%{ if true }", "%%{", "$%{x}", "%${x}", "${file(\"/etc/passwd\")}", "100%", "$${${x}}"} {
		if got := evaluate(t, escape(text)).AsString(); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := hostile.Draw(t, "text")
		if got := evaluate(t, escape(text)).AsString(); got != text {
			t.Fatalf("%q was escaped to %q, which is %q", text, escape(text), got)
		}
	})
}

func TestEscapedValuesEvaluateToThemselves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, text := hostile.Draw(t, "key"), hostile.Draw(t, "text")
		esc, err := escapeValue(map[string]any{key: []any{text, map[string]string{"k": text}, 7, true}})
		if err != nil {
			t.Fatal(err)
		}
		list := evaluate(t, esc).AsValueMap()[key].AsValueSlice()
		if list[0].AsString() != text || list[1].AsValueMap()["k"].AsString() != text {
			t.Fatalf("%q became %#v", text, list)
		}
		if n, _ := list[2].AsBigFloat().Int64(); n != 7 || list[3].False() {
			t.Fatalf("numbers and truth values changed: %#v", list)
		}
	})
}

// TestHostileTextNeverBecomesAnExpression puts hostile text everywhere that a
// user's text can get to.
func TestHostileTextNeverBecomesAnExpression(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := func(label string) string { return "${module.x}" + hostile.Draw(rt, label) }
		c := testContext()
		c.Cloud = rapid.SampledFrom([]string{"aws", "gcp", "azure", "local"}).Draw(rt, "cloud")
		backend := rapid.SampledFrom([]string{"s3", "gcs", "azurerm", "pg", "local"}).Draw(rt, "backend")
		c.Platform, c.Environment, c.Region, c.AccountID, c.Role = h("platform"), h("env"), h("region"), h("account"), h("role")
		c.Tags = map[string]string{h("key"): h("value")}
		c.State = &model.State{Backend: backend, Bucket: h("bucket"), Prefix: h("prefix"), Region: h("r"), Account: h("a"), ResourceGroup: h("g"), KMSKey: h("k")}
		c.ModuleSource = func(string) string { return "./" + h("module") }
		c.StatePath = func(addr.Unit) string { return h("path") }
		u := testUnit()
		u.Team = h("team")
		u.Outputs["host"] = model.ContractOutput{Type: "string", Description: h("description")}
		u.Inputs["name"] = graph.Value{Literal: map[string]any{h("k"): h("v")}}
		resolves(t, must(Render(c, u)))
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

func TestRenderIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z_]{0,6}x`), 1, 12, rapid.ID[string]).Draw(t, "names")
		c := testContext()
		c.Cloud = rapid.SampledFrom([]string{"aws", "gcp", "azure", "local"}).Draw(t, "cloud")
		build := func(order []string) []byte {
			u := testUnit()
			u.Inputs, c.Tags = map[string]graph.Value{}, map[string]string{}
			for _, n := range order {
				c.Tags[strings.ToUpper(n)], c.Tags[n] = "up", "low"
				u.Inputs[n] = graph.Value{Ref: &graph.Ref{Unit: addr.Platform("prod", n), Output: "o", Type: "string"}}
				u.Inputs[n+"_lit"] = graph.Value{Literal: map[string]any{n: order[0] < n, "z": 1, "a": 2}}
			}
			return must(Render(c, u))
		}
		// The literal depends on the first name, so only the rest may move.
		rest := slices.Clone(names[1:])
		slices.Reverse(rest)
		if a, b := build(names), build(append(names[:1:1], rest...)); string(a) != string(b) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	c, u := testContext(), testUnit()
	for b.Loop() {
		must(Render(c, u))
	}
}
