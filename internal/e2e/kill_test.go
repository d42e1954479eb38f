package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// uninterrupted applies the repository once and returns how long that took and what
// came of it.
func uninterrupted(t *testing.T, bin string) (time.Duration, *world) {
	t.Helper()
	w := newWorld(t, bin, "testdata/repo")
	start := time.Now()
	w.must(0, "apply", "dev", "--offline", "--yes")
	return time.Since(start), w
}

// points is at how many moments an apply is killed.
const points = 50

// TestKillStrata kills the program at moments spread over an apply, again and again
// on worlds of their own, and wants the next apply to end where an uninterrupted one
// does: nothing twice, nothing forgotten, the journal whole. When the kill comes does
// not matter for what is wanted.
func TestKillStrata(t *testing.T) {
	bin := tools(t)
	took, want := uninterrupted(t, bin)
	hit := 0
	for i := range points {
		at := took * time.Duration(i+1) / (points + 1)
		t.Run(fmt.Sprintf("%02d", i), func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			if w.kill(at, "apply", "dev", "--offline", "--yes") {
				hit++
			}
			w.recovered(want)
		})
	}
	if hit < points/2 {
		t.Errorf("only %d of %d kills came before the end", hit, points)
	}
}

// kill starts the program and kills it after a while. It reports whether it was
// still at work.
func (w *world) kill(after time.Duration, args ...string) bool {
	w.t.Helper()
	cmd := w.command(args...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return !cmd.ProcessState.Exited()
}

// recovered applies again and compares with what an uninterrupted apply did.
func (w *world) recovered(want *world) {
	w.t.Helper()
	w.must(0, "apply", "dev", "--offline", "--yes")
	same(w.t, "the cloud", w.cloud(), want.cloud())
	same(w.t, "the cluster", w.cluster(), want.cluster())
	same(w.t, "the states", w.resources(), want.resources())
	w.must(0, "audit", "verify", "--offline")
	w.must(0, "plan", "dev", "--offline")
}

// TestKillTofu kills the OpenTofu processes of an apply instead: what they were
// creating is in the cloud and in no state.
func TestKillTofu(t *testing.T) {
	bin := tools(t)
	took, want := uninterrupted(t, bin)
	for i := range 6 {
		t.Run(fmt.Sprintf("%02d", i), func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			cmd := w.command("apply", "dev", "--offline", "--yes")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(took * time.Duration(i+1) / 7)
			killChildren(cmd.Process.Pid, "tofu")
			_ = cmd.Wait()
			w.recovered(want)
		})
	}
}

// killChildren kills the children of a process whose program has a name.
func killChildren(parent int, name string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(s)))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) && bytes.Contains(b, []byte("("+name+")")) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TestLostAnswers has the provider die right after it created something, so that
// nobody was told.
func TestLostAnswers(t *testing.T) {
	bin := tools(t)
	_, want := uninterrupted(t, bin)
	for _, typ := range []string{"aws_vpc", "aws_route_table_association", "aws_s3_bucket", "aws_nat_gateway", "aws_kms_key", "aws_route53_record"} {
		t.Run(typ, func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			code, out := w.run("apply", "dev", "--offline", "--yes", "--stand-in=--fault=type="+typ+",op=create,nth=1,do=lose")
			if code != 1 {
				t.Fatalf("exit code %d:\n%s", code, out)
			}
			w.recovered(want)
		})
	}
}

// TestTogether starts two applies at once: one of them does it, the other one says
// who that is.
func TestTogether(t *testing.T) {
	bin := tools(t)
	_, want := uninterrupted(t, bin)
	w := newWorld(t, bin, "testdata/repo")
	type end struct {
		code int
		out  string
	}
	ends := make(chan end, 2)
	for range 2 {
		go func() {
			code, out := w.run("apply", "dev", "--offline", "--yes")
			ends <- end{code, out}
		}()
	}
	won := 0
	for range 2 {
		e := <-ends
		switch {
		case e.code == 0:
			won++
		case !strings.Contains(e.out, "is locked by author@small.example"):
			t.Errorf("exit code %d:\n%s", e.code, e.out)
		}
	}
	if won == 0 {
		t.Error("nobody applied")
	}
	w.recovered(want)
}
