package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrRunning says that the node runs already.
var ErrRunning = errors.New("the node runs already")

// The lock is one of an open file: it ends with its holder, and others can ask for it
// without taking it for a moment themselves.
func flock(kind int16) *unix.Flock_t { return &unix.Flock_t{Type: kind} }

// lock takes the node's lock and writes this process's id into it.
func (c Config) lock() (*os.File, error) {
	f, err := os.OpenFile(c.path("node.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, flock(unix.F_WRLCK)); err != nil {
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("%s: %w", c.Name, ErrRunning)
		}
		return nil, err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Running reports whether the node in dir has a keeper.
func Running(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "node.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	l := flock(unix.F_WRLCK)
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, l) == nil && l.Type != unix.F_UNLCK
}

// Ready reports whether the node in dir runs and can run pods.
func Ready(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "run", "ready"))
	return err == nil && Running(dir)
}

// Keeper returns the process id of the keeper of the node in dir; 0 where none runs.
func Keeper(dir string) int {
	if !Running(dir) {
		return 0
	}
	b, err := os.ReadFile(filepath.Join(dir, "node.lock"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// The keeper remembers its init process as "PID STARTED" in this file, so that the next
// one, should it be killed, can wait for the kernel to have ended everything.
func (c Config) initFile() string { return c.path("run", "init") }

func (c Config) remember(pid int) error {
	return write(c.initFile(), fmt.Appendf(nil, "%d %s\n", pid, started(pid)), 0o600)
}

// settle ends the init process that a killed keeper left, and waits until it is gone:
// the kernel lets it go when all processes of the node are.
func (c Config) settle(ctx context.Context) error {
	b, err := os.ReadFile(c.initFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var pid int
	var since string
	if _, err := fmt.Sscan(string(b), &pid, &since); err != nil || pid <= 1 {
		return nil // written by half: the init process ended before it had started anything
	}
	return poll(ctx, func() bool {
		if started(pid) != since {
			return true
		}
		_ = unix.Kill(pid, unix.SIGKILL)
		return false
	})
}

// started says when a process started, in the kernel's words; empty when it is gone.
func started(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name before may hold anything; the state is the third field, the time the 22nd.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[19]
}
