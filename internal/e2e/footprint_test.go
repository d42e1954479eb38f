package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mentioning lists the processes that have a folder in their command line.
func mentioning(dir string) []string {
	var out []string
	for _, line := range commandLines() {
		if strings.Contains(line, dir) {
			out = append(out, line)
		}
	}
	return out
}

// footprint is what a node could leave behind on the machine.
func footprint(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, args := range [][]string{
		{"ip", "-brief", "link"}, {"ip", "route", "show", "table", "all"}, {"nft", "list", "tables"}, {"iptables-save", "-t", "nat"}, {"iptables-save", "-t", "filter"},
	} {
		out, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		for _, line := range strings.Split(string(out), "\n") {
			// Comments have times, and chains have counters.
			if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ":") {
				continue
			}
			b.WriteString(line + "\n")
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	b.Write(mounts)
	err = filepath.WalkDir("/sys/fs/cgroup", func(dir string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(dir, "strata-acme-local") {
			b.WriteString(dir + "\n")
		}
		return nil //nolint:nilerr // other cgroups come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
