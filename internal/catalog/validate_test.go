package catalog

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/model"
)

func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestValidParams(t *testing.T) {
	c := newCatalog(t)
	for typ, texts := range map[string][]string{
		"postgres": {"", `{version: "16", size: large, storage: 100Gi, maxStorage: 1Ti, highAvailability: true, backupDays: 35, extensions: [pgcrypto]}`,
			"{backupDays: 7.0}", "{size: '${metadata.size}', storage: '${metadata.storage}'}", "{settings: {work_mem: '4MB'}}"},
		"mysql":       {`{version: "8.4"}`},
		"redis":       {"{eviction: none}"},
		"amqp":        {"{queues: [orders, '${metadata.name}-dead']}"},
		"kafka-topic": {"{partitions: 12, replication: 3, retention: 24}"},
		"s3":          {"{versioning: false, expireDays: 90}"},
		"service":     {"{name: checkout}", "{name: checkout, port: http}", "{name: checkout, port: 8080, protocol: tcp}", "{name: '${metadata.peer}'}"},
		"route":       {"", "{host: shop, path: /cart, port: http}", "{host: shop.acme.example}", "{host: 'shop-${metadata.suffix}'}"},
		"dns":         {"{name: tools, ttl: 60}"},
		"secret":      {"{key: payments/psp-token}"},
		"volume":      {"{size: 512Mi, accessMode: ReadWriteMany}"},
		"horizontal-pod-autoscaler": {"", "{min: 3, max: 30, metrics: {cpu: 60, requestsPerSecond: 200}}",
			"{metrics: {queueDepth: 50, queue: orders}}"},
		"schedule": {`{cron: "0 2 * * *"}`, `{cron: "*/5 8-18 * * MON-FRI", timezone: Europe/Dublin, concurrency: Replace}`, `{cron: "@daily"}`},
		"gpu":      {"{count: 0}", "{count: 2, model: nvidia-l4}"},
		"no-such":  {"{anything: 1}"},
	} {
		for _, text := range texts {
			if ps := c.ValidateParams(typ, decode(t, text)); len(ps) > 0 {
				t.Errorf("%s %s: %+v", typ, text, ps)
			}
		}
	}
	if ps := c.ValidatePlatformParams("network", decode(t, "{cidr: 10.30.0.0/16, zones: 3, nat: per-zone}")); len(ps) > 0 {
		t.Errorf("network: %+v", ps)
	}
}

func TestInvalidParams(t *testing.T) {
	c := newCatalog(t)
	for _, tc := range []struct {
		typ, params string
		path, says  string
		suggestion  string
	}{
		{"postgres", "{sise: small}", "sise", `postgres has no parameter "sise"`, "size"},
		{"postgres", "{colour: red}", "colour", `postgres has no parameter "colour"`, ""},
		{"postgres", "{size: hug}", "size", `size must be small, medium, large or xlarge, not "hug"`, ""},
		{"postgres", "{size: larg}", "size", `not "larg"`, "large"},
		{"postgres", "{version: 16}", "version", `version must be text, not a number: write it in quotes, "16"`, ""},
		{"postgres", "{backupDays: 40}", "backupDays", "backupDays must be at most 35 days, not 40", ""},
		{"postgres", "{backupDays: -1}", "backupDays", "backupDays must be at least 0 days, not -1", ""},
		{"postgres", "{backupDays: 1.5}", "backupDays", "backupDays must be a whole number, not 1.5", ""},
		{"postgres", `{backupDays: "${metadata.days}"}`, "backupDays", "must be a whole number, not text: placeholders give text", ""},
		{"postgres", `{storage: "20"}`, "storage", `storage must be an amount of space such as 20Gi or 2Ti, not "20"`, ""},
		{"postgres", `{storage: "$${x}"}`, "storage", `must be an amount of space`, ""},
		{"postgres", "{highAvailability: yes please}", "highAvailability", "must be true or false, not text", ""},
		{"postgres", "{extensions: [a, a]}", "extensions", "must not hold a value twice; items 1 and 2 are equal", ""},
		{"postgres", "{extensions: [pgcrypto, 'drop table']}", "extensions[1]", `extensions[1] must be the name of an extension such as pgcrypto, not "drop table"`, ""},
		{"postgres", "{settings: {'--': x}}", "settings", `settings cannot have the key "--"`, ""},
		{"service", "{}", "", "service needs name", ""},
		{"service", "{name: a b}", "name", "must be the name of a workload", ""},
		{"service", "{name: checkout, port: true}", "port", "port must be a whole number or text, not true or false", ""},
		{"service", "{name: checkout, port: 70000}", "port", "port must be at most 65535, not 70000", ""},
		{"service", "{name: checkout, port: ''}", "port", "port must not be empty", ""},
		{"route", "{path: cart}", "path", `must be a path that starts with "/"`, ""},
		{"horizontal-pod-autoscaler", "{metrics: {cpus: 3}}", "metrics.cpus", `metrics of horizontal-pod-autoscaler has no "cpus"`, "cpu"},
		{"horizontal-pod-autoscaler", "{metrics: {}}", "metrics", "metrics must not be empty", ""},
		{"horizontal-pod-autoscaler", "{metrics: {queueDepth: 5}}", "metrics", "metrics needs queue because it has queueDepth", ""},
		{"schedule", "{cron: every day}", "cron", "must be five cron fields", ""},
		{"gpu", "{count: 17}", "count", "count must be at most 16 devices, not 17", ""},
		{"secret", "{key: ../x}", "key", "must be a relative path such as payments/psp-token", ""},
		{"volume", "{size: null}", "size", "size must be text, not null", ""},
		{"gpu", "{count: .nan}", "count", "count is not text, a number", ""},
	} {
		ps := c.ValidateParams(tc.typ, decode(t, tc.params))
		if len(ps) != 1 {
			t.Errorf("%s %s: want one problem, got %+v", tc.typ, tc.params, ps)
			continue
		}
		if p := ps[0]; p.Path.String() != tc.path || !strings.Contains(p.Message, tc.says) || p.Suggestion != tc.suggestion {
			t.Errorf("%s %s: got %s: %s (%q)", tc.typ, tc.params, p.Path, p.Message, p.Suggestion)
		}
	}
}

func TestProblemsAreSorted(t *testing.T) {
	c := newCatalog(t)
	params := decode(t, "{zzz: 1, version: 3, size: x, backupDays: 99, aaa: 1}")
	for range 20 {
		var got []string
		for _, p := range c.ValidateParams("postgres", params) {
			got = append(got, p.Path.String())
		}
		if s := strings.Join(got, " "); s != "aaa backupDays size version zzz" {
			t.Fatal(s)
		}
	}
}

func TestValidateAlternatives(t *testing.T) {
	own := ownContract()
	own.Spec.Params = decode(t, `
type: object
properties:
  target:
    oneOf:
      - {type: string, pattern: '^arn:'}
      - {type: object, required: [name], properties: {name: {type: string}}}
  either: {anyOf: [{type: integer}, {type: string, enum: [auto]}]}
`)
	c := newCatalog(t, own)
	for text, want := range map[string]string{
		"{target: 'arn:x', either: 3}":     "",
		"{target: '${resources.x.arn}'}":   "",
		"{either: '${metadata.replicas}'}": "",
		"{target: nothing}":                "target has none of the allowed forms",
		"{either: 1.5}":                    "either has none of the allowed forms",
	} {
		ps := c.ValidateParams("search", decode(t, text))
		if got := len(ps); (want == "") != (got == 0) || got > 1 || got == 1 && ps[0].Message != want {
			t.Errorf("%s: got %+v, want %q", text, ps, want)
		}
	}
}

func FuzzValidateParams(f *testing.F) {
	c := newCatalog(f)
	types := c.ResourceTypes()
	f.Add(0, `{"size": "small", "backupDays": 1e400}`)
	f.Add(4, `{"metrics": {"cpu": [1, {"a": null}]}, "min": "${x}"}`)
	f.Add(6, `{"extensions": [1, "a", ["b"]], "settings": {"": ""}}`)
	f.Fuzz(func(t *testing.T, n int, text string) {
		var params map[string]any
		if json.Unmarshal([]byte(text), &params) != nil {
			return
		}
		typ := types[int(uint(n)%uint(len(types)))]
		for _, p := range c.ValidateParams(typ, params) {
			// "%!" is what fmt writes for a wrong verb, unless the input has it.
			if p.Message == "" || strings.Contains(p.Message, "%!") && !strings.Contains(text, "%") {
				t.Errorf("%s %s: %+v", typ, text, p)
			}
		}
		k, _ := c.Resource(typ)
		c.ValidateExisting(k, params)
	})
}

// FuzzOwnSchema looks for schemas on which checking or validating panics.
func FuzzOwnSchema(f *testing.F) {
	f.Add(`{"properties": {"a": {"$ref": "#/properties/a"}}}`, `{"a": 1}`)
	f.Add(`{"properties": {"a": {"type": ["string", "null"], "default": {}}}}`, `{"a": [1]}`)
	f.Add(`{"$ref": "#/$defs/x", "$defs": {"x": {"oneOf": [true, false]}}}`, `{"a": {"b": 2}}`)
	f.Fuzz(func(t *testing.T, schema, text string) {
		own := ownContract()
		var params map[string]any
		if json.Unmarshal([]byte(schema), &own.Spec.Params) != nil || json.Unmarshal([]byte(text), &params) != nil {
			return
		}
		c, _ := New([]*model.Contract{own})
		c.Params(own)
		c.ValidateParams("search", params)
	})
}

func BenchmarkValidateParams(b *testing.B) {
	c := newCatalog(b)
	params := map[string]any{"version": "16", "size": "large", "storage": "100Gi", "highAvailability": true, "backupDays": 14}
	b.ReportAllocs()
	for b.Loop() {
		if ps := c.ValidateParams("postgres", params); len(ps) > 0 {
			b.Fatal(ps)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(nil)
	}
}

func TestExisting(t *testing.T) {
	c := newCatalog(t)
	const network = "vpc_id: vpc-1, cidr: 10.0.0.0/16, zones: [a, b], private_subnet_ids: [s1, s2], data_subnet_ids: [s3, s4]"
	for _, tc := range []struct{ name, existing, path, says string }{
		{"network", "{" + network + "}", "", ""},
		{"cluster", "{kubeconfig: ./kubeconfig}", "", ""},
		{"cluster", "{endpoint: 'https://x'}", "", "cluster also needs certificate_authority and name"},
		{"account", `{account_id: "012345678901", deployer_role: "arn:aws:iam::012345678901:role/x"}`, "", ""},
		{"account", `{account_id: 112345678901, deployer_role: x}`, "account_id", "account_id must be text, not 112345678901: write it in quotes"},
		{"network", "{" + network + ", vpcid: x}", "vpcid", `network has no output "vpcid"`},
		{"network", "{" + network + ", public_subnet_ids: sn-1}", "public_subnet_ids", `must be a list, not "sn-1"`},
		{"network", "{" + network + ", public_subnet_ids: [sn-1, 3]}", "public_subnet_ids[1]", "public_subnet_ids[1] must be text"},
		{"network", "{" + network + ", public_subnet_ids: ['']}", "public_subnet_ids[0]", "must not be empty"},
		{"state", "{bucket: b}", "", "state also needs region"},
	} {
		k, _ := c.Platform(tc.name)
		ps := c.ValidateExisting(k, decode(t, tc.existing))
		switch {
		case tc.says == "" && len(ps) == 0:
		case tc.says == "" || len(ps) != 1, ps[0].Path.String() != tc.path, !strings.Contains(ps[0].Message, tc.says):
			t.Errorf("%s %s: got %+v", tc.name, tc.existing, ps)
		}
	}
	k, _ := c.Resource("postgres")
	ok := decode(t, "{host: db, port: 5432, name: app, username: app, password: legacy/db}")
	if ps := c.ValidateExisting(k, ok); len(ps) > 0 {
		t.Errorf("got %+v", ps)
	}
	ok["port"], ok["password"] = "5432", 1234
	ps := c.ValidateExisting(k, ok)
	if len(ps) != 2 || !strings.Contains(ps[0].Message, "the secret's path") || !strings.Contains(ps[1].Message, "port must be a number") {
		t.Errorf("got %+v", ps)
	}
	vol, _ := c.Resource("horizontal-pod-autoscaler")
	if ps := c.ValidateExisting(vol, map[string]any{"x": 1}); len(ps) != 1 || !strings.Contains(ps[0].Message, "it has none") {
		t.Errorf("got %+v", ps)
	}
}

func TestMisfit(t *testing.T) {
	for _, tc := range []struct {
		typ   string
		value any
		fits  bool
	}{
		{"number", 3, true}, {"number", 3.5, true}, {"number", int64(3), true}, {"number", "3", false}, {"number", math.Inf(1), false},
		{"bool", true, true}, {"bool", "true", false},
		{"map(string)", map[string]any{"a": "b"}, true}, {"map(string)", map[string]any{"a": 1}, false}, {"map(string)", []any{}, false},
		{"set(number)", []any{1, 2.0}, true}, {"set(number)", []any{"1"}, false},
		{"tuple([string, number])", []any{"a", 1}, true}, {"tuple([string, number])", []any{"a"}, false},
		{"object({a = string})", map[string]any{"a": "x"}, true}, {"object({a = string})", map[string]any{}, false},
		{"object({a = string})", map[string]any{"a": "x", "b": 1}, false},
		{"list(object({a = list(string)}))", []any{map[string]any{"a": []any{"x"}}}, true},
		{"string", nil, false},
	} {
		typ, err := ParseType(tc.typ)
		if err != nil {
			t.Fatal(err)
		}
		if _, msg := misfit(tc.value, typ); (msg == "") != tc.fits {
			t.Errorf("%v as %s: %q", tc.value, tc.typ, msg)
		}
	}
}
