package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what node to start.
type Options struct {
	// Name is "<platform>-<environment>": a DNS label of at most MaxName characters.
	Name string
	// Owner is the folder of the repository that the node is for, as an absolute path.
	// A node that another one owns is not started.
	Owner string
	// Kube is the file of strata-kube, Program that of strata.
	Kube, Program string
	// Timeout is how long to wait until the node is ready; 0 means five minutes.
	Timeout time.Duration
	// CertificateLife is how long components' certificates hold; 0 means a week.
	CertificateLife time.Duration
}

// Start makes the node if there is none, starts it unless it runs, and returns when
// it can run pods. A node that is not ready in time is left running, so that its logs
// can be looked at; the error says where they are.
func Start(ctx context.Context, o Options) (Config, error) {
	c := Config{Name: o.Name, Dir: filepath.Join(Root(), o.Name), Link: -1}
	if err := c.fits(); err != nil {
		return c, err
	}
	have, err := Load(c.Dir)
	switch {
	case err == nil:
		c = have
	case !errors.Is(err, fs.ErrNotExist):
		return c, err
	}
	if c.Owner != "" && c.Owner != o.Owner {
		return c, fmt.Errorf("the node %s belongs to the repository %s: rename the platform or the environment in one of the two, or remove the other's node by `strata down --purge` there (without the repository: remove the folder %s when nothing runs in it)", c.Name, c.Owner, c.Dir)
	}
	if Running(c.Dir) {
		return c.wait(ctx, o.Timeout, nil)
	}
	for _, program := range []string{o.Kube, o.Program} {
		if _, err := os.Stat(program); err != nil {
			return c, fmt.Errorf("a node consists of two programs, one of which is not there (`make build engines` builds them): %w", err)
		}
	}
	if err := Check(); err != nil {
		return c, err
	}
	c.Owner, c.Kube, c.Program, c.CertificateLife = o.Owner, o.Kube, o.Program, o.CertificateLife
	// The keeper takes what it needs of the machine; this says before anything is changed
	// that it could not.
	trial := c
	taken, err := trial.claim(standard)
	if err != nil {
		return c, err
	}
	taken.close()
	if err := os.MkdirAll(c.Dir, 0o711); err != nil {
		return c, fmt.Errorf("make the node's folder: %w", err)
	}
	if err := c.save(); err != nil {
		return c, err
	}
	ended, err := c.launch()
	if err != nil {
		return c, err
	}
	return c.wait(ctx, o.Timeout, ended)
}

// launch starts the keeper, which outlives whoever starts it. The channel is closed when it
// ends before.
func (c Config) launch() (ended <-chan struct{}, err error) {
	// A killed keeper may have left word that it was ready.
	if err := os.RemoveAll(c.path("run", "ready")); err != nil {
		return nil, err
	}
	out, err := bounded(c.path("log", "keeper.log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(c.Program, "node", "run", "--dir", c.Dir)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = out, out, environment(), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // its log says why
	}()
	return gone, nil
}

// wait waits until the node is ready, and returns what it is then: the keeper chooses
// its link and ports. ended is closed when the keeper has ended; nil: somebody else started
// it, and all that shows is that it does not run any more.
func (c Config) wait(ctx context.Context, timeout time.Duration, ended <-chan struct{}) (Config, error) {
	if timeout <= 0 {
		timeout = 5 * time.Minute
	}
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	died := false
	err := poll(limit, func() bool {
		if Ready(c.Dir) {
			return true
		}
		if ended == nil {
			died = !Running(c.Dir)
			return died
		}
		select {
		case <-ended:
			died = true
		default:
		}
		return died
	})
	switch {
	case died:
		return c, fmt.Errorf("the node does not start: %s", lastLine(c.path("log", "keeper.log")))
	case ctx.Err() != nil:
		return c, ctx.Err()
	case err != nil:
		return c, fmt.Errorf("the node was not ready within %s; its components' logs are in %s; the last word of its init process: %s", timeout, c.path("log"), lastLine(c.path("log", "init.log")))
	}
	return Load(c.Dir)
}

func lastLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// Stop ends the node in dir and returns when nothing of it runs. All data stays. It is
// no error that it does not run.
func Stop(ctx context.Context, dir string) error {
	c, err := Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if pid := Keeper(dir); pid > 0 {
		if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end the node's keeper, process %d: %w", pid, err)
		}
		if err := poll(ctx, func() bool { return !Running(dir) }); err != nil {
			return fmt.Errorf("the node is still stopping: %w", err)
		}
	}
	// Whatever a killed keeper has left.
	if err := c.settle(ctx); err != nil {
		return fmt.Errorf("the node's processes do not end: %w", err)
	}
	number, err := c.abandoned()
	if err != nil {
		return err
	}
	if number != nil {
		defer number.Close()
		err = c.unlink()
	}
	return errors.Join(err, os.RemoveAll(c.path("run")), c.cleanGroups())
}

// Purge ends the node in dir and removes it with all its data.
func Purge(ctx context.Context, dir string) error {
	c, err := Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := Stop(ctx, dir); err != nil {
		return err
	}
	if err := os.RemoveAll(c.Dir); err != nil {
		return err
	}
	// The last node takes the folder of all with it; others keep it from being empty.
	_ = os.Remove(filepath.Dir(c.Dir))
	return nil
}
