package translate

import (
	"slices"
	"testing"
)

func TestIntersect(t *testing.T) {
	for _, c := range []struct {
		a, b, want string
		none       bool
	}{
		{a: "", b: "", want: ""},
		{a: "", b: "a.example", want: "a.example"},
		{a: "", b: "*.example", want: "*.example"},
		{a: "a.example", b: "a.example", want: "a.example"},
		{a: "a.example", b: "b.example", none: true},
		{a: "*.example.com", b: "a.example.com", want: "a.example.com"},
		{a: "*.example.com", b: "a.b.example.com", want: "a.b.example.com"},
		{a: "*.example.com", b: "example.com", none: true},
		{a: "*.example.com", b: "aexample.com", none: true},
		{a: "*.example.com", b: ".example.com", none: true},
		{a: "*.example.com", b: "*.example.com", want: "*.example.com"},
		{a: "*.example.com", b: "*.a.example.com", want: "*.a.example.com"},
		{a: "*.example.com", b: "*.example.org", none: true},
	} {
		for _, swap := range []bool{false, true} {
			a, b := c.a, c.b
			if swap {
				a, b = b, a
			}
			got, ok := intersect(a, b)
			if ok == c.none || got != c.want {
				t.Errorf("intersect(%q, %q) = %q, %v", a, b, got, ok)
			}
		}
	}
}

func TestBySpecificity(t *testing.T) {
	want := []string{"b.a.example.com", "a.example.com", "c.example", "*.a.example.com", "*.example.com", "*.com", ""}
	got := slices.Clone(want)
	slices.Sort(got)
	slices.SortFunc(got, bySpecificity)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
