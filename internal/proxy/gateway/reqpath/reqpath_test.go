package reqpath_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/proxy/gateway/reqpath"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{ // escaped, and plain where it differs
		"/":                   "/",
		"/a":                  "/a",
		"/a/":                 "/a/",
		"/a/b.c/~d_-":         "/a/b.c/~d_-",
		"//":                  "/",
		"//a///b//":           "/a/b/",
		"/a/./b":              "/a/b",
		"/a/b/.":              "/a/b/",
		"/a/b/..":             "/a/",
		"/a/../b":             "/b",
		"/a/..":               "/",
		"/a/b/../../c":        "/c",
		"/a/%2e%2e/b":         "/b",
		"/a/.%2E/b":           "/b",
		"/a/%2e/b":            "/a/b",
		"/%61dmin":            "/admin",
		"/a%2db%7e":           "/a-b~",
		"/a%2cb":              "/a%2Cb /a,b",
		"/a,b":                "/a,b",
		"/a b":                "/a%20b /a b",
		"/a%20b":              "/a%20b /a b",
		"/a%25b":              "/a%25b /a%b",
		"/%252e%252e/b":       "/%252e%252e/b /%2e%2e/b",
		"/%3f":                "/%3F /?",
		"/%23":                "/%23 /#",
		"/%c3%a4":             "/%C3%A4 /ä",
		"/ä":                  "/%C3%A4 /ä",
		"/a<b>|\"^`{}":        "/a%3Cb%3E%7C%22%5E%60%7B%7D /a<b>|\"^`{}",
		"/a;x=1/b":            "/a;x=1/b /a/b",
		"/a%3bx/b":            "/a%3Bx/b /a/b",
		"/...":                "/...",
		"/.a/..b":             "/.a/..b",
		"/a/.../b":            "/a/.../b",
		"/a@b:c/$&'()*+,=!":   "/a@b:c/$&'()*+,=!",
		"/a/b;jsessionid=1/.": "/a/b;jsessionid=1/ /a/b/",
		"/[v1]":               "/%5Bv1%5D /[v1]",
	} {
		escaped, plain, two := strings.Cut(want, " /")
		if plain = "/" + plain; !two {
			plain = escaped
		}
		got, err := reqpath.Parse(raw)
		if err != nil || got.Escaped != escaped || got.Plain != plain {
			t.Errorf("%q: got %q and %q, %v; want %q and %q", raw, got.Escaped, got.Plain, err, escaped, plain)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, raw := range []string{
		"", "a", "*", "http://a/", "%2f", "/..", "/../a", "/a/../..", "/%2e%2e/a", "/a/../../b",
		"/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a/..\\b", "/a/..%5c", "/..%2fa",
		"/a/..;/b", "/a/..;x/b", "/a/.;/b", "/;/a", "/;a", "/a/..%3b/b", "/a/%2e%2e;/b", "/a/%2e%2e%3bx/b",
		"/a%", "/a%2", "/a%zz", "/a%2z", "/a%00", "/a%0d%0a", "/a\x00", "/a\nb", "/a\x7f", "/a%7f", "/a#b",
		"/%c0%ae%c0%ae/a", "/%ff", "/\xff", "/a;%ff",
	} {
		if got, err := reqpath.Parse(raw); err == nil {
			t.Errorf("%q: got %+v", raw, got)
		}
	}
}

func TestHasPrefix(t *testing.T) {
	for _, tt := range []struct {
		path, prefix string
		want         bool
	}{
		{"/a", "/a", true}, {"/a/", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false},
		{"/a", "/a/", true}, {"/a/b", "/a/", true}, {"/a", "/", true}, {"/", "/", true},
		{"/a", "/a/b", false}, {"/", "/a", false}, {"/a;x/b", "/a", true}, {"/A", "/a", false},
	} {
		p, err := reqpath.Parse(tt.path)
		if err != nil || p.HasPrefix(tt.prefix) != tt.want {
			t.Errorf("%q has prefix %q: want %t, %v", tt.path, tt.prefix, tt.want, err)
		}
	}
}

// TestReplacePrefix has the table of the Gateway API's HTTPPathModifier first.
func TestReplacePrefix(t *testing.T) {
	for _, tt := range [][4]string{
		{"/foo/bar", "/foo", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo", "/xyz/", "/xyz/bar"},
		{"/foo/bar", "/foo/", "/xyz", "/xyz/bar"},
		{"/foo/bar", "/foo/", "/xyz/", "/xyz/bar"},
		{"/foo", "/foo", "/xyz", "/xyz"},
		{"/foo/", "/foo", "/xyz", "/xyz/"},
		{"/foo/bar", "/foo", "", "/bar"},
		{"/foo/", "/foo", "", "/"},
		{"/foo", "/foo", "", "/"},
		{"/foo/", "/foo", "/", "/"},
		{"/foo", "/foo", "/", "/"},

		{"/foo/bar", "/", "/xyz", "/xyz/foo/bar"},
		{"/", "/", "/xyz", "/xyz/"},
		{"/a/b/c%20d;e", "/a/b", "/x%2Cy", "/x%2Cy/c%20d;e"},
		{"/a;p/b", "/a", "/x", "/x/b"},
	} {
		p, err := reqpath.Parse(tt[0])
		if err != nil {
			t.Fatal(err)
		}
		var with reqpath.Path
		if tt[2] != "" {
			if with, err = reqpath.Parse(tt[2]); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.ReplacePrefix(tt[1], with); got.Escaped != tt[3] {
			t.Errorf("%q with %q in place of %q: got %q, want %q", tt[0], tt[2], tt[1], got.Escaped, tt[3])
		}
	}
}

// FuzzParse looks for paths that a server could read differently from the gateway, whose
// library is taken for that server's.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/a/b", "/a/%2e%2e/b", "//a/./b/", "/a;x/..;/b", "/%c0%ae/", "/a%2fb", "/\\..\\", "/ä%20;%3b", "/a/..%3b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := reqpath.Parse(raw)
		if err != nil {
			return
		}
		again, err := reqpath.Parse(p.Escaped)
		if err != nil || again != p {
			t.Fatalf("%q became %+v and then %+v, %v", raw, p, again, err)
		}
		u, err := url.ParseRequestURI(p.Escaped)
		if err != nil {
			t.Fatalf("%q became %q: %v", raw, p.Escaped, err)
		}
		if u.RawQuery != "" || u.ForceQuery || u.Host != "" || u.EscapedPath() != p.Escaped {
			t.Fatalf("%q became %q, which is read as %#v", raw, p.Escaped, u)
		}
		// What a server sees that takes parameters away, decodes and resolves dots is Plain.
		var segments []string
		for s := range strings.SplitSeq(u.Path, "/") {
			s, _, _ = strings.Cut(s, ";")
			segments = append(segments, s)
		}
		seen := strings.Join(segments, "/")
		if seen != p.Plain {
			t.Fatalf("%q became %q; a server sees %q, the gateway %q", raw, p.Escaped, seen, p.Plain)
		}
		if clean := path.Clean(seen); clean != strings.TrimSuffix(seen, "/") && seen != "/" {
			t.Fatalf("%q became %q, whose clean form is %q", raw, seen, clean)
		}
		if strings.ContainsAny(p.Plain, "\\\x00\r\n") {
			t.Fatalf("%q became %q", raw, p.Plain)
		}
		if strings.Count(p.Plain, "/") != strings.Count(p.Escaped, "/") {
			t.Fatalf("%q became %+v with different numbers of segments", raw, p)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"/api/v1/orders/1234", "/api/v1/%2e/orders//1234"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = reqpath.Parse(s)
			}
		})
	}
}
