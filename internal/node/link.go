package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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
	return c.wayOut()
}

// wayOut lets the node use the machine's way out, and nobody outside come in by it.
func (c Config) wayOut() error {
	err := nft(fmt.Sprintf(`table ip %[1]s {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		ip saddr %[2]s oifname != "%[3]s" masquerade
	}
	chain forward {
		type filter hook forward priority filter;
		oifname "%[3]s" ct state established,related accept
		oifname "%[3]s" drop
	}
}
`, c.table(), c.Addr(), c.hostLink()))
	if err != nil {
		return err
	}
	out, err := outward()
	if err != nil {
		return err
	}
	// Both: the kernel looks at the interface that a packet came in by, and answers come
	// in by the other.
	return errors.Join(forwarding(c.hostLink()), c.borrow(out))
}

// nft runs a script, as one transaction.
func nft(script string) error {
	program, err := look("nft")
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// outward returns the interfaces that have a way to everywhere.
func outward() ([]string, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			out = append(out, l.Attrs().Name)
		}
	}
	return out, nil
}

func forwardingFile(dev string) string { return "/proc/sys/net/ipv4/conf/" + dev + "/forwarding" }

func forwarding(dev string) error {
	return os.WriteFile(forwardingFile(dev), []byte("1"), 0o600)
}

// borrowed is the folder that has, for each interface that forwards because a node
// needs it, the numbers of the links that do: the last one turns it off again. Like
// the setting it does not survive the machine.
const borrowed = "/run/strata/forwarding"

// borrow makes interfaces forward that do not yet.
func (c Config) borrow(devs []string) error {
	return exclusively(func() error {
		for _, dev := range devs {
			b, err := os.ReadFile(forwardingFile(dev))
			if err != nil {
				return err
			}
			_, others := os.Stat(filepath.Join(borrowed, dev))
			if strings.TrimSpace(string(b)) == "1" && others != nil {
				continue // it did before there were nodes
			}
			if err := os.MkdirAll(filepath.Join(borrowed, dev, c.hostLink()), 0o700); err != nil {
				return err
			}
			if err := forwarding(dev); err != nil {
				return err
			}
		}
		return nil
	})
}

// giveBack turns off what this node was the last to need.
func (c Config) giveBack() error {
	return exclusively(func() error {
		devs, err := filepath.Glob(filepath.Join(borrowed, "*", c.hostLink()))
		if err != nil {
			return err
		}
		for _, dir := range devs {
			if err := os.Remove(dir); err != nil {
				return err
			}
			if os.Remove(filepath.Dir(dir)) != nil {
				continue // another node needs it
			}
			file := forwardingFile(filepath.Base(filepath.Dir(dir)))
			if err := os.WriteFile(file, []byte("0"), 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		// They are there no longer than there is something in them.
		_, _ = os.Remove(borrowed), os.Remove(filepath.Dir(borrowed))
		return nil
	})
}

// exclusively runs f while no other keeper does so.
func exclusively(f func() error) error {
	dir, err := os.Open("/run")
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return f()
}

// unlink removes the link and what was made for it; it is no error that there is none.
func (c Config) unlink() error {
	if c.Link < 0 {
		return nil
	}
	err := c.giveBack()
	l, lookup := netlink.LinkByName(c.hostLink())
	if lookup == nil {
		err = errors.Join(err, netlink.LinkDel(l))
	} else if !errors.As(lookup, &netlink.LinkNotFoundError{}) {
		err = errors.Join(err, lookup)
	}
	// Deleting what is not there is an error unless it is made before.
	return errors.Join(err, nft(fmt.Sprintf("table ip %[1]s {}\ndelete table ip %[1]s\n", c.table())))
}
