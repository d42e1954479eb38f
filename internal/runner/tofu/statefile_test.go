package tofu

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/engine"
)

// TestKilledWhileWriting kills OpenTofu while the file of its state is empty. The state is
// large, so that it takes long enough to write to find that moment.
func TestKilledWhileWriting(t *testing.T) {
	ctx := context.Background()
	r, task, state := realRunner(t)
	module := func(value string) {
		t.Helper()
		m := strings.Replace(testModule, "planted-password-in-a-state", strings.Repeat(value, 1<<16), 1)
		if err := os.WriteFile(filepath.Join(r.dir(task.Unit.Addr), "m", "main.tf.json"), []byte(m), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	module("one ")
	p, err := r.Plan(ctx, task)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(ctx, task, p.Saved); err != nil {
		t.Fatal(err)
	}
	var whole []byte
	for killed, tries := false, 0; !killed; tries++ {
		if tries == 100 {
			t.Fatal("never found OpenTofu while its state was empty")
		}
		// Another value than the last, in case the moment was missed.
		module(rand.Text()[:4])
		if whole, err = os.ReadFile(state); err != nil {
			t.Fatal(err)
		}
		if p, err = r.Plan(ctx, task); err != nil {
			t.Fatal(err)
		}
		ended, done := make(chan struct{}), make(chan bool, 1)
		go func() { done <- killWhenEmpty(state, r.dir(task.Unit.Addr), ended) }()
		_, err = r.Apply(ctx, task, p.Saved)
		close(ended)
		killed = <-done
		now, err := os.ReadFile(state)
		if err != nil || !json.Valid(now) {
			t.Fatalf("%d bytes of state that are none, after the %d of before: %v", len(now), len(whole), err)
		}
		if string(now) != string(whole) {
			killed = false // it was quicker than the signal
		}
	}
	var f *engine.Failure
	if !errors.As(err, &f) {
		t.Fatalf("a killed apply: %v", err)
	}
	if _, err := r.Recover(ctx, task); err != nil {
		t.Fatal(err)
	}
	p, err = r.Plan(ctx, task)
	if err != nil || p.Counts.Create != 0 || p.Counts.Update != 1 {
		t.Fatalf("%+v %v", p, err)
	}
	if _, err := r.Apply(ctx, task, p.Saved); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state + kept); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is left: %v", err)
	}
}

// killWhenEmpty kills the OpenTofu that works in dir as soon as the file of its state is
// empty. It reports whether it did before ended.
func killWhenEmpty(state, dir string, ended <-chan struct{}) bool {
	// Looking for it takes longer than the file is empty, so that has to come first; one that
	// was found may be of a command before.
	var pids []int
	var looked time.Time
	for {
		select {
		case <-ended:
			return false
		default:
		}
		if info, err := os.Stat(state); err != nil || info.Size() > 0 {
			if len(pids) == 0 || time.Since(looked) > 200*time.Millisecond {
				pids, looked = workers(dir), time.Now()
			}
			time.Sleep(20 * time.Microsecond)
			continue
		}
		for _, pid := range pids {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				return true
			}
		}
		pids = workers(dir)
	}
}

// TestMend tells a state that is whole from one that is not.
func TestMend(t *testing.T) {
	const absent = "\x00"
	for name, c := range map[string]struct{ copy, state, want string }{
		"nothing under way":      {absent, `{"serial":1}`, `{"serial":1}`},
		"empty, nothing known":   {absent, ``, ``},
		"written":                {`{"serial":1}`, `{"serial":2}`, `{"serial":2}`},
		"emptied":                {`{"serial":1}`, ``, `{"serial":1}`},
		"half of it":             {`{"serial":1}`, `{"serial":2,"resou`, `{"serial":1}`},
		"gone":                   {`{"serial":1}`, absent, `{"serial":1}`},
		"the first":              {``, `{"serial":2}`, `{"serial":2}`},
		"the first, emptied":     {``, ``, absent},
		"the first, half of it":  {``, `{"ser`, absent},
		"the first, not written": {``, absent, absent},
	} {
		t.Run(name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "unit.tfstate")
			for file, content := range map[string]string{state: c.state, state + kept: c.copy} {
				if content == absent {
					continue
				}
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := mend(state); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(state)
			if errors.Is(err, fs.ErrNotExist) {
				got = []byte(absent)
			} else if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if _, err := os.Stat(state + kept); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the copy is left: %v", err)
			}
		})
	}
}
