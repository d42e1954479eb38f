package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Run is the keeper of the node in dir: it holds the node's lock, starts the init
// process and starts it anew when it ends, until ctx ends; then it lets the node come
// to an end and takes the link away. It returns an error that wraps ErrRunning where
// another keeper has the lock.
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
	// What a keeper that was killed has left.
	if err := c.unlink(); err != nil {
		return err
	}
	if err := c.groups(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, f := range []struct{ from, to int }{{c.API, apiPort}, {c.HTTP, routePort}} {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(f.from)))
		if err != nil {
			return fmt.Errorf("serve the node on this machine: %w", err)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			c.forward(ctx, l, f.to, log)
		}()
	}
	delay := time.Second
	for ctx.Err() == nil {
		started := time.Now()
		err := c.one(ctx, log)
		if ctx.Err() != nil {
			break
		}
		log.Error("the node ended", "error", err)
		if time.Since(started) > time.Minute {
			delay = time.Second
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = min(2*delay, 30*time.Second)
	}
	return errors.Join(os.RemoveAll(c.path("run")), c.unlink(), c.cleanGroups())
}

// ErrRunning says that the node runs already.
var ErrRunning = errors.New("the node runs already")

// lock takes the node's lock and writes this process's id into it.
func (c Config) lock() (*os.File, error) {
	f, err := os.OpenFile(c.path("node.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
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

// one starts the init process and waits for its end.
func (c Config) one(ctx context.Context, log *slog.Logger) error {
	// The init process dies with the thread that made it (PDEATHSIG), so that a killed
	// keeper takes the whole node along and leaves nothing behind.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := logFile(c.path("log", "init.log"))
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
	if err := c.link(cmd.Process.Pid); err != nil {
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

// environment is what the node's processes see of the caller's environment.
func environment() []string {
	out := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if v, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// link makes the two ends of the link, one of them in the network namespace of pid,
// and lets the node reach what the machine reaches.
func (c Config) link(pid int) error {
	la := netlink.NewLinkAttrs()
	la.Name = c.hostLink()
	veth := &netlink.Veth{LinkAttrs: la, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	l, err := netlink.LinkByName(la.Name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(c.HostAddr().String() + "/30")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetUp(l)); err != nil {
		return err
	}
	return c.masquerade()
}

// masquerade gives the node the machine's way out. A machine without nft has a node
// that reaches nothing outside, which is enough for most.
func (c Config) masquerade() error {
	nft, err := exec.LookPath("nft")
	if err != nil {
		return nil
	}
	forwarding := "/proc/sys/net/ipv4/conf/" + c.hostLink() + "/forwarding"
	cmd := exec.Command(nft, "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`table ip %[1]s {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr %[2]s oifname != "%[3]s" masquerade
	}
}
`, c.table(), c.Addr(), c.hostLink()))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return os.WriteFile(forwarding, []byte("1"), 0o600)
}

// unlink removes the link and what was made for it; it is no error that there is none.
func (c Config) unlink() error {
	var err error
	l, lookup := netlink.LinkByName(c.hostLink())
	if lookup == nil {
		err = netlink.LinkDel(l)
	} else if !errors.As(lookup, &netlink.LinkNotFoundError{}) {
		err = lookup
	}
	if nft, look := exec.LookPath("nft"); look == nil {
		// Deleting what is not there is an error unless it is made before.
		cmd := exec.Command(nft, "-f", "-")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("table ip %[1]s {}\ndelete table ip %[1]s\n", c.table()))
		if out, run := cmd.CombinedOutput(); run != nil {
			err = errors.Join(err, fmt.Errorf("nft: %w: %s", run, out))
		}
	}
	return err
}

// hierarchies are the roots of the machine's cgroup hierarchies: one of version 2, or
// one a controller of version 1.
func hierarchies() ([]string, error) {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}, nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(root, e.Name()))
		}
	}
	return out, nil
}

// groups makes the parent of the pods' cgroups in every hierarchy.
func (c Config) groups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := os.MkdirAll(filepath.Join(h, c.cgroup()), 0o755); err != nil {
			return fmt.Errorf("make the node's cgroup: %w", err)
		}
		// A set of processors must be given before a process may enter.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if b, err := os.ReadFile(filepath.Join(h, file)); err == nil && strings.HasSuffix(h, "cpuset") {
				_ = os.WriteFile(filepath.Join(h, c.cgroup(), file), b, 0o600)
			}
		}
	}
	return nil
}

// cleanGroups removes the cgroups; they are empty when the node has ended.
func (c Config) cleanGroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		err = errors.Join(err, removeGroup(filepath.Join(h, c.cgroup())))
	}
	return err
}

func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	// A process that was just killed may be in there for a moment yet.
	for range 50 {
		if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// forward passes connections on to the node until ctx ends.
func (c Config) forward(ctx context.Context, l net.Listener, port int, log *slog.Logger) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				log.Error("a port of the node is not served any more", "port", port, "error", err)
			}
			return
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			c.pipe(ctx, conn, port)
		}()
	}
}

// pipe connects a connection with another until both directions have ended.
func (c Config) pipe(ctx context.Context, conn net.Conn, port int) {
	// Without the link there is no such local address, and nothing leaves the machine.
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: c.HostAddr().AsSlice()}}
	other, err := d.DialContext(ctx, "tcp", net.JoinHostPort(c.Addr().String(), strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer other.Close()
	done := make(chan struct{}, 2)
	half := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		if t, ok := dst.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
		done <- struct{}{}
	}
	go half(other, conn)
	go half(conn, other)
	<-done
	<-done
}
