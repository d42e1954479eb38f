// Command bench measures Strata on a synthetic platform and prints a table in
// Markdown. It runs the built binary as users do, so it sees start-up, peak
// memory and file writing too. It holds no test and asserts nothing about time.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sample is one measured command.
type sample struct {
	what    string
	wall    time.Duration
	cpu     time.Duration
	peak    int64 // bytes
	objects int
	code    int
}

func run() error {
	binary := flag.String("strata", "bin/strata", "the binary to measure")
	acme := flag.String("acme", "examples/acme", "the example repository")
	n := flag.Int("workloads", 10000, "number of workloads of the synthetic platform")
	engine := flag.String("tofu", "bin/tofu", "the OpenTofu to plan and apply with")
	planned := flag.Int("planned", 1000, "number of workloads to plan and apply")
	proxy := flag.String("proxy", "bin/strata-proxy", "the proxy to measure")
	only := flag.String("only", "", "only this section: plans, proxy or local; or scaling or rotation, which are pages of their own")
	plots := flag.String("plots", "docs", "folder for the plots of scaling")
	flag.Parse()
	bin, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	tofu, err := filepath.Abs(*engine)
	if err != nil {
		return err
	}
	switch *only {
	case "":
	case "plans":
		return plans(bin, tofu, *planned)
	case "local":
		return local(bin, *acme)
	case "proxy":
		return dataPlane(*proxy)
	case "scaling":
		return scaling(bin, *acme, *plots)
	case "rotation":
		return rotation(bin, *acme)
	default:
		return fmt.Errorf("no section %q", *only)
	}
	dir, err := os.MkdirTemp("", "strata-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(os.Stderr, "bench: writing %d workloads × 4 environments\n", *n)
	if err := synthesize(dir, *n); err != nil {
		return err
	}
	var table []sample
	var bounds []baseline
	least := func(b baseline, err error) error {
		bounds = append(bounds, b)
		return err
	}
	step := func(what string, args ...string) error {
		fmt.Fprintln(os.Stderr, "bench:", what)
		s, err := measure(what, bin, args...)
		if err != nil {
			return err
		}
		table = append(table, s)
		return nil
	}
	changed := filepath.Join(dir, "workloads", fmt.Sprintf("svc-%05d", *n/2), "score.yaml")
	for _, f := range []func() error{
		func() error { return step("check acme, all policies", "-C", *acme, "check", "-o", "json") },
		func() error { return least(parseAll(dir)) },
		func() error {
			return step("check synthetic, all policies, 4 environments", "-C", dir, "check", "-o", "json")
		},
		func() error { return step("build prod, from nothing", "-C", dir, "build", "prod", "-o", "json") },
		func() error { return least(copyAll(filepath.Join(dir, "out", "prod"))) },
		func() error {
			return least(statAll(filepath.Join(dir, "workloads"), filepath.Join(dir, "out", "prod")))
		},
		func() error { return step("build prod, nothing changed", "-C", dir, "build", "prod", "-o", "json") },
		func() error {
			src, err := os.ReadFile(changed)
			if err != nil {
				return err
			}
			src = bytes.Replace(src, []byte("LOG_LEVEL: info"), []byte("LOG_LEVEL: debug"), 1)
			if err := os.WriteFile(changed, src, 0o644); err != nil {
				return err
			}
			return step("build prod, one workload changed", "-C", dir, "build", "prod", "-o", "json")
		},
	} {
		if err := f(); err != nil {
			return err
		}
	}
	print(table, bounds, *n)
	if err := plans(bin, tofu, *planned); err != nil {
		return err
	}
	if err := dataPlane(*proxy); err != nil {
		return err
	}
	return local(bin, *acme)
}

// measure runs the binary and returns what the kernel says of it.
func measure(what, bin string, args ...string) (sample, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	s := sample{what: what, wall: time.Since(start)}
	if err != nil && cmd.ProcessState == nil {
		return s, err
	}
	s.code = cmd.ProcessState.ExitCode()
	if s.code == 1 {
		return s, fmt.Errorf("%s failed: %s%s", what, stderr.String(), firstBytes(stdout.Bytes(), 2000))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	s.peak = usage.Maxrss * 1024
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	var doc struct {
		Objects int `json:"objects"`
		Files   int `json:"files"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		return s, fmt.Errorf("%s: read its JSON: %w", what, err)
	}
	s.objects = doc.Objects + doc.Files
	return s, nil
}

func firstBytes(b []byte, n int) []byte { return b[:min(n, len(b))] }

// boundOf says which baseline each row is compared with, by position.
var boundOf = map[int]int{1: 0, 2: 1, 3: 2, 4: 2}

func print(table []sample, bounds []baseline, n int) {
	fmt.Println("# Benchmarks")
	fmt.Println("\n<!-- Generated by make bench. -->")
	fmt.Printf("\n%s, %s, %d cores, %s/%s, %d workloads in four environments. Command: `make bench`.\n\n", time.Now().UTC().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, n)
	fmt.Println("| what | wall | CPU | peak memory | objects or files | per second | × bound |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for i, s := range table {
		rate, ratio := "-", "-"
		if s.objects > 0 {
			rate = fmt.Sprintf("%.0f", float64(s.objects)/s.wall.Seconds())
		}
		if b, ok := boundOf[i]; ok {
			ratio = fmt.Sprintf("%.1f", s.wall.Seconds()/bounds[b].wall.Seconds())
		}
		fmt.Printf("| %s | %.2f s | %.2f s | %d MiB | %d | %s | %s |\n", s.what, s.wall.Seconds(), s.cpu.Seconds(), s.peak>>20, s.objects, rate, ratio)
	}
	fmt.Println("\nThe bound is the part that no program can do without, measured in the same run:")
	fmt.Println()
	for _, b := range bounds {
		fmt.Printf("- %s: %.2f s\n", b.what, b.wall.Seconds())
	}
	fmt.Print(notes)
}

// notes say what the figures mean. They hold no figures of their own.
const notes = `
What bounds them, from CPU profiles of these runs:

- check: judging is the largest part, and most of that is projecting objects on what rules read, not
  OPA; then parsing YAML, garbage collection, and rendering the objects. Judged objects are dropped at
  once, so memory is the model and two compiled environments at a time.
- build from nothing: making files and folders in the kernel, then rendering and JSON.
- build with little or no change: reading and hashing the workloads' files, validating all of them,
  compiling the graph and its digests. Rendering is skipped for units whose digest is the same.
`

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimLeft(name, "\t :")
		}
	}
	return "unknown CPU"
}
