package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLender(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	l := lender{dir: filepath.Join(tmp, "strata", "settings"), sys: filepath.Join(tmp, "sys")}
	const low, high, dev = "fs/low", "fs/high", "net/conf/eth0.1/forwarding"
	for name, value := range map[string]string{low: "128\n", high: "4096\n", dev: "0\n"} {
		if err := write(filepath.Join(l.sys, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	is := func(name string, want int) {
		t.Helper()
		if have, err := l.get(name); err != nil || have != want {
			t.Errorf("%s = %d, want %d (%v)", name, have, want, err)
		}
	}
	all := []setting{{low, 1024}, {high, 1024}, {dev, 1}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.borrow("strata1", all))
	must(l.borrow("strata1", all)) // its init process started anew
	must(l.borrow("strata2", all))
	is(low, 1024)
	is(high, 4096)
	is(dev, 1)
	must(l.giveBack("strata1"))
	must(l.giveBack("strata3"))
	is(low, 1024)
	is(dev, 1)
	must(l.giveBack("strata2"))
	is(low, 128)
	is(high, 4096)
	is(dev, 0)
	if _, err := os.Stat(filepath.Join(tmp, "strata")); err == nil {
		t.Error("a folder is left")
	}
	// One whose interface goes while it is lent.
	must(l.borrow("strata1", all))
	must(os.RemoveAll(filepath.Join(l.sys, "net")))
	must(l.giveBack("strata1"))
	is(low, 128)
}
