package gateway_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stratahq/strata/internal/proxy/config"
)

func ptr[T any](v T) *T { return &v }

func TestHeaderFilters(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	edit := &config.HeaderChange{
		Set:    []config.Header{{Name: "x-set", Value: "new"}},
		Add:    []config.Header{{Name: "X-Add", Value: "more"}, {Name: "x-add", Value: "and more"}},
		Remove: []string{"x-remove"},
	}
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{
		Match: prefix("/"), Filters: []config.Filter{{RequestHeaders: edit}, {ResponseHeaders: edit}},
		Targets: []config.Target{{Backend: b.Name, Weight: 1, Filters: []config.Filter{
			{RequestHeaders: &config.HeaderChange{Add: []config.Header{{Name: "X-Add", Value: "of the target"}}}},
			{ResponseHeaders: &config.HeaderChange{Set: []config.Header{{Name: "X-Target", Value: "yes"}}}},
		}}},
	}))
	got := do(t, client, http.MethodGet, url(port, "/?header=X-Set:old&header=X-Add:old&header=X-Remove:a&header=X-Keep:k"), "", func(r *http.Request) {
		r.Header = http.Header{"X-Set": {"old", "older"}, "X-Add": {"old"}, "X-Remove": {"a"}, "X-Keep": {"k"}}
	})
	for what, h := range map[string]http.Header{"request": got.seen.Headers, "response": got.headers} {
		want := "old,more,and more"
		if what == "request" {
			want += ",of the target"
		}
		if s, a := strings.Join(h["X-Set"], ","), strings.Join(h["X-Add"], ","); s != "new" || a != want || h["X-Remove"] != nil || h.Get("X-Keep") != "k" {
			t.Errorf("%s: %v", what, h)
		}
	}
	if got.headers.Get("X-Target") != "yes" {
		t.Errorf("the target's filter is left out: %v", got.headers)
	}
}

func TestRedirect(t *testing.T) {
	plain, public, tls := 80, 8080, 443
	for _, tt := range []struct {
		public     int
		path, host string
		match      string
		d          config.Redirect
		want       string
	}{
		{plain, "/a?b=c", "a.example", "/", config.Redirect{Status: 302, Hostname: "b.example"}, "http://b.example/a?b=c"},
		{plain, "/a", "a.example:1234", "/", config.Redirect{Status: 301}, "http://a.example/a"},
		{public, "/a", "a.example", "/", config.Redirect{Status: 302}, "http://a.example:8080/a"},
		{public, "/a", "a.example", "/", config.Redirect{Status: 302, Scheme: "https"}, "https://a.example/a"},
		{public, "/a", "a.example", "/", config.Redirect{Status: 302, Scheme: "http"}, "http://a.example/a"},
		{public, "/a", "a.example", "/", config.Redirect{Status: 302, Port: 80}, "http://a.example/a"},
		{plain, "/a", "a.example", "/", config.Redirect{Status: 302, Port: 8083}, "http://a.example:8083/a"},
		{plain, "/a", "a.example", "/", config.Redirect{Status: 302, Port: 443}, "http://a.example:443/a"},
		{plain, "/a", "a.example", "/", config.Redirect{Status: 308, Scheme: "https", Port: 443}, "https://a.example/a"},
		{plain, "/a", "a.example", "/", config.Redirect{Status: 307, Scheme: "https", Port: 8443}, "https://a.example:8443/a"},
		{tls, "/a", "a.example", "/", config.Redirect{Status: 302}, "http://a.example:443/a"}, // a port without TLS
		{plain, "/a", "[::1]:80", "/", config.Redirect{Status: 302}, "http://[::1]/a"},
		{public, "/a", "[::1]", "/", config.Redirect{Status: 302}, "http://[::1]:8080/a"},
		{plain, "/old/a%20b?q", "a.example", "/old", config.Redirect{Status: 302, Path: &config.PathChange{Prefix: ptr("/new")}}, "http://a.example/new/a%20b?q"},
		{plain, "/old", "a.example", "/old", config.Redirect{Status: 302, Path: &config.PathChange{Prefix: ptr("")}}, "http://a.example/"},
		{plain, "/old/a", "a.example", "/old", config.Redirect{Status: 303, Path: &config.PathChange{Full: ptr("/one")}}, "http://a.example/one"},
		{plain, "//evil.example/a", "a.example", "/", config.Redirect{Status: 302}, "http://a.example/evil.example/a"},
	} {
		port := freePort(t)
		c := simple(port, nil, config.Route{Match: prefix(tt.match), Filters: []config.Filter{{Redirect: &tt.d}}})
		c.Ports[0].Public = tt.public
		newGateway(t, nil).apply(c)
		got := get(t, port, tt.host, tt.path)
		if got.code != tt.d.Status || got.headers.Get("Location") != tt.want {
			t.Errorf("%+v of %s%s: got %d to %q, want %q", tt.d, tt.host, tt.path, got.code, got.headers.Get("Location"), tt.want)
		}
	}
}

func TestRewrite(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	for _, tt := range []struct {
		path, match string
		w           config.Rewrite
		want, host  string
	}{
		{"/prefix/one/two?a=b", "/prefix/one", config.Rewrite{Path: &config.PathChange{Prefix: ptr("/one")}}, "/one/two?a=b", ""},
		{"/strip-prefix/three", "/strip-prefix", config.Rewrite{Path: &config.PathChange{Prefix: ptr("/")}}, "/three", ""},
		{"/strip-prefix", "/strip-prefix", config.Rewrite{Path: &config.PathChange{Prefix: ptr("/")}}, "/", ""},
		{"/strip-prefix", "/strip-prefix", config.Rewrite{Path: &config.PathChange{Prefix: ptr("")}}, "/", ""},
		{"/full/one/two", "/full/one", config.Rewrite{Path: &config.PathChange{Full: ptr("/one two")}}, "/one%20two", ""},
		{"/a/b%20c/d,e%2Cf;g=h/", "/a", config.Rewrite{Path: &config.PathChange{Prefix: ptr("/x")}}, "/x/b%20c/d,e%2Cf;g=h/", ""},
		{"/one", "/", config.Rewrite{Hostname: "one.example.org"}, "/one", "one.example.org"},
		{"/a?x=%zz&y=1;2", "/", config.Rewrite{Hostname: "one.example.org"}, "/a?x=%zz&y=1;2", "one.example.org"},
	} {
		port := freePort(t)
		newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{
			Match: prefix(tt.match), Targets: to(b),
			Filters: []config.Filter{{Rewrite: &tt.w}, {RequestHeaders: &config.HeaderChange{Set: []config.Header{{Name: "X-Also", Value: "this"}}}}},
		}))
		got := get(t, port, "rewrite.example", tt.path).seen
		host := tt.host
		if host == "" {
			host = "rewrite.example"
		}
		if got.Path != tt.want || got.Host != host || got.Headers.Get("X-Also") != "this" {
			t.Errorf("%s: got %s of %s, want %s of %s", tt.path, got.Path, got.Host, tt.want, host)
		}
	}
}

// recorded keeps what is asked of it.
type recorded struct {
	mu  sync.Mutex
	got []string
}

func (r *recorded) handler(name string) http.Handler {
	next := echo(name)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		buffer := new(strings.Builder)
		req.Write(buffer)
		r.mu.Lock()
		r.got = append(r.got, buffer.String())
		r.mu.Unlock()
		next.ServeHTTP(w, req)
	})
}

func (r *recorded) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func TestMirror(t *testing.T) {
	var one, two, half recorded
	web, m1, m2, m3 := backend(t, "apps/web:80", echo("web")), backend(t, "apps/one:80", one.handler("one")), backend(t, "apps/two:80", two.handler("two")), backend(t, "apps/half:80", half.handler("half"))
	port := freePort(t)
	f := newGateway(t, nil)
	mirror := func(b config.Backend, n, d int) config.Filter {
		return config.Filter{Mirror: &config.Mirror{Backend: b.Name, Numerator: n, Denominator: d}}
	}
	dead := config.Backend{Name: "apps/dead:80", Endpoints: []config.Endpoint{{Address: "127.0.0.1", Port: freePort(t)}}}
	f.apply(simple(port, []config.Backend{web, m1, m2, m3, dead},
		config.Route{Match: prefix("/half"), Targets: to(web), Filters: []config.Filter{mirror(m3, 1, 2)}},
		config.Route{Match: prefix("/"), Targets: to(web), Filters: []config.Filter{
			{RequestHeaders: &config.HeaderChange{Set: []config.Header{{Name: "X-Set", Value: "by the gateway"}}}},
			mirror(m1, 1, 1), mirror(m2, 1, 1), mirror(m2, 0, 1), mirror(dead, 1, 1),
		}}))
	if got := get(t, port, "a.example", "/a?b"); got.seen.Name != "web" {
		t.Fatalf("got %+v", got)
	}
	body := strings.Repeat("x", 60<<10)
	if got := do(t, client, http.MethodPost, url(port, "/b"), body, nil); got.seen.Body != body {
		t.Error("the body does not arrive")
	}
	long := strings.Repeat("x", 200<<10)
	if got := do(t, client, http.MethodPost, url(port, "/c"), long, nil); got.seen.Body != long {
		t.Error("the long body does not arrive")
	}
	for name, m := range map[string]*recorded{"one": &one, "two": &two} {
		eventually(t, "two requests to mirror "+name, func() bool { return len(m.all()) == 2 })
		all := strings.Join(m.all(), "\n")
		for _, want := range []string{"GET /a?b HTTP/1.1", "Host: a.example", "X-Set: by the gateway", "POST /b HTTP/1.1", body} {
			if !strings.Contains(all, want) {
				t.Errorf("mirror %s lacks %.40q", name, want)
			}
		}
		if strings.Contains(all, "/c") {
			t.Error("a body that is not kept is mirrored")
		}
	}
	for range 200 {
		get(t, port, "", "/half")
	}
	eventually(t, "about half of 200 requests", func() bool { n := len(half.all()); return n > 60 && n < 140 })
}

func TestWeights(t *testing.T) {
	a, b, c := backend(t, "apps/a:80", echo("a")), backend(t, "apps/b:80", echo("b")), backend(t, "apps/c:80", echo("c"))
	none := config.Backend{Name: "apps/none:80"}
	port := freePort(t)
	weighted := func(match string, weights map[string]int) config.Route {
		r := config.Route{Match: prefix(match)}
		for name, w := range weights {
			r.Targets = append(r.Targets, config.Target{Backend: name, Weight: w})
		}
		return r
	}
	newGateway(t, nil).apply(simple(port, []config.Backend{a, b, c, none},
		weighted("/w", map[string]int{a.Name: 70, b.Name: 30, c.Name: 0}),
		weighted("/zero", map[string]int{a.Name: 0, b.Name: 0}),
		weighted("/invalid", map[string]int{"": 1}),
		weighted("/half", map[string]int{"": 1, a.Name: 1}),
		weighted("/none", map[string]int{none.Name: 1}),
		weighted("/empty", nil),
	))
	got := map[string]int{}
	for range 500 {
		got[get(t, port, "", "/w").seen.Name]++
	}
	if got["a"] < 300 || got["a"] > 400 || got["b"] != 500-got["a"] {
		t.Errorf("70 to 30 to 0 became %v", got)
	}
	codes := map[int]int{}
	for range 200 {
		codes[get(t, port, "", "/half").code]++
	}
	if codes[500] < 60 || codes[200] != 200-codes[500] {
		t.Errorf("one valid and one invalid target: %v", codes)
	}
	for path, want := range map[string]int{"/zero": 500, "/invalid": 500, "/none": 503, "/empty": 500} {
		if got := get(t, port, "", path); got.code != want {
			t.Errorf("%s: got %d, want %d", path, got.code, want)
		}
	}
}
