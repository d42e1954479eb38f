package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
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

// At how many moments an apply is killed: while it plans, and while it makes things; and
// how often one apply and what goes on with it is, at most.
const (
	early   = 10
	making  = 42
	inARow  = 3
	atLeast = 50
)

// moment is when a program is killed: once so many things are there, after a pause.
type moment struct {
	made  int
	pause time.Duration
}

// TestKillStrata kills the program at moments spread over an apply, and wants the next
// apply to end where an uninterrupted one does: nothing twice, nothing forgotten, the
// journal whole. The next apply of some is killed as well, further on, up to three times
// in a row. The early kills come after parts of the time that planning takes, the others
// when so and so many objects are there, and sometimes a little later, when their state
// may be written or not.
func TestKillStrata(t *testing.T) {
	bin := tools(t)
	took, want := uninterrupted(t, bin)
	all := want.made()
	var rows [][]moment
	for i := range early / 2 {
		rows = append(rows, []moment{{0, took / 2 * time.Duration(i) / early}, {0, took / 2 * time.Duration(i+early/2) / early}})
	}
	for i := range making / inARow {
		var row []moment
		for j := i; j < making; j += making / inARow {
			row = append(row, moment{1 + j*(all-1)/(making-1), time.Duration(j%4) * 20 * time.Millisecond})
		}
		rows = append(rows, row)
	}
	kills := 0
	var missed []moment
	for i, row := range rows {
		t.Run(fmt.Sprintf("%02d %v of %d", i, row, all), func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			for j, m := range row {
				if !w.kill(m) {
					// It had ended already, and there is nothing left to kill.
					missed = append(missed, row[j:]...)
					break
				}
				kills++
			}
			w.recovered(want)
		})
	}
	for _, m := range missed {
		t.Run(fmt.Sprintf("%v of %d", m, all), func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			for !w.kill(m) {
				w, m = newWorld(t, bin, "testdata/repo"), moment{max(m.made-1, 0), m.pause / 2}
			}
			kills++
			w.recovered(want)
		})
	}
	if kills < atLeast {
		t.Errorf("%d kills; want %d at least", kills, atLeast)
	}
}

// made counts what is there: objects of the cloud and units of the cluster.
func (w *world) made() int {
	n := 0
	for _, dir := range []string{"cloud", "cluster"} {
		_ = filepath.WalkDir(w.offline(dir), func(p string, _ os.DirEntry, err error) error {
			if err == nil && filepath.Ext(p) == ".json" {
				n++
			}
			return nil // a folder may go while it is looked at
		})
	}
	return n
}

// started is an apply under way.
type started struct {
	cmd   *exec.Cmd
	out   bytes.Buffer
	ended chan struct{}
}

// start applies and returns when so many things are there, or when that has ended.
func (w *world) start(made int) *started {
	w.t.Helper()
	s := &started{cmd: w.command("apply", "dev", "--offline", "--yes"), ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in its ProcessState
		close(s.ended)
	}()
	for w.made() < made {
		select {
		case <-s.ended:
			return s
		case <-time.After(3 * time.Millisecond):
		}
	}
	return s
}

// kill applies and kills the program at a moment. It reports whether it was still at work.
func (w *world) kill(m moment) bool {
	w.t.Helper()
	s := w.start(m.made)
	time.Sleep(m.pause)
	_ = s.cmd.Process.Kill()
	<-s.ended
	return !s.cmd.ProcessState.Exited()
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
	_, want := uninterrupted(t, bin)
	all := want.made()
	const times, rows = 10, 5
	killed := 0
	for i := range rows {
		t.Run(fmt.Sprintf("%02d of %d", i, all), func(t *testing.T) {
			w := newWorld(t, bin, "testdata/repo")
			for j := i; j < times; j += rows {
				made := j * (all - 1) / times
				out, ok := w.killTofu(made)
				for !ok {
					w, made = newWorld(t, bin, "testdata/repo"), max(made-1, 0)
					out, ok = w.killTofu(made)
				}
				killed++
				if !strings.Contains(out, "killed") || !strings.Contains(out, "Next:") {
					t.Errorf("does not say what happened:\n%s", out)
				}
			}
			w.recovered(want)
		})
	}
	if killed != times {
		t.Errorf("%d kills; want %d", killed, times)
	}
}

// killTofu applies and kills the OpenTofu processes that are at work when so many
// things are there. It reports whether there were any.
func (w *world) killTofu(made int) (out string, killed bool) {
	w.t.Helper()
	s := w.start(made)
	for n := 0; n == 0; {
		select {
		case <-s.ended:
			return s.out.String(), false
		case <-time.After(2 * time.Millisecond):
			n = killChildren(s.cmd.Process.Pid, "tofu")
		}
	}
	<-s.ended
	return s.out.String(), !s.cmd.ProcessState.Success()
}

// killChildren kills the children of a process whose program has a name, and returns
// how many there were.
func killChildren(parent int, name string) int {
	n := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(s)))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(parent) && bytes.Contains(b, []byte("("+name+")")) && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
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
