package tofu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hold takes the lock of a unit's folder, and waits until no tofu that outlived its
// Strata is at work there any more; it says so once through note.
//
// The lock alone would not do. The process cannot inherit it, because its
// providers would too, and those outlive a tofu that is killed. Between fork and
// exec a child still has the lock, and from then on /proc shows it.
func hold(ctx context.Context, dir string, note func(string)) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".strata.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && !atWork(dir) {
			return f, nil
		}
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		if !told {
			told = true
			note("an OpenTofu process is still at work here; waiting for it to end")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// atWork reports whether a tofu or terraform process runs in dir.
func atWork(dir string) bool { return len(workers(dir)) > 0 }

// workers returns the ids of the tofu and terraform processes that run in dir.
func workers(dir string) []int {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	procs, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	var out []int
	for _, p := range procs {
		if cwd, err := os.Readlink(p); err != nil || cwd != dir {
			continue
		}
		proc := filepath.Dir(p)
		exe, err := os.Readlink(filepath.Join(proc, "exe"))
		base := filepath.Base(exe)
		if err != nil || (!strings.HasPrefix(base, "tofu") && !strings.HasPrefix(base, "terraform")) || strings.HasPrefix(base, "terraform-provider") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil {
			out = append(out, pid)
		}
	}
	return out
}
