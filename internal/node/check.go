package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What a node needs of a machine, in bytes.
const (
	minDisk   = 4 << 30
	minMemory = 2 << 30
)

// Check says what the machine lacks to run a node, all of it at once; nil when it has
// everything. It changes nothing.
func Check() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("a node needs root, for namespaces and mounts: use sudo, or name a cluster of your own in the environment (cluster.existing.kubeconfig), which needs no root"))
	}
	packages := map[string]string{"containerd": "containerd", "runc": "runc", "iptables": "iptables", "conntrack": "conntrack", "nft": "nftables", "ctr": "containerd"}
	var missing []string
	for _, program := range []string{"containerd", "ctr", "runc", "iptables", "conntrack", "nft"} {
		if _, err := look(program); err != nil {
			missing = append(missing, packages[program])
		}
	}
	if !hasPlugins() {
		missing = append(missing, "containernetworking-plugins")
	}
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("these are not installed: %s; `apt-get install %[1]s` (or `make deps`) does it", strings.Join(compact(missing), " ")))
	}
	errs = append(errs, checkDisk(existing(Root()), minDisk), checkMemory(minMemory))
	return errors.Join(errs...)
}

func compact(list []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// look finds a program where root's programs are, even where PATH does not say so.
func look(program string) (string, error) {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
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

func checkDisk(dir string, need uint64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look how full the disk is: %w", err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < need {
		return fmt.Errorf("the disk of %s has %s left, and a node with its images and data needs %s: free some, or keep nodes elsewhere (STRATA_NODES)", dir, gib(free), gib(need))
	}
	return nil
}

func checkMemory(need uint64) error {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return fmt.Errorf("look how much memory is free: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.ParseUint(f[1], 10, 64)
		if err == nil && kib<<10 < need {
			return fmt.Errorf("%s of memory are available, and a node needs %s: end something, or add memory", gib(kib<<10), gib(need))
		}
	}
	return nil
}

func gib(n uint64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
