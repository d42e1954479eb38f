package policy

import (
	"context"
	"os"
	"regexp"
	"testing"
)

// TestGuideExamples runs the rule and the unit tests that the user guide shows.
func TestGuideExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```rego\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples of Rego; want the rule and its tests", len(blocks))
	}
	set := load(t, Source{File: "policies/cost.rego", Data: blocks[0][1]}, Source{File: "policies/cost_test.rego", Data: blocks[1][1]})
	report, err := set.Test(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !report.Passed() || len(report.Untested()) != 0 {
		t.Errorf("passed %v, untested %v", report.Passed(), report.Untested())
	}
}
