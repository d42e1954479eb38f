package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// bound are folders whose names Kubernetes and CNI have built in. Inside of the node
// they lie in its own folder.
func (c Config) bound() map[string]string {
	return map[string]string{
		"/var/lib/kubelet": c.path("kubelet"),
		"/var/lib/cni":     c.path("cni", "state"),
		"/var/log":         c.path("log", "var"),
	}
}

// kernel are settings of the whole machine that kubelet wants to be so, and would make
// so. It reads them here instead; the machine keeps its own.
var kernel = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
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
	if err := os.MkdirAll(c.path("run"), 0o700); err != nil {
		return err
	}
	// The machine's resolver may be in /run.
	if err := write(c.path("run", "resolv.conf"), resolver(), 0o644); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	if err := c.varLib(); err != nil {
		return fmt.Errorf("/var/lib: %w", err)
	}
	// Addresses of pods whose sandboxes ended with the namespaces that they were in.
	if err := errors.Join(os.RemoveAll(c.path("cni", "ipam")), os.RemoveAll(c.path("cni", "state"))); err != nil {
		return err
	}
	for at, dir := range c.bound() {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(at, 0o755)); err != nil {
			return err
		}
		if err := bind(dir, at); err != nil {
			return err
		}
	}
	return c.settings()
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	return nil
}

// varLib lays a file system over /var/lib in which folders can be made that the
// machine does not have: what is made to be mounted at would stay there.
func (c Config) varLib() error {
	const upper, work, at = "/run/strata-upper", "/run/strata-work", "/var/lib"
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return err
	}
	own, err := os.Open(c.Dir)
	if err != nil {
		return err
	}
	defer own.Close()
	if err := unix.Mount("overlay", at, "overlay", 0, "lowerdir="+at+",upperdir="+upper+",workdir="+work); err != nil {
		return err
	}
	if !strings.HasPrefix(c.Dir, at+"/") {
		return nil
	}
	// The node's own folder is what it was.
	return bind(fmt.Sprintf("/proc/self/fd/%d", own.Fd()), c.Dir)
}

func (c Config) settings() error {
	for name, value := range kernel {
		at := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		file := c.path("run", "sys", name)
		if err := write(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := bind(file, at); err != nil {
			return err
		}
	}
	return nil
}

// resolver returns the machine's resolv.conf without the servers that only the machine
// itself can reach. systemd's resolver keeps a list of those that it asks itself.
func resolver() []byte {
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if out, ok := reachable(string(b)); ok {
			return []byte(out)
		}
	}
	return nil
}

// reachable leaves out servers on loopback, and reports whether one is left.
func reachable(resolv string) (string, bool) {
	var out []string
	some := false
	for _, line := range strings.Split(strings.TrimSpace(resolv), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			// The node's network has IPv4 only.
			if ip, err := netip.ParseAddr(f[1]); err != nil || ip.IsLoopback() || !ip.Is4() {
				continue
			}
			some = true
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n") + "\n", some
}
