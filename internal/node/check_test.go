package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/needs"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	// A machine that has just enough, and what is taken from it.
	for name, tt := range map[string]struct {
		change func(*machine)
		want   []string
	}{
		"enough":        {func(*machine) {}, nil},
		"not root":      {func(m *machine) { m.root = false }, []string{"needs root", "sudo", "cluster.existing.kubeconfig"}},
		"no containerd": {func(m *machine) { m.installed = without("containerd", "ctr") }, []string{"not installed: containerd; `apt-get install containerd`"}},
		"no filters":    {func(m *machine) { m.installed = without("nft", "iptables"); m.plugins = false }, []string{"iptables nftables containernetworking-plugins", "make deps"}},
		"disk full":     {func(m *machine) { m.free = says(minDisk-1, nil) }, []string{"the disk of / has 4.0 GiB left", "needs 4.0 GiB", "STRATA_NODES"}},
		"half memory":   {func(m *machine) { m.memory = func() (uint64, error) { return minMemory / 2, nil } }, []string{"1.0 GiB of memory are available", "needs 2.0 GiB"}},
		"disk unknown":  {func(m *machine) { m.free = says(0, errors.New("odd")) }, []string{"how full the disk of / is: odd"}},
		"all at once":   {func(m *machine) { m.root, m.plugins, m.free = false, false, says(0, nil) }, []string{"needs root", "containernetworking-plugins", "0.0 GiB left"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := machine{root: true, installed: without(), plugins: true, free: says(minDisk, nil), memory: func() (uint64, error) { return minMemory, nil }}
			tt.change(&m)
			err := m.check("/no/such/folder")
			if (err == nil) != (tt.want == nil) {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}

func without(programs ...string) func(string) bool {
	return func(p string) bool { return !slices.Contains(programs, p) }
}

func says(n uint64, err error) func(string) (uint64, error) {
	return func(string) (uint64, error) { return n, err }
}

// A real disk that is too small is told before anything is written to it.
func TestSmallDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		needs.Skip(t, "needs root, to mount a small file system; CI runs as root")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("STRATA_NODES", filepath.Join(disk, "n"))
	_, err := Start(t.Context(), Options{Name: "small", Kube: "/bin/true", Program: "/bin/true"})
	if err == nil || !strings.Contains(err.Error(), "the disk of "+disk+" has 0.0 GiB left") {
		t.Errorf("error: %v", err)
	}
	left, err := os.ReadDir(disk)
	if err != nil || len(left) > 0 {
		t.Errorf("left on the disk: %v %v", left, err)
	}
}
