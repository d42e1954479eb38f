package node

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// left says what of the node is on the machine. Other nodes may run, so it looks for
// what is called by this one's folder, name and number.
func (c Config) left(t *testing.T) string {
	t.Helper()
	var out []string
	lines := func(what, text string, words ...string) {
		for _, line := range strings.Split(text, "\n") {
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
				out = append(out, what+": "+line)
			}
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range processes {
		b, err := os.ReadFile(file)
		if err == nil && file != fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			lines("process", strings.ReplaceAll(string(b), "\x00", " "), c.Dir+"/", c.Dir+" ")
		}
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cgroup")); err == nil {
			lines("process in a group", string(b), c.cgroup()+"/")
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	lines("mount", string(mounts), c.Dir)
	lines("interface", output(t, "ip", "-o", "link"), " "+c.hostLink()+"@", " "+c.hostLink()+":")
	lines("route", output(t, "ip", "route", "show", "table", "all"), " "+c.hostLink()+" ")
	// The name of one link begins that of another: strata1, strata13.
	link, address := strconv.Quote(c.hostLink()), regexp.MustCompile(regexp.QuoteMeta(c.Addr().String())+`\b`)
	lines("packet filter", output(t, "nft", "list", "ruleset"), c.table()+" ", link)
	lines("packet filter", output(t, "iptables-save"), " "+c.hostLink()+" ", PodCIDR, ServiceCIDR)
	for _, text := range []string{output(t, "nft", "list", "ruleset"), output(t, "iptables-save"), output(t, "ip", "route", "show", "table", "all")} {
		for line := range strings.SplitSeq(text, "\n") {
			if address.MatchString(line) {
				out = append(out, "address: "+line)
			}
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup" + c.cgroup(), "/sys/fs/cgroup/*" + c.cgroup(), c.Dir, filepath.Join(c.lender().dir, "*", c.hostLink())} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			out = append(out, "file: "+file)
		}
	}
	return strings.Join(out, "\n")
}

// machineState is what a node could change of a machine without its name being on it. Not of
// it is /run/containerd: the containers of other tests leave it there.
func machineState(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for name := range kernel {
		b, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil {
			b = nil
		}
		fmt.Fprintf(&out, "%s = %s", name, b)
	}
	for _, dir := range []string{"/var/lib/kubelet", "/var/lib/cni", "/opt/containerd", "/opt/cni", "/usr/libexec/kubernetes", "/etc/cni", "/etc/kubernetes", "/run/flannel", "/run/netns", "/var/log/pods", "/var/log/containers", "/run/nri"} {
		_, err := os.Stat(dir)
		fmt.Fprintf(&out, "%s is there: %v\n", dir, err == nil)
	}
	sorted := strings.Split(out.String(), "\n")
	slices.Sort(sorted)
	return strings.Join(sorted, "\n")
}
