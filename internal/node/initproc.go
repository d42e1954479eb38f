package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stopTime is how long pods and databases are given to end.
const stopTime = 8 * time.Second

// Init is process 1 of the node in dir. It must be started by Run. It prepares the
// namespaces, runs the components until ctx ends, and returns when all have stopped.
func Init(ctx context.Context, dir string, log *slog.Logger) error {
	if os.Getpid() != 1 {
		return errors.New("this is the init process of a node, which `strata up` starts")
	}
	c, err := Load(dir)
	if err != nil {
		return err
	}
	if err := c.mounts(); err != nil {
		return fmt.Errorf("prepare the node's file systems: %w", err)
	}
	if err := unix.Sethostname([]byte(c.Hostname())); err != nil {
		return err
	}
	if err := c.network(ctx); err != nil {
		return fmt.Errorf("prepare the node's network: %w", err)
	}
	if _, err := c.certificates(time.Now()); err != nil {
		return err
	}
	if err := c.files(); err != nil {
		return err
	}
	s := newSupervisor(c.path("log"), log)
	list := c.components()
	s.run(ctx, list)
	go c.renew(ctx, log)
	go func() {
		if err := c.bootstrap(ctx, log); err != nil && ctx.Err() == nil {
			log.Error("the cluster could not be set up", "error", err)
		}
	}()
	<-ctx.Done()
	log.Info("the node is stopping")
	s.stop(stopTime)
	return nil
}

// renew keeps certificates fresh while the node runs.
func (c Config) renew(ctx context.Context, log *slog.Logger) {
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			changed, err := c.certificates(now)
			switch {
			case err != nil:
				log.Error("certificates could not be renewed", "error", err)
			case changed:
				log.Info("certificates were renewed")
			}
		}
	}
}

// mountPoints are folders with names that Kubernetes and CNI have built in. Inside of
// the node they lie in its own folder.
func (c Config) mountPoints() map[string]string {
	return map[string]string{
		"/var/lib/kubelet": c.path("kubelet"),
		"/var/lib/cni":     c.path("cni", "state"),
		"/var/log":         c.path("log", "var"),
	}
}

// mounts makes what the node mounts its own affair, and gives it file systems that
// must not be the machine's.
func (c Config) mounts() error {
	// Nothing from here reaches the machine; containers may still share with kubelet.
	if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if err := os.RemoveAll(c.path("run")); err != nil {
		return err
	}
	if err := os.MkdirAll(c.path("run"), 0o700); err != nil {
		return err
	}
	for at, dir := range c.mountPoints() {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(at, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount(dir, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	// The machine's resolver may be in /run.
	resolv, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		resolv = nil
	}
	if err := write(c.path("run", "resolv.conf"), resolv, 0o644); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	return nil
}

// network waits for the node's end of the link and brings it up.
func (c Config) network(ctx context.Context) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	var eth netlink.Link
	for {
		if eth, err = netlink.LinkByName("eth0"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	addr, err := netlink.ParseAddr(c.Addr().String() + "/30")
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.AddrAdd(eth, addr), netlink.LinkSetUp(eth)); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: c.HostAddr().AsSlice()}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	for key, value := range map[string]string{"ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/ip_unprivileged_port_start": "0"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", key), []byte(value), 0o600); err != nil {
			return err
		}
	}
	return nil
}
