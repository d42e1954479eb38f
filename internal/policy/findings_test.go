package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

func judgePlan(t *testing.T, set *Set, file string) []Finding {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	env := &Environment{Name: "prod", Cloud: "aws", Protected: true}
	fs, err := set.Plan(context.Background(), PlanContext{Environment: env, Unit: addr.Foundation("prod", "network"), Layer: model.LayerProvisioning, File: file}, raw)
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestPlanFindings(t *testing.T) {
	fs := judgePlan(t, load(t), "testdata/plans/aws-bad.json")
	var got []string
	for _, f := range fs {
		if !f.Warn {
			got = append(got, f.FullAddress()+" "+f.Rule)
		}
	}
	slices.Sort(got)
	want := []string{
		"prod/network module.db.aws_db_instance.this database-password",
		"prod/network module.db.aws_db_instance.this protected-destroy",
		"prod/network module.db.aws_db_instance.this rds-backups",
		"prod/network module.db.aws_db_instance.this rds-deletion-protection",
		"prod/network module.db.aws_db_instance.this rds-encryption",
		"prod/network module.db.aws_db_instance.this rds-public",
		"prod/network module.eks.aws_eks_cluster.this eks-endpoint",
		"prod/network module.eks.aws_eks_cluster.this eks-logs",
		"prod/network module.eks.aws_eks_cluster.this eks-secrets-encryption",
		"prod/network module.eks.aws_iam_policy.all iam-wildcard",
		"prod/network module.files.aws_s3_bucket.this s3-encryption",
		"prod/network module.files.aws_s3_bucket.this s3-public-access",
		"prod/network module.files.aws_s3_bucket.this s3-versioning",
		"prod/network module.net.aws_security_group.ssh sg-admin-ports",
		"prod/network module.net.aws_security_group.ssh sg-open",
		"prod/network module.net.aws_vpc.this vpc-flow-logs",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
}

// TestPlanUnknowns: nothing that is known only after apply is held against a plan.
func TestPlanUnknowns(t *testing.T) {
	if fs := judgePlan(t, load(t), "testdata/plans/aws-unknown.json"); len(fs) != 0 {
		t.Errorf("got %s", says(fs))
	}
}

func exceptions(list ...model.Exception) *model.Exceptions {
	return &model.Exceptions{Source: model.Source{File: "policies/exceptions.yaml"}, Spec: model.ExceptionsSpec{Exceptions: list}}
}

func TestExceptions(t *testing.T) {
	set := load(t)
	fs := judgePlan(t, set, "testdata/plans/aws-bad.json")
	all := Scope{Stages: []Stage{StageModel, StageObjects, StagePlan}}
	ex := func(rule, address, expires string, envs ...string) model.Exception {
		return model.Exception{Rule: rule, Address: address, Expires: expires, Environments: envs, Reason: "because of a reason", Owner: "platform"}
	}
	for name, tc := range map[string]struct {
		ex       model.Exception
		scope    Scope
		excepted int
		extra    string
	}{
		"exact":           {ex("rds-public", "network module.db.aws_db_instance.this", "2026-12-31"), all, 1, ""},
		"rule glob":       {ex("rds-*", "network *", "2026-12-31"), all, 0, "exception-unknown-rule"},
		"address glob":    {ex("s3-versioning", "network module.*.this", "2026-12-31"), all, 1, ""},
		"environment":     {ex("rds-public", "*", "2026-12-31", "prod"), all, 1, ""},
		"other env":       {ex("rds-public", "*", "2026-12-31", "dev"), all, 0, "exception-unmatched"},
		"last day":        {ex("rds-public", "*", "2026-06-30"), all, 1, ""},
		"expired":         {ex("rds-public", "*", "2026-06-29"), all, 0, "exception-expired"},
		"unmatched":       {ex("mq-public", "*", "2026-12-31"), all, 0, "exception-unmatched"},
		"not judged":      {ex("mq-public", "*", "2026-12-31"), Scope{Stages: []Stage{StageModel}}, 0, ""},
		"not judged env":  {ex("mq-public", "*", "2026-12-31", "dev"), Scope{Stages: []Stage{StagePlan}, Environments: []string{"prod"}}, 0, ""},
		"judged env":      {ex("mq-public", "*", "2026-12-31", "prod"), Scope{Stages: []Stage{StagePlan}, Environments: []string{"prod"}}, 0, "exception-unmatched"},
		"unknown rule":    {ex("no-such-rule", "*", "2026-12-31"), all, 0, "exception-unknown-rule"},
		"about exception": {ex("exception-expired", "*", "2026-12-31"), all, 0, "exception-unknown-rule"},
	} {
		t.Run(name, func(t *testing.T) {
			out := set.Except(fs, exceptions(tc.ex), tc.scope, "2026-06-30")
			excepted, extra := 0, ""
			for _, f := range out {
				if f.Excepted != nil {
					excepted++
				}
				if strings.HasPrefix(f.Rule, "exception-") {
					extra = f.Rule
					if f.File != "policies/exceptions.yaml" || f.Path != "spec.exceptions[0]" {
						t.Errorf("the finding is at %s %s", f.File, f.Path)
					}
				}
			}
			if excepted != tc.excepted || extra != tc.extra {
				t.Errorf("%d excepted and %q; want %d and %q", excepted, extra, tc.excepted, tc.extra)
			}
			if r := NewReport(out); r.Summary.Excepted != excepted || r.Summary.Denied+r.Summary.Warned+r.Summary.Excepted != len(out) {
				t.Errorf("summary %+v of %d", r.Summary, len(out))
			}
		})
	}
	for _, f := range fs {
		if f.Excepted != nil {
			t.Fatal("Except changed its argument")
		}
	}
}

// TestExceptionsScale: exceptions cost what matches, not findings × exceptions.
func TestExceptionsScale(t *testing.T) {
	set := load(t)
	var fs []Finding
	var list []model.Exception
	for i := range 100_000 {
		fs = append(fs, Finding{Rule: "image-digest", Address: fmt.Sprintf("workloads/w%d", i), Environment: "prod"})
		if i%10 == 0 {
			list = append(list, model.Exception{Rule: "image-digest", Address: fmt.Sprintf("workloads/w%d", i), Expires: "2030-01-01"})
		}
	}
	// Each finding is looked at with the exceptions that may be about it, not with all.
	index, tried := indexExceptions(list, "2026-01-01"), 0
	for i := range fs {
		for range index.candidates(&fs[i]) {
			tried++
		}
	}
	if tried != len(list) {
		t.Errorf("%d findings are compared with %d exceptions %d times", len(fs), len(list), tried)
	}
	out := set.Except(fs, exceptions(list...), Scope{Stages: []Stage{StageObjects}}, "2026-01-01")
	if n := NewReport(out).Summary.Excepted; n != 10_000 {
		t.Errorf("%d excepted", n)
	}
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"*", "", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*c", "abd", false},
		{"*a*a*", "aa", true}, {"a**b", "ab", true}, {"workloads/*/db", "workloads/web/db", true}, {"a.c", "abc", false}, {"", "", true}, {"", "a", false},
	} {
		if got := matchGlob(tc.pattern, tc.s); got != tc.want {
			t.Errorf("%q matches %q: %v", tc.pattern, tc.s, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "s")
		i := rapid.IntRange(0, len(s)).Draw(t, "i")
		j := rapid.IntRange(i, len(s)).Draw(t, "j")
		if p := s[:i] + "*" + s[j:]; !matchGlob(p, s) {
			t.Fatalf("%q does not match %q", p, s)
		}
	})
}

func TestFindingJSON(t *testing.T) {
	raw, err := json.Marshal(NewReport([]Finding{{Rule: "r", Severity: High, Layer: model.LayerRuntime, Message: "m", Address: "a", Environment: "prod"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":1,"summary":{"denied":1,"warned":0,"excepted":0,"severity":{"high":1}},"findings":[{"rule":"r","severity":"high","layer":"runtime","message":"m","address":"a","environment":"prod"}]}`
	if string(raw) != want {
		t.Errorf("got %s", raw)
	}
}
