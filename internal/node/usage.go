package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process of a node.
type Process struct {
	PID int
	// Component is what it is: keeper, init, etcd, kubelet and so on; shim for the
	// parents of containers; empty for a process of a container.
	Component string
	// Pod is the UID of the pod that a container's process belongs to.
	Pod string
	// PSS is its share of the machine's memory: pages that several processes have are
	// divided between them. RSS counts them in full. Both are in bytes.
	PSS, RSS int64
	// CPU is how long it has run on a processor.
	CPU time.Duration
}

// Since returns when the node in dir became ready; false where it is not.
func Since(dir string) (time.Time, bool) {
	b, err := os.ReadFile(filepath.Join(dir, "run", "ready"))
	if err != nil {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
	return t, err == nil
}

// Processes returns the processes of the node in dir: its keeper and all that come from
// it, by process id; none where it does not run. It needs the rights that the node has.
func Processes(dir string) ([]Process, error) {
	keeper := Keeper(dir)
	if keeper == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	var out []Process
	for todo := []int{keeper}; len(todo) > 0; todo = todo[1:] {
		todo = append(todo, children[todo[0]]...)
		p, err := process(todo[0])
		// The kernel says ESRCH of a process that ends while it is looked at.
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || p.PSS == 0 && err == nil {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Process) int { return a.PID - b.PID })
	return out, nil
}

// stat is what /proc/PID/stat says.
type stat struct {
	parent int
	cpu    time.Duration
}

// tick is the unit of times in /proc; it is the same on all Linux machines.
const tick = time.Second / 100

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	// The name in parentheses may hold anything.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return stat{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return stat{}, err
	}
	var ticks int64
	for _, field := range f[11:13] { // in user mode, and in the kernel
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return stat{}, err
		}
		ticks += n
	}
	return stat{parent, time.Duration(ticks) * tick}, nil
}

// podGroup finds a pod's UID in the name of its cgroup.
var podGroup = regexp.MustCompile(`pod([0-9a-f]{8}[-_][0-9a-f_-]{27})`)

func process(pid int) (Process, error) {
	p := Process{PID: pid}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	s, err := readStat(pid)
	if err != nil {
		return p, err
	}
	p.CPU = s.cpu
	rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if errors.Is(err, fs.ErrPermission) {
		return p, fmt.Errorf("what the node's processes use can be read by root only: %w", err)
	}
	if err != nil {
		return p, err
	}
	p.PSS, p.RSS = sizes(string(rollup))
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return p, err
	}
	groups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return p, err
	}
	if m := podGroup.FindSubmatch(groups); m != nil {
		p.Pod = strings.ReplaceAll(string(m[1]), "_", "-")
	}
	p.Component = componentOf(strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00"))
	if p.Pod != "" && p.Component != "shim" {
		p.Component = ""
	}
	return p, nil
}

// sizes reads proportional and resident set size.
func sizes(rollup string) (pss, rss int64) {
	for line := range strings.Lines(rollup) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			continue
		}
		switch f[0] {
		case "Pss:":
			pss = n << 10
		case "Rss:":
			rss = n << 10
		}
	}
	return pss, rss
}

// componentOf names what a command line runs. Programs of ours do several things; the
// next word says which.
func componentOf(args []string) string {
	name := filepath.Base(args[0])
	switch {
	case name == "strata-kube" && len(args) > 1:
		return args[1]
	case len(args) > 2 && args[1] == "node" && args[2] == "run":
		return "keeper"
	case len(args) > 2 && args[1] == "node":
		return args[2]
	case strings.HasPrefix(name, "containerd-shim"):
		return "shim"
	}
	return name
}
