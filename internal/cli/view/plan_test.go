package view_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/term"
)

func created(typ, name string, attributes ...plan.Attribute) plan.Change {
	return plan.Change{Address: typ + "." + name, Type: typ, Action: plan.Create, Attributes: attributes}
}

func set(path string, after any) plan.Attribute { return plan.Attribute{Path: path, After: after} }

func unknown(path string) plan.Attribute { return plan.Attribute{Path: path, Unknown: true} }

func becomes(path string, before, after any) plan.Attribute {
	return plan.Attribute{Path: path, Before: before, After: after}
}

func planUnit(name, layer, contract string, status plan.Status, changes ...plan.Change) plan.Unit {
	u := plan.Unit{Addr: addr.Unit{Env: "prod", Name: name}, Layer: layer, Kind: "tofu", Contract: contract, Status: status, Changes: changes}
	if contract == "" {
		u.Kind = "kube"
	}
	for _, c := range changes {
		switch c.Action {
		case plan.Create:
			u.Counts.Create++
		case plan.Update:
			u.Counts.Update++
		case plan.Replace:
			u.Counts.Replace++
		case plan.Delete:
			u.Counts.Delete++
		case plan.Import:
			u.Counts.Import++
		case plan.Forget:
			u.Counts.Forget++
		case plan.Move:
			u.Counts.Move++
		}
	}
	return u
}

// growing is the plan of an environment that gets a network of its own, a larger
// database and new workloads.
func growing() *plan.Plan {
	network := []plan.Change{created("aws_vpc", "this", set("cidr_block", "10.30.0.0/16"), set("enable_dns_hostnames", true), set("instance_tenancy", "default"), set("tags", map[string]any{"Name": "acme-prod", "environment": "prod", "strata:unit": "prod/network"}), set("ipv6_cidr_block", nil), unknown("arn"), unknown("id"))}
	for _, tier := range []string{"public", "private", "data"} {
		for i := range 3 {
			network = append(network, created("aws_subnet", fmt.Sprintf("%s[%d]", tier, i), set("cidr_block", fmt.Sprintf("10.30.%d.0/20", 16*i))))
		}
	}
	for i := range 3 {
		network = append(network, created("aws_nat_gateway", fmt.Sprintf("this[%d]", i), set("connectivity_type", "public"), unknown("id")))
	}
	network = append(network, created("aws_flow_log", "this", set("traffic_type", "ALL"), set("log_destination_type", "cloud-watch-logs"), set("max_aggregation_interval", json.Number("600")), unknown("log_destination")))
	net := planUnit("network", "networking", "network", plan.Changes, network...)
	net.Outputs = []plan.Attribute{unknown("vpc_id"), unknown("private_subnet_ids"), unknown("data_subnet_ids"), set("cidr", "10.30.0.0/16")}

	cluster := planUnit("cluster", "runtime", "cluster", plan.Changes,
		plan.Change{Address: "aws_eks_cluster.this", Type: "aws_eks_cluster", Action: plan.Update, Attributes: []plan.Attribute{
			becomes("version", "1.34", "1.35"),
			becomes("tags", map[string]any{"environment": "prod", "cost-center": "1200"}, map[string]any{"environment": "prod", "cost-center": "1400", "strata:unit": "prod/cluster"}),
			becomes("enabled_cluster_log_types", []any{"api", "audit"}, []any{"api", "audit", "authenticator", "controllerManager", "scheduler"}),
		}},
		plan.Change{Address: `aws_eks_node_group.this["general"]`, Type: "aws_eks_node_group", Action: plan.Replace, Reason: "instance types cannot be changed in place", Attributes: []plan.Attribute{
			becomes("scaling_config[0].max_size", json.Number("6"), json.Number("12")),
			{Path: "instance_types", Before: []any{"m6i.large"}, After: []any{"m7i.xlarge"}, Replaces: true},
			{Path: "arn", Before: "arn:aws:eks:eu-west-1:444455556666:nodegroup/acme-prod/general/a1b2c3", Unknown: true},
		}},
	)
	cluster.Provisional, cluster.Waits = true, []string{"network.vpc_id", "network.private_subnet_ids"}

	policy := `{"Statement":[{"Action":["s3:GetObject"],"Effect":"Allow","Resource":"arn:aws:s3:::acme-reports/*"}],"Version":"2012-10-17"}`
	db := planUnit("workloads/ledger/db", "provisioning", "postgres", plan.Changes,
		created("aws_db_instance", "this", set("identifier", "acme-prod-ledger-db"), set("engine", "postgres"), set("engine_version", "17"), set("instance_class", "db.m7g.large"), set("allocated_storage", json.Number("200")), set("storage_encrypted", true), set("multi_az", true), set("deletion_protection", false), set("publicly_accessible", false), set("backup_retention_period", json.Number("14")), plan.Attribute{Path: "password", Sensitive: true}, unknown("endpoint"), unknown("arn")),
		created("random_password", "this", set("length", json.Number("32")), plan.Attribute{Path: "result", Unknown: true, Sensitive: true}),
	)
	db.Provisional, db.Waits = true, []string{"network.data_subnet_ids"}
	reports := planUnit("workloads/report/bucket", "provisioning", "s3", plan.Changes,
		plan.Change{Address: "aws_iam_role_policy.read", Type: "aws_iam_role_policy", Action: plan.Update, Attributes: []plan.Attribute{becomes("policy", policy, strings.Replace(policy, "acme-reports", "acme-prod-reports", 1))}},
		plan.Change{Address: "aws_s3_bucket_public_access_block.old", Type: "aws_s3_bucket_public_access_block", Action: plan.Delete, Reason: "it is no longer in the module"},
		plan.Change{Address: "aws_s3_bucket.this", Type: "aws_s3_bucket", Action: plan.Move},
	)
	reports.Notes = []string{"the last run was interrupted after aws_s3_bucket.this; what it did is taken into account"}
	account := planUnit("account", "provisioning", "account", plan.Existing)
	state := planUnit("state", "provisioning", "state", plan.Unchanged)
	secrets := planUnit("platform/secrets", "security", "secrets", plan.Record)
	secrets.Outputs = []plan.Attribute{becomes("store", "acme-prod", "acme-prod-v2"), {Path: "token", Sensitive: true}}
	web := planUnit("workloads/web", "runtime", "", plan.Changes,
		plan.Change{Address: "Deployment/storefront/web", Type: "Deployment", Action: plan.Update, Attributes: []plan.Attribute{
			becomes(`spec.template.spec.containers[0].image`, "registry.acme.example/apps/web@sha256:9f2c64d0e1b5a7c3f8d2e4b6a1907c5d3e8f6b2a4c1d9e7f5a3b8c6d2e1f4a7b", "registry.acme.example/apps/web@sha256:11aa64d0e1b5a7c3f8d2e4b6a1907c5d3e8f6b2a4c1d9e7f5a3b8c6d2e1f4a7b"),
			becomes("spec.replicas", json.Number("3"), json.Number("5")),
			becomes("metadata.annotations", nil, map[string]any{"strata.dev/digest": "abc"}),
		}})
	var objects []plan.Change
	for _, o := range []string{"ServiceAccount", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"} {
		objects = append(objects, plan.Change{Address: o + "/payments/ledger", Type: o, Action: plan.Create})
	}
	ledger := planUnit("workloads/ledger", "runtime", "", plan.Changes, objects...)
	p := &plan.Plan{
		Format: plan.Format, Version: "v0.3.0", Environment: "prod", Operation: plan.Apply,
		Created: time.Date(2026, 7, 3, 10, 15, 0, 0, time.UTC), Author: "ana.ruiz@acme.example",
		Approvals: plan.Requirement{Required: 2, Groups: []string{"platform"}, NotAuthor: true},
		Units:     []plan.Unit{account, state, net, cluster, secrets, db, reports, web, ledger},
		Findings: []plan.Finding{
			{Rule: "node-group-size", Severity: "low", Unit: cluster.Addr, Resource: `aws_eks_node_group.this["general"]`, Summary: "the group may grow to 12 nodes; 10 is what the platform's budget covers"},
			{Rule: "database-deletion-protection", Severity: "high", Denies: true, Unit: db.Addr, Resource: "aws_db_instance.this", Summary: "a production database has deletion protection", Detail: "SOC 2 CC6.1; set protected: true on the environment or the resource.", File: "workloads/ledger/score.yaml", Line: 3},
			{Rule: "bucket-replication", Severity: "medium", Unit: reports.Addr, Summary: "buckets are replicated to another region", Excepted: "priya.nair@acme.example until 2026-12-31: reports can be made again"},
			{Rule: "exception-expired", Severity: "high", Summary: "the exception of bucket-versioning ends in 12 days"},
		},
	}
	for i := range 12 {
		p.Units = append(p.Units, planUnit(fmt.Sprintf("workloads/quiet-%d", i), "runtime", "", plan.Unchanged))
	}
	return p
}

func destroying() *plan.Plan {
	p := growing()
	p.Operation, p.Findings = plan.Destroy, nil
	var units []plan.Unit
	for i := range p.Units {
		u := p.Units[len(p.Units)-1-i]
		if u.Status != plan.Changes {
			continue
		}
		for j := range u.Changes {
			u.Changes[j].Action, u.Changes[j].Reason = plan.Delete, ""
		}
		v := planUnit(u.Addr.Name, u.Layer, u.Contract, plan.Changes, u.Changes...)
		units = append(units, v)
	}
	p.Units = units
	return p
}

// largePlan changes a few things in a thousand workloads.
func largePlan() *plan.Plan {
	p := growing()
	for i := range 80 {
		p.Units = append(p.Units, planUnit(fmt.Sprintf("workloads/new-%03d", i), "runtime", "", plan.Changes, plan.Change{Address: "Deployment/a/b", Type: "Deployment", Action: plan.Create}))
		p.Units = append(p.Units, planUnit(fmt.Sprintf("shared/record-%03d", i), "provisioning", "s3", plan.Record))
	}
	return p
}

func plans(name string) *plan.Plan {
	switch {
	case strings.HasPrefix(name, "destroy"):
		return destroying()
	case strings.HasPrefix(name, "large"):
		return largePlan()
	case strings.HasPrefix(name, "empty"):
		p := growing()
		p.Units, p.Findings = p.Units[:2], nil
		return p
	case strings.HasPrefix(name, "drift"):
		p := growing()
		p.Operation, p.Units, p.Findings = plan.Drift, p.Units[3:4], nil
		p.Units[0].Provisional = false
		return p
	}
	return growing()
}

const score = "apiVersion: score.dev/v1b1\nresources:\n  db: {type: postgres, params: {version: \"17\"}}\n"

func options(name string) view.PlanOptions {
	opt := view.PlanOptions{File: "out/prod.plan", Seal: plan.Seal(strings.Repeat("3f9a0b12", 8)), Read: func(file string) []byte {
		if file == "workloads/ledger/score.yaml" {
			return []byte(score)
		}
		return nil
	}}
	for part := range strings.SplitSeq(name, "-") {
		switch part {
		case "160":
			opt.Width = 160
		case "50":
			opt.Width = 50
		case "full":
			opt.Full = true
		case "color":
			opt.Color = true
		case "approved":
			opt.Verdict = &plan.Verdict{Approved: []string{"mara.keane@acme.example", "priya.nair@acme.example"}}
		case "missing":
			opt.Verdict = &plan.Verdict{Approved: []string{"mara.keane@acme.example"}, Missing: []plan.Reason{
				{Text: "2 approvals are needed, 1 is there (mara.keane@acme.example)"}, {Person: "ana.ruiz@acme.example", Text: "ana.ruiz@acme.example is the plan's author and may not approve it"},
			}}
		}
	}
	return opt
}

// TestPlanGolden holds the pages of testdata/plan.txtar, each named by the plan and
// how it is shown.
func TestPlanGolden(t *testing.T) {
	file := filepath.Join("testdata", "plan.txtar")
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range ar.Files {
		var b bytes.Buffer
		p := plans(f.Name)
		if strings.HasSuffix(f.Name, "json") {
			p.Units = p.Units[1:4]
			err = view.PlanJSON(&b, &plan.File{Plan: p, Seal: options("").Seal}, options("missing").Verdict)
		} else {
			if strings.Contains(f.Name, "allowed") {
				p.Findings = nil
			}
			err = view.Plan(&b, p, options(f.Name))
		}
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			ar.Files[i].Data = b.Bytes()
		} else if !bytes.Equal(b.Bytes(), f.Data) {
			t.Errorf("%s differs (run with -update to accept)\ngot:\n%s\nwant:\n%s", f.Name, b.Bytes(), f.Data)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(ar), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlanSummary(t *testing.T) {
	for name, want := range map[string]string{
		"grow":    "Plan: 22 to create, 3 to update, 1 to replace, 1 to delete, 1 to move in 6 units; 2 provisional.",
		"destroy": "Destroy: 28 to delete in 6 units.",
		"drift":   "Drift: 2 changed in 1 unit.",
		"empty":   "Plan: nothing to do; 2 units are as described.",
	} {
		if got := view.PlanSummary(plans(name)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestPlanBounds shows plans of hostile and awkward values at all widths: no line is
// too wide, and no character is one that a terminal obeys.
func TestPlanBounds(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringOf(rapid.RuneFrom([]rune("a\x1b[31m\n\t\r\x00\u009b\u202e\u2066\u200b\U000e0001日é\u0301\"\\$"))),
		rapid.SampledFrom([]string{"", "\xff\xfe", strings.Repeat("x", 300), strings.Repeat("word ", 60), strings.Repeat("日", 90)}),
	)
	value := rapid.Custom(func(t *rapid.T) any {
		s := text.Draw(t, "value")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return true
		case 2:
			return []any{s, json.Number("1"), nil}
		case 3:
			return map[string]any{s: s, "b": map[string]any{s: 1.5}}
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) string { return text.Draw(t, what) }
		attribute := func() plan.Attribute {
			return plan.Attribute{Path: draw("path"), Before: value.Draw(t, "before"), After: value.Draw(t, "after"), Unknown: rapid.Bool().Draw(t, "unknown"), Sensitive: rapid.Bool().Draw(t, "sensitive"), Replaces: rapid.Bool().Draw(t, "replaces")}
		}
		p := growing()
		p.Environment, p.Author, p.Selection = draw("env"), draw("author"), []string{draw("selection")}
		p.Approvals.Groups = []string{draw("group")}
		p.Units = p.Units[2:6]
		for i := range p.Units {
			u := &p.Units[i]
			u.Layer, u.Kind, u.Contract = draw("layer"), draw("kind"), draw("contract")
			u.Notes, u.Waits = []string{draw("note")}, []string{draw("wait")}
			u.Outputs = []plan.Attribute{attribute()}
			for j := range u.Changes {
				u.Changes[j].Address, u.Changes[j].Type, u.Changes[j].Reason = draw("address"), draw("type"), draw("reason")
				u.Changes[j].Attributes = []plan.Attribute{attribute(), attribute()}
			}
		}
		for i := range p.Findings {
			f := &p.Findings[i]
			f.Rule, f.Severity, f.Summary, f.Detail, f.Excepted, f.File = draw("rule"), draw("severity"), draw("summary"), draw("detail"), draw("excepted"), draw("file")
		}
		hostile := draw("verdict")
		opt := view.PlanOptions{
			Width: rapid.IntRange(30, 170).Draw(t, "width"), Full: rapid.Bool().Draw(t, "full"), File: draw("name"), Seal: plan.Seal(draw("seal")),
			Read:    func(string) []byte { return []byte("\n\n" + strings.ReplaceAll(hostile, "\n", "") + "\n") },
			Verdict: &plan.Verdict{Approved: []string{hostile}, Missing: []plan.Reason{{Text: hostile}}},
		}
		var b, again bytes.Buffer
		if err := errors.Join(view.Plan(&b, p, opt), view.Plan(&again, p, opt)); err != nil {
			t.Fatal(err)
		}
		if b.String() != again.String() {
			t.Error("the same plan is shown in two ways")
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			// Commands and files are copied, so they are never cut.
			copied := slices.ContainsFunc([]string{"Seal: ", "Shortened; ", "Next: ", "then: "}, func(mark string) bool { return strings.HasPrefix(line, mark) })
			if term.Width(line) > opt.Width && !copied {
				t.Errorf("%d columns in %d: %q", term.Width(line), opt.Width, line)
			}
			for _, r := range line {
				// The replacement character is what hostile ones become.
				if term.Hostile(r) && r != utf8.RuneError {
					t.Errorf("%q holds %U", line, r)
				}
			}
		}
		var doc bytes.Buffer
		if err := view.PlanJSON(&doc, &plan.File{Plan: p}, opt.Verdict); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(doc.String(), func(r rune) bool { return r != '\n' && term.Hostile(r) }) || !json.Valid(doc.Bytes()) {
			t.Errorf("JSON holds what a terminal obeys, or is none: %q", doc.String())
		}
	})
}

// TestPlanColor wants colour to change nothing but colour.
func TestPlanColor(t *testing.T) {
	for _, name := range []string{"grow", "destroy", "drift", "empty", "large"} {
		var bare, painted bytes.Buffer
		if err := errors.Join(view.Plan(&bare, plans(name), options("")), view.Plan(&painted, plans(name), options("color"))); err != nil {
			t.Fatal(err)
		}
		s := painted.String()
		for {
			before, rest, ok := strings.Cut(s, "\x1b[")
			if !ok {
				break
			}
			_, rest, _ = strings.Cut(rest, "m")
			s = before + rest
		}
		if s != bare.String() {
			t.Errorf("%s:\n%s\nwithout colour:\n%s", name, s, bare.String())
		}
	}
}

func TestPlanWriteError(t *testing.T) {
	if err := view.Plan(full{}, growing(), view.PlanOptions{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
