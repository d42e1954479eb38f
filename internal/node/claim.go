package node

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
)

// links is how many links linkNet is cut into. The last byte but one numbers them.
const links = 255

// claim is what a node has of the machine while it runs. Others see by trying to take
// it that it is taken, wherever they keep their nodes, and it ends with its holder.
type claim struct {
	number, api, http, https net.Listener
}

func (c *claim) close() {
	for _, l := range []net.Listener{c.number, c.api, c.http, c.https} {
		if l != nil {
			l.Close()
		}
	}
}

// candidates are ports of loopback that a node may be served at, the best first.
type candidates struct{ api, http, https []int }

var standard = candidates{
	api:   []int{6443, 6444, 6445, 6446, 6447, 6448, 6449},
	http:  []int{80, 8080, 8081, 8082, 8083, 8084, 8085},
	https: []int{443, 8443, 8444, 8445, 8446, 8447, 8448},
}

// claim chooses a number for the link and ports of loopback, takes them, and writes
// them into c. Those that the node had before are kept where they are free. The error
// says what there is none left of.
func (c *Config) claim(from candidates) (*claim, error) {
	out := &claim{}
	n, l, err := c.number()
	if err != nil {
		return nil, err
	}
	c.Link, out.number = n, l
	for _, w := range []struct {
		port     *int
		listener *net.Listener
		from     []int
		what     string
	}{
		{&c.API, &out.api, from.api, "the API server needs"},
		{&c.HTTP, &out.http, from.http, "routes need"},
		{&c.HTTPS, &out.https, from.https, "routes with TLS need"},
	} {
		if *w.port, *w.listener = listen(append([]int{*w.port}, w.from...)); *w.listener == nil {
			out.close()
			return nil, fmt.Errorf("all of the ports %v of 127.0.0.1 are taken, and %s one of them: end one of the programs that have them (`ss -ltnp` lists these)", w.from, w.what)
		}
	}
	return out, nil
}

func listen(ports []int) (int, net.Listener) {
	for _, port := range ports {
		if port == 0 {
			continue
		}
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l
		}
	}
	return 0, nil
}

// number takes a number whose addresses nothing else has.
func (c Config) number() (int, net.Listener, error) {
	first := c.Link
	if first < 0 {
		// Nodes that are not there now have numbers too: it is best to choose another.
		h := fnv.New32a()
		h.Write([]byte(c.Dir))
		first = int(h.Sum32() % links)
	}
	for i := range links {
		n := (first + i) % links
		l, err := reserve(n)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		if !routed(Config{Link: n}) {
			return n, l, nil
		}
		l.Close()
	}
	return 0, nil, errors.New("no network is left for the link to the node: all of 10.213.0.0/16 is in use")
}

// reserve takes a number; whoever holds it may do as he likes with the link and the
// packet filter rules that are called by it. The name is not one of a file, so nothing
// stays behind when its holder is killed.
func reserve(n int) (net.Listener, error) {
	return net.Listen("unix", "@strata-link-"+strconv.Itoa(n))
}

// routed reports whether the machine has a way to the addresses of a link that is more
// than the way to everywhere: then they are somebody else's. The link itself, where it
// is there still, is one that a killed keeper left.
func routed(c Config) bool {
	routes, err := netlink.RouteGet(c.Addr().AsSlice())
	if err != nil {
		return false
	}
	for _, r := range routes {
		if r.Gw != nil {
			continue
		}
		if l, err := netlink.LinkByIndex(r.LinkIndex); err != nil || l.Attrs().Name != c.hostLink() {
			return true
		}
	}
	return false
}

// abandoned takes the number of a node that does not run, to remove what a killed
// keeper left under it; nil where another node has it now, which removed it then.
func (c Config) abandoned() (net.Listener, error) {
	if c.Link < 0 {
		return nil, nil
	}
	l, err := reserve(c.Link)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil
	}
	return l, err
}
