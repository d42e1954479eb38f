package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", MaxName)
	for _, tt := range []struct{ name, root, want string }{
		{"acme-local", "/var/lib/strata", ""},
		{long, "/var/lib/strata", ""},
		{long + "a", "/var/lib/strata", "at most 60"},
		{"", "/var/lib/strata", "cannot be the name"},
		{"-a", "/var/lib/strata", "cannot be the name"},
		{"a-", "/var/lib/strata", "cannot be the name"},
		{"../a", "/var/lib/strata", "cannot be the name"},
		{"Acme", "/var/lib/strata", "cannot be the name"},
		{"a", "nodes", "must be an absolute path"},
		{"a", "/var/log/nodes", "a /var/log of its own"},
		{"a", "/run/nodes", "a /run of its own"},
		{"a", "/runs/nodes", ""},
		{long, "/" + strings.Repeat("r", 19), ""},
		{long, "/" + strings.Repeat("r", 20), "this is 1 too long"},
	} {
		err := Config{Name: tt.name, Dir: tt.root + "/" + tt.name}.fits()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s in %s: %v, want %q", tt.name, tt.root, err, tt.want)
		}
	}
	// What fits can be listened at.
	dir := "/tmp/" + strings.Repeat("r", maxSocket-len("/tmp/")-len("/run/containerd.sock.ttrpc"))
	c := Config{Name: "a", Dir: dir}
	if err := c.fits(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.path("run"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", c.Socket()+".ttrpc")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestOwner(t *testing.T) {
	t.Setenv("STRATA_NODES", filepath.Join(t.TempDir(), "n"))
	c := Config{Name: "acme-local", Dir: filepath.Join(Root(), "acme-local"), Owner: "/src/one", Link: -1}
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Name: "acme-local", Owner: "/src/two", Kube: "/bin/true", Program: "/bin/true"})
	if err == nil || !strings.Contains(err.Error(), "belongs to the repository /src/one") {
		t.Errorf("error: %v", err)
	}
	if have, err := Load(c.Dir); err != nil || have != c {
		t.Errorf("the node was changed: %+v %v", have, err)
	}
}

func TestClaims(t *testing.T) {
	// Both of this test's nodes want what they would have alone.
	a := Config{Name: "a", Dir: "/one/a", Link: 77}
	first, err := a.claim(standard)
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	b := Config{Name: "a", Dir: "/two/a", Link: 77, API: a.API, HTTP: a.HTTP}
	second, err := b.claim(standard)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if a.Link == b.Link || a.API == b.API || a.HTTP == b.HTTP {
		t.Errorf("two nodes have the same: %+v and %+v", a, b)
	}
	// What a node had it gets again, unless somebody else has it.
	want := b
	second.close()
	again, err := b.claim(standard)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if b != want {
		t.Errorf("%+v, want %+v", b, want)
	}
}

func TestPortsTaken(t *testing.T) {
	port, l := listen([]int{port0(t), port0(t), port0(t)})
	if l == nil {
		t.Fatal("no port is free")
	}
	defer l.Close()
	c := Config{Name: "a", Dir: "/a", Link: -1}
	_, err := c.claim(candidates{api: []int{port}, http: standard.http, https: standard.https})
	want := fmt.Sprintf("all of the ports [%d] of 127.0.0.1 are taken, and the API server needs one of them: end one of the programs that have them (`ss -ltnp`", port)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error: %v", err)
	}
	// The number was given back.
	number, err := reserve(c.Link)
	if err != nil {
		t.Fatal(err)
	}
	number.Close()
}

// port0 returns a port that was free a moment ago.
func port0(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestLock(t *testing.T) {
	t.Parallel()
	c := Config{Name: "a", Dir: t.TempDir()}
	if Running(c.Dir) || Keeper(c.Dir) != 0 {
		t.Error("a node that was never started runs")
	}
	l, err := c.lock()
	if err != nil {
		t.Fatal(err)
	}
	if !Running(c.Dir) || Keeper(c.Dir) != os.Getpid() {
		t.Error("a node whose lock is taken does not run")
	}
	if _, err := c.lock(); !errors.Is(err, ErrRunning) {
		t.Errorf("the lock was taken twice: %v", err)
	}
	l.Close()
	// A process that another test is just starting has the lock, until it becomes what it is
	// to be.
	eventually(t, func() error {
		if Running(c.Dir) || Keeper(c.Dir) != 0 {
			return errors.New("a node whose keeper ended runs")
		}
		return nil
	})
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		resolv, want string
		ok           bool
	}{
		{"nameserver 10.0.0.2\nsearch a.example\n", "nameserver 10.0.0.2\nsearch a.example\n", true},
		{"# by systemd\nnameserver 127.0.0.53\noptions edns0\n", "# by systemd\noptions edns0\n", false},
		{"nameserver ::1\nnameserver 10.0.0.2", "nameserver 10.0.0.2\n", true},
		{"nameserver fe80::1%eth0\n", "\n", false},
		{"", "\n", false},
	} {
		if got, ok := reachable(tt.resolv); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %q %v, want %q %v", tt.resolv, got, ok, tt.want, tt.ok)
		}
	}
}
