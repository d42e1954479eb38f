package tofu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// command is one run of tofu.
type command struct {
	dir  string
	args []string
	// in is its standard input.
	in []byte
	// log is the file that takes standard output, which is JSON lines; empty
	// keeps it in memory, where it may hold what no file may.
	log string
	// limit is how long it may take.
	limit time.Duration
	// grace is how long it may take to stop when asked to; a process that
	// changes things gets long.
	grace time.Duration
	// line takes each line of the log as it is written.
	line func([]byte)
}

// result is how a command ended.
type result struct {
	code   int
	signal syscall.Signal // the signal that killed it, or 0
	out    []byte         // standard output, when there is no log
	err    []byte         // the end of standard error
	late   bool           // it took too long and was stopped
}

// maxStderr bounds what is kept of standard error.
const maxStderr = 64 << 10

// poll is how often the log is looked at while a process runs. A file instead of
// a pipe lets the process outlive Strata: nobody needs to read for it to go on.
const poll = 40 * time.Millisecond

// run starts tofu and waits for its end. When ctx ends the process is asked to
// stop, as Ctrl-C would, and gets time to bring what it is at to an end.
func (r *Runner) run(ctx context.Context, c command) (result, error) {
	cmd := exec.Command(r.cfg.Binary, c.args...)
	cmd.Dir = c.dir
	cmd.Env = r.cfg.Env
	// A group of its own: a Ctrl-C in the terminal reaches Strata only, which
	// passes it on once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.in != nil {
		cmd.Stdin = bytes.NewReader(c.in)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := os.CreateTemp(c.dir, ".stderr-")
	if err != nil {
		return result{}, err
	}
	defer os.Remove(stderr.Name())
	defer stderr.Close()
	cmd.Stderr = stderr
	var log *os.File
	if c.log != "" {
		if log, err = os.OpenFile(c.log, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600); err != nil {
			return result{}, err
		}
		defer log.Close()
		if err := reserve(log); err != nil {
			return result{}, fmt.Errorf("reserve room for %s: %w", c.log, err)
		}
		cmd.Stdout = log
	}
	if err := cmd.Start(); err != nil {
		return result{}, fmt.Errorf("start %s: %w", filepath.Base(r.cfg.Binary), err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	var res result
	var t tail
	if log != nil && c.line != nil {
		t = tail{file: c.log, line: c.line}
	}
	limit := time.NewTimer(c.limit)
	defer limit.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	stop, kill := ctx.Done(), (<-chan time.Time)(nil)
	for waiting := true; waiting; {
		select {
		case err = <-ended:
			waiting = false
		case <-tick.C:
			t.read()
		case <-stop:
			stop = nil
			_ = cmd.Process.Signal(os.Interrupt)
			kill = time.After(c.grace)
		case <-limit.C:
			res.late = true
			_ = cmd.Process.Signal(os.Interrupt)
			kill = time.After(min(c.grace, 30*time.Second))
		case <-kill:
			// The whole group: providers of a tofu that does not stop hang too.
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	t.read()
	if res.late {
		// A provider that hangs outlives a tofu that gave up on it.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	res.out, res.err = out.Bytes(), end(stderr)
	if log != nil {
		release(log)
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		res.code = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			res.signal = ws.Signal()
		}
	default:
		return res, fmt.Errorf("run %s: %w", filepath.Base(r.cfg.Binary), err)
	}
	return res, nil
}

// room is what a log gets beforehand: the lines of a thousand changes fit.
const room = 1 << 20

// reserve takes the room for a log from the disk. The log is all that tells of an object
// whose creation began, so it must have its lines when others fill the disk meanwhile, and
// a disk without that room must stop an apply before it begins.
func reserve(log *os.File) error {
	for {
		switch err := unix.Fallocate(int(log.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, room); {
		case errors.Is(err, unix.EINTR): // the Go runtime signals its own threads
		case errors.Is(err, unix.EOPNOTSUPP):
			return nil // a file system that reserves nothing
		default:
			return err
		}
	}
}

// release gives back what a log did not need. Room that could not be given back goes with
// the log.
func release(log *os.File) {
	if info, err := log.Stat(); err == nil {
		_ = log.Truncate(info.Size())
	}
}

// end returns the last part of a file.
func end(f *os.File) []byte {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	b := make([]byte, min(info.Size(), maxStderr))
	n, err := f.ReadAt(b, info.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b[:n]
}

// tail hands on the lines of a file that grows.
type tail struct {
	file string
	line func([]byte)
	at   int64
}

func (t *tail) read() {
	if t.line == nil {
		return
	}
	f, err := os.Open(t.file)
	if err != nil {
		return
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, t.at, 64<<20))
	if err != nil {
		return
	}
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return
		}
		t.line(b[:i])
		b = b[i+1:]
		t.at += int64(i) + 1
	}
}
