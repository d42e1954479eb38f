package node

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/needs"
)

// A firewall that forwards nothing lets nodes out, as long as they are there.
func TestFirewall(t *testing.T) {
	if os.Geteuid() != 0 {
		needs.Skip(t, "needs root, for a network namespace; CI runs as root")
	}
	if _, err := look("iptables"); err != nil {
		needs.Skip(t, "needs iptables: make deps")
	}
	// Programs that this thread starts have its network; the thread ends with the test.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	one, two := Config{Link: 1}, Config{Link: 11}
	state := func() string {
		t.Helper()
		out, err := iptables("-S", "FORWARD")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	before := state()
	must(one.pass())
	if got := state(); got != before {
		t.Errorf("a firewall that lets everything through was changed:\n%s", got)
	}
	for _, args := range [][]string{{"-P", "FORWARD", "DROP"}, {"-A", "FORWARD", "-i", "eth9", "-j", "ACCEPT"}} {
		if _, err := iptables(args...); err != nil {
			t.Fatal(err)
		}
	}
	before = state()
	must(two.pass())
	alone := state()
	must(one.pass())
	must(one.pass())
	const rules = "-A FORWARD -i strata1 -j ACCEPT\n-A FORWARD -o strata1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
	if want := "-P FORWARD DROP\n" + rules + rules + alone[len("-P FORWARD DROP\n"):]; state() != want {
		t.Errorf("rules:\n%s\nwant:\n%s", state(), want)
	}
	must(one.unpass())
	if state() != alone {
		t.Errorf("after one node:\n%s\nwant:\n%s", state(), alone)
	}
	must(two.unpass())
	must(two.unpass())
	if state() != before {
		t.Errorf("after both nodes:\n%s\nwant:\n%s", state(), before)
	}
}
