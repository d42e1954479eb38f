package conformance

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/node"
)

// inside is set in the environment of the process that runs the suite.
const inside = "STRATA_CONFORMANCE_INSIDE"

var (
	report  = flag.String("strata.report", "", "file to write the report to")
	only    = flag.String("strata.test", "", "the only test to run: a short name of the suite's, TestRoutePolicy or TestRollout")
	version = flag.String("strata.version", "unknown", "version of Strata in the report")
	keep    = flag.Bool("strata.keep", false, "leave the node running")
)

// TestConformance starts a node with our gateways and runs the suite (TestSuite), and what
// the suite does not ask for (TestRoutePolicy, TestRollout), in the node's network, where the
// gateways' addresses are.
func TestConformance(t *testing.T) {
	if os.Getenv(inside) != "" {
		t.Skip("runs the suite, which this is")
	}
	c := start(t)
	images(t, c)
	install(t, c)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--net=/proc/" + strconv.Itoa(initProcess(t, c)) + "/ns/net", "--", self, "-test.run=^(TestSuite|TestRoutePolicy|TestRollout)$", "-test.v", "-test.timeout=0"}
	flag.Visit(func(f *flag.Flag) {
		if strings.HasPrefix(f.Name, "strata.") {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	cmd := exec.CommandContext(t.Context(), "nsenter", args...)
	cmd.Env = append(os.Environ(), inside+"=yes", "KUBECONFIG="+kubeconfig(t, c))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("the suite: %v", err)
	}
}

// start starts a node of its own; it is removed when the test ends.
func start(t *testing.T) node.Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces and mounts; CI runs as root")
	}
	if testing.Short() {
		t.Skip("runs for minutes, which is longer than -short allows")
	}
	programs := bin(t)
	kube, program := filepath.Join(programs, "strata-kube"), filepath.Join(programs, "strata")
	if _, err := os.Stat(kube); err != nil {
		t.Skip("needs Kubernetes: make engines")
	}
	if err := node.Check(); err != nil {
		t.Skipf("needs what nodes need: %v", err)
	}
	if os.Getenv("STRATA_NODES") == "" {
		dir, err := os.MkdirTemp("", "sn")
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("STRATA_NODES", filepath.Join(dir, "n"))
		t.Cleanup(func() {
			if !*keep {
				os.RemoveAll(dir)
			}
		})
	}
	t.Cleanup(func() {
		if *keep {
			t.Logf("the node is left in %s", node.Root())
			return
		}
		if err := node.Purge(context.WithoutCancel(t.Context()), filepath.Join(node.Root(), "conformance")); err != nil {
			t.Errorf("purge: %v", err)
		}
	})
	c, err := node.Start(t.Context(), node.Options{Name: "conformance", Owner: "/conformance", Kube: kube, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bin is the folder of the programs.
func bin(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../bin")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// initProcess finds process 1 of a node: the one that the keeper has started.
func initProcess(t *testing.T, c node.Config) int {
	t.Helper()
	keeper := node.Keeper(c.Dir)
	if keeper == 0 {
		t.Fatal("the node does not run")
	}
	var all []string
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(keeper) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if b, err := os.ReadFile(task); err == nil {
			all = append(all, strings.Fields(string(b))...)
		}
	}
	if len(all) != 1 {
		t.Fatalf("the keeper %d has the children %v instead of one", keeper, all)
	}
	pid, err := strconv.Atoi(all[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
