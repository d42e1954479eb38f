package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// probeTimeout is how long a server may take to answer a probe.
	probeTimeout = 4 * time.Second
	// watchInterval is how often mounted files are compared with what they were. The
	// kubelet takes a minute to change them.
	watchInterval = 10 * time.Second
)

// service is a server that can be prepared, started and asked.
type service interface {
	// prepare makes what the server needs before it starts, and says how it is started.
	prepare(ctx context.Context, c *config) (process, error)
	// provision makes true what the environment says of the running server. It is called
	// again while it returns errWait.
	provision(ctx context.Context, c *config) error
	// answers succeeds when the server serves.
	answers(ctx context.Context, c *config) error
}

// errWait says that the server cannot be asked yet.
var errWait = errors.New("the server does not answer yet")

// process is how a server is started and stopped.
type process struct {
	argv []string
	env  []string
	// helper is a program that the server talks to; it is ended after the server.
	helper []string
	stop   syscall.Signal // what makes it let go of clients and end in order
}

// supervise runs a service until it ends or ctx does, and returns the exit code.
func supervise(ctx context.Context, s service, c *config, log *slog.Logger) (int, error) {
	unlock, err := c.lock()
	if err != nil {
		return 1, err
	}
	defer unlock()
	if err := c.clear(); err != nil {
		return 1, err
	}
	if !c.tls {
		log.Warn("there is no certificate, so this server speaks plain text", "expected", c.cert())
	}
	p, err := s.prepare(ctx, c)
	if err != nil {
		return 1, fmt.Errorf("prepare %s: %w", c.service, err)
	}
	if p.helper != nil {
		helper, err := p.start(p.helper)
		if err != nil {
			return 1, err
		}
		defer func() { _ = errors.Join(helper.Process.Kill(), helper.Wait()) }()
	}
	cmd, err := p.start(p.argv)
	if err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	provisioned := make(chan error, 1)
	setup, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { provisioned <- provision(setup, s, c) }()

	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var cause error
	code := 0
	for stopping := false; !stopping; {
		select {
		case err := <-ended:
			return exitCode(err), fmt.Errorf("%s ended by itself: %w", c.service, unexpected(err))
		case err := <-provisioned:
			if err == nil {
				err = os.WriteFile(c.ready(), []byte(c.service), 0o600)
			}
			if err == nil {
				log.Info("ready", "service", c.service)
				continue
			}
			if ctx.Err() == nil {
				cause, code = fmt.Errorf("set %s up: %w", c.service, err), 1
			}
			stopping = true
		case <-tick.C:
			if !bytes.Equal(c.seen, c.fingerprint()) {
				log.Info("the certificate or the password has changed: ending, so that a restart takes it")
				stopping = true
			}
		case <-ctx.Done():
			stopping = true
		}
	}
	cancel()
	_ = os.Remove(c.ready())
	log.Info("stopping", "service", c.service)
	if err := cmd.Process.Signal(p.stop); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 1, errors.Join(cause, err)
	}
	if err := <-ended; err != nil && !signalled(err, p.stop) {
		return exitCode(err), errors.Join(cause, fmt.Errorf("%s was stopped: %w", c.service, err))
	}
	return code, cause
}

// start starts a program with the server's environment.
func (p process) start(argv []string) (*exec.Cmd, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd, cmd.Start()
}

// provision sets the server up as soon as it can be asked.
func provision(ctx context.Context, s service, c *config) error {
	for {
		err := s.provision(ctx, c)
		if !errors.Is(err, errWait) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unexpected names the end of a server that ended with success: that is unexpected too.
func unexpected(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	return 1
}

// signalled says whether a process ended by the signal that was to end it. Some servers
// exit with 128 and the signal's number instead.
func signalled(err error, s syscall.Signal) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == s || status.ExitStatus() == 128+int(s))
}

// fingerprint changes when a mounted file does.
func (p places) fingerprint() []byte {
	h := sha256.New()
	for _, file := range []string{p.passwordFile(), p.cert(), p.key()} {
		b, err := os.ReadFile(file)
		fmt.Fprintln(h, len(b), err == nil)
		h.Write(b)
	}
	return h.Sum(nil)
}

// clear empties the folder of sockets and locks, which outlives the container: the ids of
// processes start again in the next one, so that a lock of a killed server soon names a
// living process.
func (c *config) clear() error {
	left, err := os.ReadDir(c.run)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(c.run, e.Name())))
	}
	return err
}

// lock makes sure that no other server works on the volume. It ends with the process,
// however that ends, so files that a killed server left behind say nothing.
func (c *config) lock() (func(), error) {
	if c.service == "kafka" {
		if _, err := os.Stat(c.data); errors.Is(err, fs.ErrNotExist) {
			return func() {}, nil
		}
	}
	f, err := os.OpenFile(filepath.Join(c.data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the volume at %s cannot be written by user %d: %w", c.data, os.Getuid(), err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another server works on the volume at %s: %w", c.data, errors.Join(err, f.Close()))
	}
	return func() { f.Close() }, nil
}

// command runs a program and returns what it wrote; the error has its last words.
func command(ctx context.Context, stdin string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if stdin != "" {
		cmd.Stdin = bytes.NewBufferString(stdin)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		const most = 4000
		text := bytes.TrimSpace(out)
		err = fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, text[max(0, len(text)-most):])
	}
	return string(out), err
}
