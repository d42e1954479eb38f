package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Config is what a node is. It is written to the node's folder when the node is made
// and read by each of its processes.
type Config struct {
	// Name is "<platform>-<environment>"; it is the node's name in the cluster too.
	Name string `json:"name"`
	// Dir holds everything that the node keeps.
	Dir string `json:"dir"`
	// Owner is the folder of the repository that the node belongs to.
	Owner string `json:"owner,omitempty"`
	// Kube is the file of strata-kube, Program that of strata.
	Kube    string `json:"kube"`
	Program string `json:"program"`
	// Link numbers the link between machine and node, 0 to 254.
	Link int `json:"link"`
	// API, HTTP and HTTPS are the ports on loopback at which the API server and routes are
	// served on the machine.
	API   int `json:"api"`
	HTTP  int `json:"http"`
	HTTPS int `json:"https"`
	// CertificateLife is how long a component's certificate holds; 0 means a week. It is
	// renewed when half of it is over.
	CertificateLife time.Duration `json:"certificateLife,omitempty"`
}

// The networks inside of a node. They are the same in each, since nothing outside of
// its network namespace sees them.
const (
	PodCIDR     = "10.244.0.0/16"
	ServiceCIDR = "10.96.0.0/16"
	serviceIP   = "10.96.0.1" // kubernetes.default
	dnsIP       = "10.96.0.10"
	metricsIP   = "10.96.0.11"
	apiPort     = 6443
	routePort   = 80
	tlsPort     = 443
)

// linkNet is cut into links of four addresses, one a node.
var linkNet = netip.MustParseAddr("10.213.0.0").As4()

// MaxName is how long a node's name may be. It is a label's value in the cluster, of
// which Kubernetes allows 63 characters.
const MaxName = 60

var names = regexp.MustCompile(fmt.Sprintf(`^[a-z0-9]([a-z0-9-]{0,%d}[a-z0-9])?$`, MaxName-2))

// Root is the folder that nodes are kept in unless STRATA_NODES names another.
func Root() string {
	if dir := os.Getenv("STRATA_NODES"); dir != "" {
		return dir
	}
	return "/var/lib/strata"
}

func (c Config) address(n byte) netip.Addr {
	a := linkNet
	a[2], a[3] = byte(c.Link), n
	return netip.AddrFrom4(a)
}

// HostAddr is the machine's address on the link.
func (c Config) HostAddr() netip.Addr { return c.address(1) }

// Addr is the node's address on the link.
func (c Config) Addr() netip.Addr { return c.address(2) }

// Server is the URL of the API server for the machine. It is on loopback, so that a
// request to a node that is stopped goes nowhere instead of out of the machine.
func (c Config) Server() string { return fmt.Sprintf("https://127.0.0.1:%d", c.API) }

// inside is the URL of the API server for the node's own processes.
func (c Config) inside() string { return fmt.Sprintf("https://%s:%d", c.Addr(), apiPort) }

// Hostname is the name of the node in the cluster.
func (c Config) Hostname() string { return c.Name }

// Kubeconfig is the file with which people and programs talk to the cluster.
func (c Config) Kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

// Socket is containerd's socket.
func (c Config) Socket() string { return c.path("run", "containerd.sock") }

func (c Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.Dir}, parts...)...)
}

// hostLink is the name of the machine's end of the link; the kernel allows 15 bytes.
func (c Config) hostLink() string { return fmt.Sprintf("strata%d", c.Link) }

func (c Config) table() string { return fmt.Sprintf("strata_node_%d", c.Link) }

// cgroup is the parent of all cgroups of the node's pods. A node of the same name in
// another folder has another: its kubelet ends what it does not know in there.
func (c Config) cgroup() string {
	h := fnv.New32a()
	h.Write([]byte(c.Dir))
	return fmt.Sprintf("/strata-%s-%08x", c.Name, h.Sum32())
}

// Load reads the configuration of the node in a folder; the error wraps
// fs.ErrNotExist where there is no node.
func Load(dir string) (Config, error) {
	var c Config
	b, err := os.ReadFile(filepath.Join(dir, "node.json"))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%s: %w", filepath.Join(dir, "node.json"), err)
	}
	return c, nil
}

// save writes the configuration.
func (c Config) save() error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return write(c.path("node.json"), append(b, '\n'), 0o600)
}

// maxSocket is how long the kernel lets a socket's path be.
const maxSocket = 107

// fits says why a node cannot have this name or lie in this folder.
func (c Config) fits() error {
	if !names.MatchString(c.Name) {
		return fmt.Errorf("%q cannot be the name of a node: it must consist of at most %d lower-case letters, digits and hyphens, and neither begin nor end with a hyphen; it is made of the names of platform and environment, so shorten one of them", c.Name, MaxName)
	}
	if !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("%s cannot be a node's folder: it must be an absolute path (STRATA_NODES)", c.Dir)
	}
	// The longest socket is one that containerd makes beside its own.
	if over := len(c.Socket()+".ttrpc") - maxSocket; over > 0 {
		return fmt.Errorf("%s cannot be a node's folder: sockets lie in it, whose paths the kernel limits to %d characters, and this is %d too long; name a shorter folder for nodes (STRATA_NODES) or shorten the names of platform or environment", c.Dir, maxSocket, over)
	}
	for _, hidden := range []string{"/run", "/var/run", "/var/log", "/proc", "/sys", "/dev"} {
		if c.Dir == hidden || strings.HasPrefix(c.Dir, hidden+"/") {
			return fmt.Errorf("%s cannot be a node's folder: the node has a %s of its own; name another folder for nodes (STRATA_NODES)", c.Dir, hidden)
		}
	}
	return nil
}

// write replaces a file as a whole, unless it says the same already: components watch
// theirs and would read it anew.
func write(file string, b []byte, mode fs.FileMode) error {
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, b) {
		return os.Chmod(file, mode)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, file)
}
