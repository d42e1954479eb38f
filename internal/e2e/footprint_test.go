package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/node"
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

// nobody wants no process to have a folder in its command line. A keeper that has given up
// its lock is there for a moment more.
func nobody(t *testing.T, dir string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := mentioning(dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("processes that are left: %v", left)
			return
		}
	}
}

// others is what nodes of other tests, which come and go meanwhile, have on the machine.
var others = regexp.MustCompile(`strata[0-9]+|strata_node_[0-9]+|\b10\.213\.|/tmp/`)

// differs lists the lines that two footprints do not have in common, without those of other
// nodes than c.
func differs(before, after string, c node.Config) []string {
	own := regexp.MustCompile(fmt.Sprintf(`strata%d\b|strata_node_%[1]d\b|%s|%s`, c.Link, regexp.QuoteMeta(c.Addr().String()), regexp.QuoteMeta(c.Dir)))
	var out []string
	only := func(sign, a, b string) {
		have := strings.Split(b, "\n")
		for line := range strings.SplitSeq(a, "\n") {
			if !slices.Contains(have, line) && (own.MatchString(line) || !others.MatchString(line)) {
				out = append(out, sign+line)
			}
		}
	}
	only("- ", before, after)
	only("+ ", after, before)
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
