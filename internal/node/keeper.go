package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Run is the keeper of the node in dir: it holds the node's lock and what the node has
// of the machine, starts the init process and starts it anew when it ends, until ctx
// ends; then it lets the node come to an end and takes the link away. It returns an
// error that wraps ErrRunning where another keeper has the lock.
func Run(ctx context.Context, dir string, log *slog.Logger) error {
	c, err := Load(dir)
	if err != nil {
		return err
	}
	lock, err := c.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := c.settle(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(c.path("run")); err != nil {
		return err
	}
	taken, err := c.claim(standard)
	if err != nil {
		return err
	}
	defer taken.close()
	// The kubeconfig says where the node is served.
	if _, err := c.certificates(time.Now()); err != nil {
		return err
	}
	if err := errors.Join(c.save(), c.unlink(), c.groups()); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for port, l := range map[int]net.Listener{apiPort: taken.api, routePort: taken.http, tlsPort: taken.https} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c.forward(ctx, l, port, log)
		}()
	}
	delay := 250 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := c.one(ctx, log)
		if ctx.Err() != nil {
			break
		}
		log.Error("the node ended", "error", err)
		if err := errors.Join(os.RemoveAll(c.path("run")), c.unlink()); err != nil {
			log.Error("what the node left could not be removed", "error", err)
		}
		if time.Since(began) > time.Minute {
			delay = 250 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, 30*time.Second)
	}
	return errors.Join(os.RemoveAll(c.path("run")), c.unlink(), c.cleanGroups())
}

// one starts the init process and waits for its end.
func (c Config) one(ctx context.Context, log *slog.Logger) error {
	// The init process dies with the thread that made it (PDEATHSIG), so that a killed
	// keeper takes the whole node along and leaves nothing behind.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := bounded(c.path("log", "init.log"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(c.Program, "node", "init", "--dir", c.Dir)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	log.Info("the node is starting", "pid", cmd.Process.Pid)
	if err := errors.Join(c.remember(cmd.Process.Pid), c.link(cmd.Process.Pid)); err != nil {
		return errors.Join(fmt.Errorf("connect the node: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, <-ended)
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(stopTime + 5*time.Second):
		return errors.Join(cmd.Process.Kill(), <-ended)
	}
}

// environment is what the keeper and the init process get.
func environment() []string {
	return append([]string{}, append(plain, proxies()...)...)
}

var plain = []string{"PATH=" + strings.Join(programDirs, ":"), "HOME=/root", "LC_ALL=C.UTF-8"}

// proxies are the caller's. What fetches images needs them; nothing else may go through
// them, since everything else is a part of the node.
func proxies() []string {
	var out []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}
