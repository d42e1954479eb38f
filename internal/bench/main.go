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
	flag.Parse()
	bin, err := filepath.Abs(*binary)
	if err != nil {
		return err
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
		func() error {
			return step("check synthetic, all policies, 4 environments", "-C", dir, "check", "-o", "json")
		},
		func() error { return step("build prod, from nothing", "-C", dir, "build", "prod", "-o", "json") },
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
	print(table, *n)
	return nil
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

func print(table []sample, n int) {
	fmt.Printf("%s, %s, %d cores, %s/%s, %d workloads. Command: make bench\n\n", time.Now().UTC().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, n)
	fmt.Println("| what | wall | CPU | peak memory | objects or files | per second | exit |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, s := range table {
		rate := "-"
		if s.objects > 0 {
			rate = fmt.Sprintf("%.0f", float64(s.objects)/s.wall.Seconds())
		}
		fmt.Printf("| %s | %.2f s | %.2f s | %d MiB | %d | %s | %d |\n", s.what, s.wall.Seconds(), s.cpu.Seconds(), s.peak>>20, s.objects, rate, s.code)
	}
}

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
