package e2e

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInterrupt presses Ctrl-C while resources are being created: what is under way
// comes to an end, nothing runs on, the lock is free, and the next apply goes on.
func TestInterrupt(t *testing.T) {
	bin := tools(t)
	_, want := uninterrupted(t, bin)
	w := newWorld(t, bin, "testdata/repo")
	cmd := w.command("apply", "dev", "--offline", "--yes", "--stand-in=--fault=type=aws_vpc,op=create,do=sleep:3s")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The VPC takes three seconds: it is being created once the state unit is there.
	for deadline := time.Now().Add(3 * time.Minute); files(t, w.offline("work"), ".json")["dev/stacks/network/.strata-pending.json"] == ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the VPC is not being created")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if err == nil || cmd.ProcessState.ExitCode() == 0 {
		t.Errorf("an apply that was interrupted succeeds:\n%s", out.String())
	}
	for _, says := range []string{"dev/network", "(cancelled)", "goes on where it stopped"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), says) {
			t.Errorf("does not say %q:\n%s", says, out.String())
		}
	}
	if left := processesIn(w.dir); len(left) > 0 {
		t.Errorf("these run on: %v", left)
	}
	if out := w.must(0, "unlock", "dev", "--offline"); !strings.Contains(out, "is not locked") {
		t.Errorf("the lock is left:\n%s", out)
	}
	w.recovered(want)
}

// processesIn lists the processes that work in a folder.
func processesIn(dir string) []string {
	var out []string
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if cwd, err := os.Readlink("/proc/" + e.Name() + "/cwd"); err == nil && strings.HasPrefix(cwd, dir) {
			out = append(out, e.Name()+" "+cwd)
		}
	}
	return out
}
