package config

import (
	"strings"
	"testing"
)

func TestGatewayAccount(t *testing.T) {
	long := strings.Repeat("a", 60)
	for _, c := range []struct{ gateway, class, want string }{
		{"public", "strata", "public-strata"},
		{strings.Repeat("a", 56), "strata", strings.Repeat("a", 56) + "-strata"},
	} {
		if got := GatewayAccount(c.gateway, c.class); got != c.want {
			t.Errorf("GatewayAccount(%q, %q) = %q, want %q", c.gateway, c.class, got, c.want)
		}
	}
	// Cut names stay different, and are labels.
	a, b := GatewayAccount(long, "strata"), GatewayAccount(long, "stratb")
	if a == b || len(a) != 63 || len(b) != 63 {
		t.Errorf("cut names are %q and %q", a, b)
	}
	if dotted, other := GatewayAccount("a.b", "strata"), GatewayAccount("a-b", "strata"); strings.Contains(dotted, ".") || dotted == other {
		t.Errorf("a.b becomes %q, a-b %q", dotted, other)
	}
}
