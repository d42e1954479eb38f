package e2e

import (
	"strings"
	"testing"
)

// TestFaults has providers and clouds fail in the middle of an apply. Each failure
// names the unit, its cause, what was and was not changed, and what to do; and once
// the cause is gone, the next apply ends where an uninterrupted one does.
func TestFaults(t *testing.T) {
	bin := tools(t)
	_, want := uninterrupted(t, bin)
	for name, c := range map[string]struct {
		flags []string
		says  []string
	}{
		"crash": {
			[]string{"--stand-in=--fault=type=aws_subnet,op=create,nth=2,do=crash"},
			[]string{"dev/network", "(provider)", "Run the same command again", "The next apply looks after them"},
		},
		"hang": {
			[]string{"--stand-in=--fault=type=aws_subnet,op=create,nth=2,do=hang", "--timeout=15s"},
			[]string{"dev/network", "(timeout)", "took too long", "--timeout"},
		},
		"expired": {
			[]string{"--stand-in=--fault=type=aws_nat_gateway,op=create,do=error:api error ExpiredToken: The security token included in the request is expired"},
			[]string{"dev/network", "(credentials)", "aws_nat_gateway.this", "Changed before it failed: ", "Sign in again"},
		},
		"quota": {
			[]string{"--stand-in=--fault=type=aws_vpc,op=create,do=error:VpcLimitExceeded: The maximum number of VPCs has been reached."},
			[]string{"dev/network", "(quota)", "aws_vpc.this", "quota raised"},
		},
		"taken": {
			[]string{"--stand-in=--fault=type=aws_s3_bucket,op=create,nth=1,do=error:BucketAlreadyExists: The requested bucket name is not available"},
			[]string{"(conflict)", "aws_s3_bucket.this", "strata import dev"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			out := w.must(1, append([]string{"apply", "dev", "--offline", "--yes"}, c.flags...)...)
			for _, s := range c.says {
				if !strings.Contains(strings.Join(strings.Fields(out), " "), s) {
					t.Errorf("does not say %q:\n%s", s, out)
				}
			}
			w.recovered(want)
		})
	}
}

// TestBadInput gives what cannot work, and wants to be told so before anything is
// changed.
func TestBadInput(t *testing.T) {
	bin := tools(t)
	for name, c := range map[string]struct {
		prepare func(w *world)
		args    []string
		says    []string
	}{
		"a module that does not parse": {
			func(w *world) {
				w.edit("modules/bucket/main.tf", `resource "aws_s3_bucket" "this" {`, `resource "aws_s3_bucket" "this" [`)
			},
			[]string{"plan", "dev", "--offline"}, []string{"dev/workloads/mail/files", "modules/bucket/main.tf:", "Next:"},
		},
		"an argument that there is not": {
			func(w *world) {
				w.edit("modules/bucket/main.tf", "  bucket = var.name\n", "  bucket = var.name\n  colour = 1\n")
			},
			[]string{"plan", "dev", "--offline"}, []string{"modules/bucket/main.tf:25", `"colour"`, "Correct the module"},
		},
		"a type without a stand-in": {
			func(w *world) {
				w.edit("modules/bucket/main.tf", `resource "aws_s3_bucket" "this" {`, "resource \"aws_glacier_vault\" \"old\" {\n  name = \"x\"\n}\n\n"+`resource "aws_s3_bucket" "this" {`)
			},
			[]string{"plan", "dev", "--offline"}, []string{"aws_glacier_vault", "strata schema pull"},
		},
		"an output that is a secret itself": {
			func(w *world) {
				w.edit("modules/bucket/main.tf", `value       = aws_s3_bucket.this.bucket`, `value       = sensitive(aws_s3_bucket.this.bucket)`)
			},
			[]string{"plan", "dev", "--offline"}, []string{"dev/workloads/mail/files", "sensitive", "give the path"},
		},
		"no OpenTofu": {
			func(*world) {}, []string{"plan", "dev", "--offline", "--tofu", "/nowhere/tofu"}, []string{"/nowhere/tofu", "Next:"},
		},
		"a backend that is not there": {
			func(w *world) {
				w.edit("environments/dev.yaml", "backend: s3\n    bucket: small-dev-state\n    kmsKey: arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000", "backend: pg")
				w.env = append(w.env, "PGHOST=127.0.0.1", "PGPORT=1", "STRATA_STATE_PASSPHRASE=a passphrase of some length")
			},
			[]string{"plan", "dev", "--unit", "network"}, []string{"dev/network", "(backend)", "environments/dev.yaml (spec.state)"},
		},
		"a state that nothing would encrypt": {
			func(w *world) {
				w.edit("environments/dev.yaml", "    kmsKey: arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000\n", "")
			},
			[]string{"plan", "dev"}, []string{"would not be encrypted", "spec.state.kmsKey", "STRATA_STATE_PASSPHRASE"},
		},
		"a file that is no plan": {
			func(*world) {}, []string{"apply", "strata.yaml"}, []string{"strata.yaml", "no plan", "Nothing was changed"},
		},
		"an environment that there is not": {
			func(*world) {}, []string{"plan", "dew", "--offline"}, []string{`"dew"`, "dev"},
		},
		"a unit that there is not": {
			func(*world) {}, []string{"plan", "dev", "--offline", "--unit", "networq"}, []string{"networq", `did you mean "network"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			c.prepare(w)
			out := w.must(1, c.args...)
			for _, s := range c.says {
				if !strings.Contains(out, s) {
					t.Errorf("does not say %q:\n%s", s, out)
				}
			}
			if len(w.cloud())+len(w.cluster()) > 0 {
				t.Error("something was changed")
			}
		})
	}
}
