package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// idle is how long the environment is left alone before its memory is read.
const idle = 30 * time.Second

// local measures the example as it runs on this machine, and prints a section. Without
// root it says why there is none.
func local(strata, acme string) error {
	fmt.Print("\n## The local environment\n\n")
	if os.Geteuid() != 0 {
		fmt.Println("Not measured: a node needs root.")
		return nil
	}
	return withExample(strata, acme, (*localBench).measure)
}

// withExample calls f with a copy of the example, in a folder that is removed afterwards
// with whatever ran in it.
func withExample(strata, acme string, f func(b *localBench, dir string) error) (err error) {
	dir, err := os.MkdirTemp("/tmp", "sb")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	repo := filepath.Join(dir, "acme")
	if err := os.CopyFS(repo, os.DirFS(acme)); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(repo, ".strata")); err != nil {
		return err
	}
	b := &localBench{strata: strata, repo: repo, nodes: filepath.Join(dir, "n")}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	b.env = append(os.Environ(), "STRATA_NODES="+b.nodes, "GOCACHE="+strings.TrimSpace(string(goCache)))
	defer func() { err = errors.Join(err, b.run("down", "--purge", "--yes")) }()
	return f(b, dir)
}

// localBench runs commands on a copy of the example.
type localBench struct {
	strata, repo, nodes string
	env                 []string
}

func (b *localBench) measure(dir string) error {
	fmt.Printf("%s, %s, %d cores. examples/acme on a node of its own; the engines are built. Command: `make bench`, or this section alone with\n"+
		"`go run ./internal/bench -only local`.\n\n| what | wall |\n| --- | ---: |\n", time.Now().Format(time.DateOnly), cpuModel(), runtime.NumCPU())
	purge := []string{"down", "--purge", "--yes"}
	images := filepath.Join(dir, "cache")
	for _, s := range []struct {
		what string
		env  string
		f    func() error
		args []string
	}{
		{"up, from nothing, with no image built (what Go has compiled stays)", "XDG_CACHE_HOME=" + images, nil, []string{"up"}},
		{"down --purge", "", nil, purge},
		{"up, from nothing, images built", "XDG_CACHE_HOME=" + images, nil, []string{"up"}},
		{"up, nothing changed", "XDG_CACHE_HOME=" + images, nil, []string{"up"}},
		{"up, one workload's configuration changed", "XDG_CACHE_HOME=" + images, b.change, []string{"up"}},
		{"down", "", nil, []string{"down"}},
		{"up after down, data intact", "XDG_CACHE_HOME=" + images, nil, []string{"up"}},
	} {
		fmt.Fprintln(os.Stderr, "bench:", s.what)
		if s.f != nil {
			if err := s.f(); err != nil {
				return err
			}
		}
		began := time.Now()
		if err := b.runWith(s.env, s.args...); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		fmt.Printf("| %s | %.1f s |\n", s.what, time.Since(began).Seconds())
	}
	fmt.Fprintln(os.Stderr, "bench: idle memory")
	time.Sleep(idle)
	return b.memory()
}

// change edits the configuration of the shop's page.
func (b *localBench) change() error {
	file := filepath.Join(b.repo, "workloads", "storefront", "score.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed := bytes.Replace(text, []byte("{amount} EUR"), []byte("{amount} Euro"), 1)
	if bytes.Equal(changed, text) {
		return fmt.Errorf("%s does not have what is to be changed", file)
	}
	return os.WriteFile(file, changed, 0o644)
}

// memory prints what each component has, as the share of pages that is its own (PSS).
func (b *localBench) memory() error {
	var out bytes.Buffer
	cmd := b.command("", "top", "--components", "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	var doc struct {
		Rows []struct {
			Name  string `json:"name"`
			Count int    `json:"count"`
			OfPod bool   `json:"ofPod"`
			Uses  struct {
				Memory int64 `json:"memory"`
			} `json:"uses"`
		} `json:"rows"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		return err
	}
	fmt.Printf("\nMemory after %.0f s without requests, as proportional set size:\n\n| component | processes | memory |\n| --- | ---: | ---: |\n", idle.Seconds())
	var total int64
	for _, r := range doc.Rows {
		total += r.Uses.Memory
		fmt.Printf("| %s | %d | %d MiB |\n", r.Name, r.Count, r.Uses.Memory>>20)
	}
	fmt.Printf("| **all** | | **%d MiB** |\n", total>>20)
	return nil
}

func (b *localBench) command(env string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.strata, append([]string{"-C", b.repo}, args...)...)
	cmd.Env = b.env
	if env != "" {
		cmd.Env = append(append([]string{}, b.env...), env)
	}
	return cmd
}

func (b *localBench) run(args ...string) error { return b.runWith("", args...) }

func (b *localBench) runWith(env string, args ...string) error {
	var out bytes.Buffer
	cmd := b.command(env, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("strata %s: %w:\n%s", strings.Join(args, " "), err, out.String())
	}
	return nil
}
