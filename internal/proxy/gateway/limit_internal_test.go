package gateway

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
)

func TestClients(t *testing.T) {
	c := newClients(100)
	now := time.Unix(1e9, 0)
	l := config.Limits{RequestsPerSecond: 2}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for i := range 2 {
		if ok, _ := c.allow("r", a, l, now); !ok {
			t.Errorf("request %d is refused", i)
		}
	}
	if ok, wait := c.allow("r", a, l, now); ok || wait != time.Second/2 {
		t.Errorf("the third: %t, %s", ok, wait)
	}
	if ok, _ := c.allow("r", b, l, now); !ok {
		t.Error("another client is refused")
	}
	if ok, _ := c.allow("r2", a, l, now); !ok {
		t.Error("another route is refused")
	}
	if ok, _ := c.allow("r", a, l, now.Add(time.Second/2)); !ok {
		t.Error("half a second later it is refused")
	}
}

func TestClientsAreBounded(t *testing.T) {
	c := newClients(100)
	now := time.Unix(1e9, 0)
	l := config.Limits{RequestsPerSecond: 1e-6, Burst: 1}
	faithful := netip.MustParseAddr("192.0.2.1")
	c.allow("r", faithful, l, now)
	for i := range 10_000 {
		c.allow("r", netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), l, now)
		if i%50 == 0 {
			if ok, _ := c.allow("r", faithful, l, now); ok {
				t.Fatal("a client that keeps asking is forgotten")
			}
		}
		if n := len(c.now) + len(c.old); n > 201 {
			t.Fatalf("%d clients are remembered", n)
		}
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::9": "2001:db8:1:2::", "2001:db8:1:3::9": "2001:db8:1:3::", "fe80::1%eth0": "fe80::",
	} {
		if got := network(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if network(netip.Addr{}).IsValid() {
		t.Error("no address becomes one")
	}
}
