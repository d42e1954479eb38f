package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stratahq/strata/internal/par"
)

// plans measures planning and applying n workloads with one resource each, against
// stand-ins, beside the same OpenTofu commands run by hand on a part of them.
func plans(strata, tofu string, n int) error {
	dir, err := os.MkdirTemp("", "strata-bench-plans-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sampled := min(n, 100)
	least, err := byHand(filepath.Join(dir, "by-hand"), strata, tofu, sampled)
	if err != nil {
		return err
	}
	scale := float64(n) / float64(sampled)
	repo := filepath.Join(dir, "repo")
	if err := queues(repo, n); err != nil {
		return err
	}
	fmt.Printf("\n## Plans and applies\n\n%d workloads with one OpenTofu root and one resource each, against stand-ins on %d cores.\n\n", n, runtime.NumCPU())
	fmt.Println("| what | wall | CPU with OpenTofu's | peak memory of Strata | × bound, wall | × bound, CPU |\n| --- | ---: | ---: | ---: | ---: | ---: |")
	row := func(what string, bound spent, args ...string) error {
		fmt.Fprintln(os.Stderr, "bench:", what)
		s, err := whole(what, strata, append([]string{"-C", repo}, args...)...)
		if err != nil {
			return err
		}
		wall, cpu := "-", "-"
		if bound.wall > 0 {
			wall = fmt.Sprintf("%.2f", s.wall.Seconds()/(bound.wall.Seconds()*scale))
			cpu = fmt.Sprintf("%.2f", s.cpu.Seconds()/(bound.cpu.Seconds()*scale))
		}
		fmt.Printf("| %s | %.2f s | %.2f s | %d MiB | %s | %s |\n", what, s.wall.Seconds(), s.cpu.Seconds(), s.peak>>20, wall, cpu)
		return nil
	}
	file := filepath.Join(dir, "first.plan")
	for _, f := range []func() error{
		func() error {
			return row("first plan", least.plan, "plan", "dev", "--offline", "-o", "json", "--file", file)
		},
		func() error { return row("apply of that plan", least.apply, "apply", file, "-o", "json") },
		func() error { return row("plan, nothing changed", spent{}, "plan", "dev", "--offline", "-o", "json") },
		func() error {
			score := filepath.Join(repo, "workloads", "svc-"+strconv.Itoa(n/2), "score.yaml")
			b, err := os.ReadFile(score)
			if err != nil {
				return err
			}
			if err := os.WriteFile(score, bytes.Replace(b, []byte("days: 7"), []byte("days: 14"), 1), 0o644); err != nil {
				return err
			}
			return row("plan, one workload changed", spent{}, "plan", "dev", "--offline", "-o", "json")
		},
	} {
		if err := f(); err != nil {
			return err
		}
	}
	fmt.Printf("\nThe bound is the same commands run by hand on %d of these roots, as many at a time as there are cores, times %.0f: "+
		"`init`, `plan -out`, `show -json` in %.2f s (%.2f s of CPU), `apply` in %.2f s (%.2f s). "+
		"Other work on the machine moves wall times, and their quotient where it comes and goes; it moves CPU times little.\n",
		sampled, scale, least.plan.wall.Seconds(), least.plan.cpu.Seconds(), least.apply.wall.Seconds(), least.apply.cpu.Seconds())
	return nil
}

// bounds is what the same commands take by hand.
type bounds struct{ plan, apply spent }

// spent is the time that something took, and that of all processors together.
type spent struct{ wall, cpu time.Duration }

// byHand lets Strata lay out the roots of a repository, and times OpenTofu on them.
func byHand(dir, strata, tofu string, n int) (bounds, error) {
	fmt.Fprintf(os.Stderr, "bench: by hand, %d roots\n", n)
	if err := queues(dir, n); err != nil {
		return bounds{}, err
	}
	if _, err := whole("lay out", strata, "-C", dir, "plan", "dev", "--offline", "-o", "json", "--file", filepath.Join(dir, "x.plan")); err != nil {
		return bounds{}, err
	}
	work := filepath.Join(dir, ".strata", "offline", "work", "dev")
	var roots []string
	for i := range n {
		root := filepath.Join(work, "stacks", "workloads", "svc-"+strconv.Itoa(i), "queue")
		if err := errors.Join(os.RemoveAll(filepath.Join(root, ".terraform")), os.RemoveAll(filepath.Join(root, ".terraform.lock.hcl"))); err != nil {
			return bounds{}, err
		}
		roots = append(roots, root)
	}
	each := func(commands ...[]string) (spent, error) {
		start, before := time.Now(), childrenCPU()
		err := par.Each(context.Background(), len(roots), func(i int) error {
			for _, args := range commands {
				cmd := exec.Command(tofu, args...)
				cmd.Dir = roots[i]
				cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(work, "tofu.rc"), "CHECKPOINT_DISABLE=1")
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("tofu %s: %w\n%s", args[0], err, out)
				}
			}
			return nil
		})
		return spent{time.Since(start), childrenCPU() - before}, err
	}
	var b bounds
	var err error
	if b.plan, err = each([]string{"init", "-json", "-input=false"}, []string{"plan", "-json", "-input=false", "-out=by-hand.plan"}, []string{"show", "-json", "by-hand.plan"}); err != nil {
		return b, err
	}
	b.apply, err = each([]string{"apply", "-json", "-input=false", "by-hand.plan"})
	return b, err
}

// childrenCPU is the time of all processors that processes have taken which this one
// has started and waited for.
func childrenCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// whole runs the binary and returns the time of all its processes and its own memory.
func whole(what, bin string, args ...string) (sample, error) {
	var out bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stderr = &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, err
	}
	var peak atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			kib, ok := highWater(cmd.Process.Pid)
			if !ok {
				return
			}
			peak.Store(kib << 10)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	err := cmd.Wait()
	s := sample{what: what, wall: time.Since(start)}
	<-done
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() == 1) {
		return s, fmt.Errorf("%s: %w\n%s", what, err, firstBytes(out.Bytes(), 2000))
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if ok {
		s.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	s.peak = peak.Load()
	return s, nil
}

// highWater is the most memory that a process has had, in KiB; false when it is gone.
func highWater(pid int) (int64, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(b), "VmHWM:")
	if !ok {
		return 0, false // it has ended and waits to be looked at
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib, err == nil
}

// queues writes a repository of n workloads that ask for one resource each, which
// depends on nothing that is not there.
func queues(dir string, n int) error {
	files := map[string]string{
		"strata.yaml": `apiVersion: strata/v1alpha1
kind: Platform
metadata: {name: bench}
spec:
  domain: bench.example
  registry: registry.bench.example/apps
  identity: {issuer: "https://login.bench.example", clientID: strata}
  access: [{groups: [platform], role: admin}]
  teams:
    web: {contact: web@bench.example}
`,
		"environments/dev.yaml": `apiVersion: strata/v1alpha1
kind: Environment
metadata: {name: dev}
spec:
  cloud: aws
  account: {id: "111122223333", role: deployer}
  region: eu-west-1
  state: {backend: s3, bucket: bench-dev-state, kmsKey: "arn:aws:kms:eu-west-1:111122223333:key/state"}
  network: {cidr: 10.10.0.0/16, zones: 2, nat: shared}
  cluster:
    existing: {name: c, endpoint: "https://c.bench.example", certificate_authority: Q0E=, workload_security_group_id: sg-0123456789abcdef0}
  secrets:
    existing: {store: "aws-secrets-manager:eu-west-1", path_prefix: bench/dev, kms_key: "arn:aws:kms:eu-west-1:111122223333:key/secrets"}
  ingress: {domain: dev.bench.example}
`,
		"modules/queue/contract.yaml": `apiVersion: strata/v1alpha1
kind: Contract
metadata: {name: queue}
spec:
  summary: A log group, which stands for any one resource
  layer: provisioning
  params:
    type: object
    additionalProperties: false
    properties:
      days: {type: integer, minimum: 1, maximum: 365, default: 7, description: Days that lines are kept., x-unit: days}
  outputs:
    name: {type: string, description: Name of the group.}
  modules:
    aws: {source: ., inputs: {name: unit.name}}
`,
		"modules/queue/main.tf": `terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "name" {
  type = string
}

variable "days" {
  type = number
}

resource "aws_cloudwatch_log_group" "this" {
  name              = var.name
  retention_in_days = var.days
}

output "name" {
  value = aws_cloudwatch_log_group.this.name
}
`,
	}
	var release strings.Builder
	release.WriteString("apiVersion: strata/v1alpha1\nkind: Release\nmetadata: {name: dev}\nspec:\n" + platformImages("registry.bench.example/apps") + "  workloads:\n")
	for i := range n {
		name := "svc-" + strconv.Itoa(i)
		files["workloads/"+name+"/score.yaml"] = "apiVersion: score.dev/v1b1\nmetadata: {name: " + name + ", team: web}\ncontainers:\n  main:\n    image: .\n    variables:\n      QUEUE: ${resources.queue.name}\n" +
			"    resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}\nresources:\n  queue: {type: queue, params: {days: 7}}\n"
		fmt.Fprintf(&release, "    %s: {images: {main: \"registry.bench.example/apps/%s@sha256:%064x\"}}\n", name, name, i)
	}
	files["releases/dev.yaml"] = release.String()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
