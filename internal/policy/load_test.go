package policy

import (
	"context"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
)

func TestLoadReportsMistakes(t *testing.T) {
	for name, tc := range map[string]struct{ src, rule, at, says string }{
		"syntax":       {"package strata.objects\n\ndeny contains msg if {\n", "policy-syntax", "4:", ""},
		"rego v0":      {"package strata.objects\n\ndeny[msg] {\n  msg := \"x\"\n}\n", "policy-syntax", "3:1", "if"},
		"type":         {"package strata.objects\n\ndeny contains msg if {\n  msg := upper(3)\n}\n", "policy-compile", "4:10", ""},
		"unsafe":       {"package strata.objects\n\ndeny contains msg if input.x == 1\n", "policy-compile", "3:1", "unsafe"},
		"network":      {"package strata.objects\n\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"http://x\"})\n", "policy-compile", "3:22", "http.send"},
		"lookup":       {"package strata.objects\n\ndeny contains \"x\" if net.lookup_ip_addr(\"x\")\n", "policy-compile", "3:22", "net.lookup_ip_addr"},
		"clock":        {"package strata.objects\n\ndeny contains \"x\" if time.now_ns() > 3\n", "policy-compile", "3:22", "time.now_ns"},
		"process":      {"package strata.objects\n\ndeny contains \"x\" if opa.runtime().env.HOME\n", "policy-compile", "3:22", "opa.runtime"},
		"chance":       {"package strata.objects\n\ndeny contains \"x\" if rand.intn(\"x\", 2) == 1\n", "policy-compile", "3:22", "rand.intn"},
		"schemas":      {"package strata.objects\n\ndeny contains \"x\" if json.match_schema(input, {})\n", "policy-compile", "3:22", "json.match_schema"},
		"not a set":    {"package strata.objects\n\ndeny := \"x\"\n", "policy-rule", "3:1", "partial set"},
		"reads deny":   {"package strata.objects\n\ndeny contains \"x\" if count(warn) > 0\n", "policy-rule", "3:28", "only be read by tests"},
		"reads path":   {"package strata.lib.x\n\nbad if count(data.strata.objects.deny) > 0\n", "policy-rule", "3:14", "only be read by tests"},
		"severity":     {"package strata.objects\n\n# METADATA\n# title: x\n# custom:\n#   severity: awful\ndeny contains \"x\" if input.x\n", "policy-metadata", "3:1", "awful"},
		"layer":        {"package strata.objects\n\n# METADATA\n# custom:\n#   layer: cake\ndeny contains \"x\" if input.x\n", "policy-metadata", "3:1", "cake"},
		"controls":     {"package strata.objects\n\n# METADATA\n# custom:\n#   controls: CIS\ndeny contains \"x\" if input.x\n", "policy-metadata", "3:1", "list of strings"},
		"taken id":     {"package strata.objects\n\n# METADATA\n# custom:\n#   id: pss-privileged\ndeny contains \"x\" if input.x\n", "policy-duplicate", "6:1", "defined already"},
		"reserved id":  {"package strata.objects\n\n# METADATA\n# custom:\n#   id: exception-expired\ndeny contains \"x\" if input.x\n", "policy-compile", "", "Strata's own"},
		"unknown call": {"package strata.objects\n\ndeny contains \"x\" if nothing(input.x)\n", "policy-compile", "3:22", "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			set, diags := Load(context.Background(), Source{File: "policies/own.rego", Data: []byte(tc.src)})
			if set != nil || !diags.HasErrors() {
				t.Fatal("it was accepted")
			}
			d := diags[0]
			if d.Rule != tc.rule || tc.at != "" && !strings.HasPrefix(d.String(), "policies/own.rego:"+tc.at) || !strings.Contains(d.Summary, tc.says) {
				t.Errorf("got %s; want %s at %s saying %q", d, tc.rule, tc.at, tc.says)
			}
		})
	}
}

func TestLoadWarnsOfUnusedPackages(t *testing.T) {
	set, diags := Load(context.Background(), Source{File: "policies/main.rego", Data: []byte("package main\n\ndeny contains \"x\" if input.x\n")})
	if set == nil || len(diags) != 1 || diags[0].Severity != diag.Warning || diags[0].Rule != "policy-package" {
		t.Fatalf("got %v", diags)
	}
}

const conftestPolicy = `package strata.objects

import data.strata.lib.own

deny contains msg if {
	input.kind == "Service"
	own.bad(input.metadata.name)
	msg := "no bad names"
}

deny contains {"msg": "second", "path": ["spec", "ports", 0], "address": "port 80"} if input.kind == "Service"

warn contains "whole input" if {
	walk(input, [_, value])
	value == "needle"
}
`

// TestOwnRules checks that policies without annotations work, and that a rule
// that reads the whole input gets it.
func TestOwnRules(t *testing.T) {
	set := load(t,
		Source{File: "policies/own.rego", Data: []byte(conftestPolicy)},
		Source{File: "policies/lib.rego", Data: []byte("package strata.lib.own\n\nbad(name) if contains(name, \"bad\")\n")},
		Source{File: "policies/own_test.rego", Data: []byte(`package own_test

import data.strata.objects.deny

test_own_deny_deny if "no bad names" in deny with input as {"kind": "Service", "metadata": {"name": "bad"}}

test_own_deny_allow if not "no bad names" in deny with input as {"kind": "Pod", "metadata": {"name": "bad"}}

test_fails if false
`)})
	fs, err := set.Objects(context.Background(), ObjectContext{}, map[string]any{
		"kind": "Service", "apiVersion": "v1", "metadata": map[string]any{"name": "bad", "namespace": "n"}, "deep": []any{map[string]any{"x": "needle"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fs {
		got = append(got, f.Rule+"|"+f.Address+"|"+f.Message+"|"+f.Path)
	}
	want := []string{"own-deny|Service/n/bad|no bad names|", "own-warn|Service/n/bad|whole input|", "own-deny-2|Service/n/bad port 80|second|spec.ports[0]"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if r, ok := set.Rule("own-deny"); !ok || len(r.Kinds) != 1 || r.Kinds[0] != "Service" || r.Severity != Medium {
		t.Errorf("rule %+v", r)
	}
	report, err := set.Test(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if report.Passed() || strings.Join(report.Untested(), " ") != "own-deny-2 own-warn" {
		t.Errorf("passed %v, untested %v", report.Passed(), report.Untested())
	}
}

func TestBadElement(t *testing.T) {
	set := load(t, Source{File: "policies/own.rego", Data: []byte("package strata.objects\n\ndeny contains 3 if input.kind == \"X\"\n")})
	_, err := set.Objects(context.Background(), ObjectContext{}, map[string]any{"kind": "X"})
	if err == nil || !strings.Contains(err.Error(), "policies/own.rego:3") {
		t.Errorf("got %v", err)
	}
}

func TestModelFindings(t *testing.T) {
	set := load(t)
	in := benchModel(1)
	prod := in.Environments[2]
	prod.Environment.Spec.Approvals = nil
	in.Platform.Spec.People = map[string]model.Person{"one@acme.example": {}}
	prod.Environment.Source.File = "environments/prod.yaml"
	// The environment's override decides, not the workload's own resources.
	prod.Workloads[0].Resources = map[string]model.Resource{"db": {Type: "postgres"}}
	fs, err := set.Model(context.Background(), ModelInput{Platform: in.Platform, Environments: []EnvironmentInput{prod}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range fs {
		got = append(got, f.FullAddress()+" "+f.Rule+" "+f.File+" "+f.Path)
	}
	want := []string{
		"platform approvers  spec.people",
		"prod/environment protected-approvals environments/prod.yaml spec.approvals",
		"prod/environment protected-approvals environments/prod.yaml spec.approvals",
		"prod/workloads/workload-00000 database-availability  resources.db",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
	ds := Diagnostics(fs)
	if e, w := ds.Count(); e != 3 || w != 1 {
		t.Errorf("%d errors, %d warnings: %v", e, w, ds)
	}
}
