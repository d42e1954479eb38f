package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Options say what node to start.
type Options struct {
	// Name is the environment's name: a DNS label of at most 40 characters.
	Name string
	// Kube is the file of strata-kube, Program that of strata.
	Kube, Program string
	// Timeout is how long to wait until the node is ready; 0 means two minutes.
	Timeout time.Duration
}

// Start makes the node if there is none, starts it unless it runs, and returns when
// it can run pods. A node that is not ready in time is left running, so that its logs
// can be looked at; the error says where they are.
func Start(ctx context.Context, o Options) (Config, error) {
	if !names.MatchString(o.Name) {
		return Config{}, fmt.Errorf("%q cannot be the name of a node: it must be a DNS label of at most 40 characters", o.Name)
	}
	dir := filepath.Join(Root(), o.Name)
	c, err := Load(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if c, err = create(o, dir); err != nil {
			return c, err
		}
	case err != nil:
		return c, err
	case Running(dir):
		return c, c.wait(ctx, o.Timeout)
	}
	if err := Check(); err != nil {
		return c, err
	}
	c.Kube, c.Program = o.Kube, o.Program
	if err := c.choose(); err != nil {
		return c, err
	}
	// A node of an older strata-kube reads the new one's flags.
	if err := c.save(); err != nil {
		return c, err
	}
	if err := os.RemoveAll(c.path("run")); err != nil {
		return c, err
	}
	// The kubeconfig must be there as soon as the node is.
	if _, err := c.certificates(time.Now()); err != nil {
		return c, err
	}
	out, err := logFile(c.path("log", "keeper.log"))
	if err != nil {
		return c, err
	}
	defer out.Close()
	cmd := exec.Command(c.Program, "node", "run", "--dir", c.Dir)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.Dir = out, out, environment(), "/"
	// It outlives whoever starts it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return c, err
	}
	if err := cmd.Process.Release(); err != nil {
		return c, err
	}
	return c, c.wait(ctx, o.Timeout)
}

func create(o Options, dir string) (Config, error) {
	if err := Check(); err != nil {
		return Config{}, err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return Config{}, fmt.Errorf("make the node's folder: %w", err)
	}
	return Config{Name: o.Name, Dir: dir, Link: -1}, nil
}

// choose gives the node a link and a port that nothing else has. Those that it had
// before are kept where they are free.
func (c *Config) choose() error {
	taken := map[int]bool{}
	others, err := filepath.Glob(filepath.Join(Root(), "*", "node.json"))
	if err != nil {
		return err
	}
	for _, file := range others {
		if o, err := Load(filepath.Dir(file)); err == nil && o.Name != c.Name {
			taken[o.Link] = true
		}
	}
	free := func(n int) bool {
		if taken[n] {
			return false
		}
		o := Config{Link: n}
		routes, err := netlink.RouteGet(o.Addr().AsSlice())
		if err != nil {
			return true
		}
		// Something that is more than the way to everywhere leads there.
		for _, r := range routes {
			if r.Gw == nil {
				l, err := netlink.LinkByIndex(r.LinkIndex)
				if err != nil || l.Attrs().Name != o.hostLink() {
					return false
				}
			}
		}
		return true
	}
	if c.Link < 0 || !free(c.Link) {
		for c.Link = 0; !free(c.Link); c.Link++ {
			if c.Link == 254 {
				return errors.New("no network is left for the link to the node: all of 10.213.0.0/16 is in use")
			}
		}
	}
	used := map[int]bool{}
	for _, w := range []struct {
		port *int
		from []int
		what string
	}{{&c.API, []int{c.API, 6443, 6444, 6445, 6446, 6447}, "the API server"}, {&c.HTTP, []int{c.HTTP, 80, 8080, 8081, 8082, 8083}, "routes"}} {
		port, ok := freePort(w.from, used)
		if !ok {
			return fmt.Errorf("ports %v of 127.0.0.1 are all taken, and %s need one: end one of the programs that have them (`ss -ltnp` lists them)", w.from[1:], w.what)
		}
		*w.port, used[port] = port, true
	}
	return nil
}

func freePort(list []int, used map[int]bool) (int, bool) {
	for _, port := range list {
		if port == 0 || used[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close() == nil
		}
	}
	return 0, false
}

// wait waits until the node is ready.
func (c Config) wait(ctx context.Context, timeout time.Duration) error {
	if timeout <= 0 {
		timeout = 2 * time.Minute
	}
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	died := false
	err := poll(limit, func() bool {
		if Ready(c.Dir) {
			return true
		}
		died = time.Since(began) > 3*time.Second && !Running(c.Dir)
		return died
	})
	switch {
	case died:
		return fmt.Errorf("the node does not start: %s", lastLine(c.path("log", "keeper.log")))
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("the node was not ready within %s; its components' logs are in %s; the last word of its init process: %s", timeout, c.path("log"), lastLine(c.path("log", "init.log")))
	}
	return nil
}

func lastLine(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// Running reports whether the node in dir has a keeper.
func Running(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "node.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
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
	return errors.Join(os.RemoveAll(c.path("run")), c.unlink(), c.cleanGroups())
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
	// What was made to mount things at; a folder that is not empty is somebody else's.
	for at := range c.mountPoints() {
		if at != "/var/log" {
			_ = os.Remove(at)
		}
	}
	_ = os.Remove(Root())
	return nil
}
