package addr_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stratahq/strata/internal/addr"
)

func TestParseUnit(t *testing.T) {
	cases := []struct {
		in   string
		want addr.Unit
		ok   bool
	}{
		{"prod/network", addr.Foundation("prod", "network"), true},
		{"prod/platform/secrets", addr.Platform("prod", "secrets"), true},
		{"prod/teams/shop", addr.Team("prod", "shop"), true},
		{"prod/workloads/web", addr.Workload("prod", "web"), true},
		{"prod/workloads/web/db", addr.WorkloadResource("prod", "web", "db"), true},
		{"prod/shared/amqp/default/orders.v1", addr.SharedResource("prod", addr.Resource{Type: "amqp", Class: "default", ID: "orders.v1"}), true},
		{"a/B_9-.", addr.Unit{Env: "a", Name: "B_9-."}, true},
		{"", addr.Unit{}, false}, {"prod", addr.Unit{}, false}, {"/", addr.Unit{}, false}, {"prod/", addr.Unit{}, false}, {"/network", addr.Unit{}, false},
		{"prod//x", addr.Unit{}, false}, {"prod/x/", addr.Unit{}, false}, {"../x", addr.Unit{}, false}, {"prod/..", addr.Unit{}, false}, {"prod/../../x", addr.Unit{}, false},
		{"prod/.hidden", addr.Unit{}, false}, {"prod/a b", addr.Unit{}, false}, {"prod/é", addr.Unit{}, false}, {"prod/a\n", addr.Unit{}, false}, {"prod/a\x00", addr.Unit{}, false}, {`prod/a\b`, addr.Unit{}, false}, {"prod/*", addr.Unit{}, false},
	}
	for _, c := range cases {
		got, err := addr.ParseUnit(c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%q: %+v, %v", c.in, got, err)
		}
		if c.ok && got.String() != c.in {
			t.Errorf("%q prints as %q", c.in, got)
		}
	}
}

// FuzzParseUnit wants what parses to print as it was, in JSON too, and to be safe as
// a path below a folder.
func FuzzParseUnit(f *testing.F) {
	for _, s := range []string{"", "prod/network", "prod/shared/amqp/default/orders", "a/..", "a//b", "é/x", "a/b\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := addr.ParseUnit(s)
		if err != nil {
			if u != (addr.Unit{}) {
				t.Errorf("%q: an error and %+v", s, u)
			}
			return
		}
		if u.String() != s || u.Env == "" || u.Name == "" || strings.Contains(u.Env, "/") {
			t.Errorf("%q is %+v", s, u)
		}
		for seg := range strings.SplitSeq(s, "/") {
			if seg == "" || seg == "." || seg == ".." {
				t.Errorf("%q has the segment %q", s, seg)
			}
		}
		b, err := json.Marshal(map[addr.Unit]addr.Unit{u: u})
		var back map[addr.Unit]addr.Unit
		if err != nil || json.Unmarshal(b, &back) != nil || back[u] != u {
			t.Errorf("%q through JSON is %v (%v)", s, back, err)
		}
	})
}

func TestUnmarshalRefuses(t *testing.T) {
	u := addr.Foundation("prod", "network")
	if err := json.Unmarshal([]byte(`"../x"`), &u); err == nil || u.String() != "prod/network" {
		t.Errorf("%v, %v", u, err)
	}
}

// TestCompare wants an order that is one: the same however the units were mixed.
func TestCompare(t *testing.T) {
	unit := rapid.Custom(func(t *rapid.T) addr.Unit {
		seg := rapid.StringMatching(`[ab][ab-]?`)
		return addr.Unit{Env: seg.Draw(t, "env"), Name: seg.Draw(t, "family") + "/" + seg.Draw(t, "name")}
	})
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOf(unit).Draw(t, "units")
		sorted := slices.SortedFunc(slices.Values(units), addr.Unit.Compare)
		mixed := slices.SortedFunc(slices.Values(rapid.Permutation(units).Draw(t, "mixed")), addr.Unit.Compare)
		if !slices.Equal(sorted, mixed) {
			t.Fatalf("%v and %v", sorted, mixed)
		}
		for i := 1; i < len(sorted); i++ {
			a, b := sorted[i-1], sorted[i]
			if c := a.Compare(b); c > 0 || c != -b.Compare(a) || (c == 0) != (a == b) || a.Env > b.Env || a.Env == b.Env && a.Name > b.Name {
				t.Fatalf("%v, %v: %d", a, b, c)
			}
		}
	})
}

func TestString(t *testing.T) {
	u := addr.Team("prod", "shop")
	for want, have := range map[string]string{
		"prod/teams/shop Service/shop/web": addr.Object{Unit: u, Kind: "Service", Namespace: "shop", Name: "web"}.String(),
		"prod/teams/shop Namespace/shop":   addr.Object{Unit: u, Kind: "Namespace", Name: "shop"}.String(),
		"amqp.default#orders":              addr.Resource{Type: "amqp", Class: "default", ID: "orders"}.String(),
	} {
		if have != want {
			t.Errorf("%q, want %q", have, want)
		}
	}
}
