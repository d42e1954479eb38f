package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a node needs of a machine, in bytes.
const (
	minDisk   = 4 << 30
	minMemory = 2 << 30
)

// machine is what is looked at of a machine.
type machine struct {
	root      bool
	installed func(program string) bool
	plugins   bool
	// free is what is left of the disk that a folder is on, memory what is available.
	free   func(dir string) (uint64, error)
	memory func() (uint64, error)
}

// Check says what the machine lacks to run a node, all of it at once; nil when it has
// everything. It changes nothing.
func Check() error {
	return machine{
		root:      os.Geteuid() == 0,
		installed: func(program string) bool { _, err := look(program); return err == nil },
		plugins:   hasPlugins(),
		free:      freeDisk, memory: freeMemory,
	}.check(Root())
}

// needed are the programs that a node runs, and the packages that they are in.
var needed = []struct{ program, pkg string }{
	{"containerd", "containerd"}, {"ctr", "containerd"}, {"runc", "runc"}, {"iptables", "iptables"}, {"conntrack", "conntrack"}, {"nft", "nftables"},
}

func (m machine) check(root string) error {
	var errs []error
	if !m.root {
		errs = append(errs, errors.New("a node needs root, for namespaces and mounts: use sudo, or name a cluster of your own in the environment (cluster.existing.kubeconfig), which needs no root"))
	}
	var missing []string
	for _, n := range needed {
		if !m.installed(n.program) && !slices.Contains(missing, n.pkg) {
			missing = append(missing, n.pkg)
		}
	}
	if !m.plugins {
		missing = append(missing, "containernetworking-plugins")
	}
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("these are not installed: %s; `apt-get install %[1]s` (or `make deps`) does it", strings.Join(missing, " ")))
	}
	dir := existing(root)
	if free, err := m.free(dir); err != nil {
		errs = append(errs, fmt.Errorf("look how full the disk of %s is: %w", dir, err))
	} else if free < minDisk {
		errs = append(errs, fmt.Errorf("the disk of %s has %s left, and a node with its images and data needs %s: free some, or keep nodes elsewhere (STRATA_NODES)", dir, gib(free), gib(minDisk)))
	}
	if free, err := m.memory(); err != nil {
		errs = append(errs, fmt.Errorf("look how much memory is free: %w", err))
	} else if free < minMemory {
		errs = append(errs, fmt.Errorf("%s of memory are available, and a node needs %s: end something, or add memory", gib(free), gib(minMemory)))
	}
	return errors.Join(errs...)
}

// programDirs are where root's programs are.
var programDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// look finds a program where root's programs are, even where PATH does not say so.
func look(program string) (string, error) {
	for _, dir := range programDirs {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && !info.IsDir() {
			return filepath.Join(dir, program), nil
		}
	}
	return exec.LookPath(program)
}

func hasPlugins() bool {
	for _, d := range pluginDirs {
		if _, err := os.Stat(filepath.Join(d, "ptp")); err == nil {
			return true
		}
	}
	return false
}

// existing returns the nearest folder above a path that is there.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == "/" || path == "." {
			return path
		}
		path = filepath.Dir(path)
	}
}

func freeDisk(dir string) (uint64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return st.Bavail * uint64(st.Bsize), err
}

func freeMemory() (uint64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemAvailable:" {
			kib, err := strconv.ParseUint(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("/proc/meminfo does not say what is available")
}

func gib(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
