package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	s.run(ctx, c.components())
	go c.renew(ctx, log)
	go c.attend(ctx, log)
	<-ctx.Done()
	log.Info("the node is stopping")
	// Nobody may take it for ready from here on.
	if err := os.RemoveAll(c.readyFile()); err != nil {
		log.Error("the node's state could not be written", "error", err)
	}
	s.stop(stopTime)
	return nil
}

// renew keeps certificates fresh while the node runs. It looks often: a machine that
// was asleep counts none of that time.
func (c Config) renew(ctx context.Context, log *slog.Logger) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			changed, err := c.certificates(time.Now())
			switch {
			case err != nil:
				log.Error("certificates could not be renewed", "error", err)
			case changed:
				log.Info("certificates were renewed")
			}
		}
	}
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
	for key, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/ip_unprivileged_port_start": "0",
		// Who may not connect is told every time, not once a second.
		"ipv4/icmp_ratelimit": "0",
		// Network policies are about IPv4, so there is nothing else.
		"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1",
	} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", key), []byte(value), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// Pods reach what the node reaches, in its name.
	return nft(fmt.Sprintf(`table ip strata_pods {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr %s oifname "eth0" masquerade
	}
}
`, PodCIDR))
}
