package node

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
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
	if err := c.pass(); err != nil {
		return err
	}
	out, err := outward()
	if err != nil {
		return err
	}
	// The link's too: the kernel looks at the interface that a packet came in by, and
	// answers come in by the other.
	want := []setting{{"net/ipv4/conf/" + c.hostLink() + "/forwarding", 1}, {"fs/inotify/max_user_instances", watchers}}
	for _, dev := range out {
		want = append(want, setting{"net/ipv4/conf/" + dev + "/forwarding", 1})
	}
	return c.lender().borrow(c.hostLink(), want)
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

// unlink removes the link and what was made for it; it is no error that there is none.
func (c Config) unlink() error {
	if c.Link < 0 {
		return nil
	}
	err := c.lender().giveBack(c.hostLink())
	l, lookup := netlink.LinkByName(c.hostLink())
	if lookup == nil {
		err = errors.Join(err, netlink.LinkDel(l))
	} else if !errors.As(lookup, &netlink.LinkNotFoundError{}) {
		err = errors.Join(err, lookup)
	}
	// Deleting what is not there is an error unless it is made before.
	return errors.Join(err, c.unpass(), nft(fmt.Sprintf("table ip %[1]s {}\ndelete table ip %[1]s\n", c.table())))
}
