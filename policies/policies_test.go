package policies_test

import (
	"context"
	"testing"

	"github.com/stratahq/strata/internal/policy"
)

// TestRules runs every unit test of the pack and insists that each rule has a
// passing test of both outcomes, a title, a description and a control.
func TestRules(t *testing.T) {
	ctx := context.Background()
	set, diags := policy.Load(ctx)
	if diags.HasErrors() {
		t.Fatalf("load: %v", diags)
	}
	report, err := set.Test(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if !r.Passed {
			t.Errorf("%s:%d: %s failed %s", r.File, r.Line, r.Name, r.Error)
		}
		if r.Rule == "" {
			t.Errorf("%s:%d: %s names no rule", r.File, r.Line, r.Name)
		}
	}
	for _, id := range report.Untested() {
		t.Errorf("rule %s lacks a passing test of one outcome (test_..._deny, test_..._allow)", id)
	}
	byLayer := map[string]int{}
	for _, r := range set.Rules() {
		if r.Stage == policy.StageExceptions {
			continue
		}
		byLayer[string(r.Layer)]++
		if r.Title == "" || r.Description == "" || len(r.Controls) == 0 || len(r.Kinds) == 0 && r.Stage != policy.StagePlan {
			t.Errorf("%s:%d: rule %s lacks title, description, controls or kinds", r.File, r.Line, r.ID)
		}
	}
	t.Logf("%d rules, %d tests, by layer %v", len(report.Coverage), len(report.Results), byLayer)
	if len(byLayer) != 5 || len(report.Coverage) < 75 {
		t.Errorf("%d rules over layers %v; want at least 75 over five", len(report.Coverage), byLayer)
	}
}
