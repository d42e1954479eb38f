package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stratahq/strata/internal/proxy/config"
)

func TestCORS(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	route := func(path string, c config.CORS) config.Route {
		return config.Route{Match: prefix(path), Targets: to(b), Filters: []config.Filter{{CORS: &c}}}
	}
	full := config.CORS{
		AllowOrigins: []string{"https://www.foo.com", "https://*.bar.com", "http://port.com:80", "https://*.any.com:8443"},
		AllowMethods: []string{"GET", "OPTIONS"}, AllowHeaders: []string{"x-header-1", "x-header-2"},
		ExposeHeaders: []string{"x-header-3", "x-header-4"}, AllowCredentials: true, MaxAge: 3600,
	}
	get1 := route("/get", full)
	get1.Match.Method = "GET"
	newGateway(t, nil).apply(simple(port, []config.Backend{b},
		route("/full", full), get1,
		route("/methods", config.CORS{AllowOrigins: []string{"https://www.foo.com"}, AllowMethods: []string{"*"}}),
		route("/origin", config.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"PUT"}}),
		route("/all", config.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}, AllowCredentials: true}),
		route("/open", config.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}}),
		config.Route{Match: prefix("/none"), Targets: to(b)},
	))
	const none = "-"
	for name, tt := range map[string]struct {
		method, path, origin, asks, headers string
		code                                int
		want                                string // origin | credentials | methods | headers | exposed | age
	}{
		"exact":                {"OPTIONS", "/full", "https://www.foo.com", "GET", "x-header-1, x-header-2", 200, "https://www.foo.com|true|GET, OPTIONS|x-header-1, x-header-2|x-header-3, x-header-4|3600"},
		"wildcard":             {"OPTIONS", "/full", "https://www.bar.com", "GET", "", 200, "https://www.bar.com|true|GET, OPTIONS|x-header-1, x-header-2|x-header-3, x-header-4|3600"},
		"wildcard of two":      {"OPTIONS", "/full", "https://a.b.bar.com", "GET", "", 200, "https://a.b.bar.com|true|GET, OPTIONS|x-header-1, x-header-2|x-header-3, x-header-4|3600"},
		"wildcard of none":     {"OPTIONS", "/full", "https://bar.com", "GET", "", 200, none},
		"suffix of a name":     {"OPTIONS", "/full", "https://evilbar.com", "GET", "", 200, none},
		"name as a part":       {"OPTIONS", "/full", "https://www.foo.com.evil.com", "GET", "", 200, none},
		"name as user":         {"OPTIONS", "/full", "https://evil.com/.bar.com", "GET", "", 200, none},
		"name as port":         {"OPTIONS", "/full", "https://evil.com:80.bar.com", "GET", "", 200, none},
		"other scheme":         {"OPTIONS", "/full", "http://www.foo.com", "GET", "", 200, none},
		"other port":           {"OPTIONS", "/full", "https://www.foo.com:8443", "GET", "", 200, none},
		"port implied":         {"OPTIONS", "/full", "http://port.com", "GET", "", 200, "http://port.com|true|GET, OPTIONS|x-header-1, x-header-2|x-header-3, x-header-4|3600"},
		"port said":            {"OPTIONS", "/full", "https://x.any.com:8443", "GET", "", 200, "https://x.any.com:8443|true|GET, OPTIONS|x-header-1, x-header-2|x-header-3, x-header-4|3600"},
		"null":                 {"OPTIONS", "/full", "null", "GET", "", 200, none},
		"of a route for GET":   {"OPTIONS", "/get", "https://www.foo.com", "GET", "", 200, "https://www.foo.com|true|GET, OPTIONS|x-header-1, x-header-2|x-header-3, x-header-4|3600"},
		"of no route for POST": {"OPTIONS", "/get", "https://www.foo.com", "POST", "", 404, none},
		"any method":           {"OPTIONS", "/methods", "https://www.foo.com", "POST", "", 200, "https://www.foo.com||POST|||5"},
		"any origin":           {"OPTIONS", "/origin", "https://foobar.com:12345", "PUT", "", 200, "https://foobar.com:12345||PUT|||5"},
		"anything":             {"OPTIONS", "/all", "https://other.foo.com", "PUT", "x-a, x-b", 200, "https://other.foo.com|true|PUT|x-a, x-b||5"},
		"anything, no headers": {"OPTIONS", "/all", "https://other.foo.com", "PUT", "", 200, "https://other.foo.com|true|PUT|||5"},
		"without credentials":  {"OPTIONS", "/open", "https://other.foo.com", "PUT", "x-a, x-b", 200, "https://other.foo.com||PUT|x-a, x-b|*|5"},
		"simple":               {"GET", "/full", "https://www.foo.com", "", "", 200, "https://www.foo.com|true|||x-header-3, x-header-4|"},
		"simple, other":        {"GET", "/full", "https://foobar.com", "", "", 200, none},
		"no origin":            {"GET", "/full", "", "", "", 200, none},
		"options, no question": {"OPTIONS", "/full", "https://www.foo.com", "", "", 200, "https://www.foo.com|true|||x-header-3, x-header-4|"},
		"no filter":            {"OPTIONS", "/none", "https://www.foo.com", "GET", "", 200, "backend's|||||"},
	} {
		t.Run(name, func(t *testing.T) {
			// The backend has a view of its own, which does not count.
			got := do(t, client, tt.method, url(port, tt.path+"?header=Access-Control-Allow-Origin:backend's"), "", func(r *http.Request) {
				for k, v := range map[string]string{"Origin": tt.origin, "Access-Control-Request-Method": tt.asks, "Access-Control-Request-Headers": tt.headers} {
					if v != "" {
						r.Header.Set(k, v)
					}
				}
			})
			var have []string
			for _, h := range []string{"Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers", "Expose-Headers", "Max-Age"} {
				have = append(have, strings.Join(got.headers["Access-Control-"+h], "+"))
			}
			want := tt.want
			if want == none {
				want = "|||||"
			}
			if s := strings.Join(have, "|"); s != want || got.code != tt.code {
				t.Errorf("got %d %s, want %d %s", got.code, s, tt.code, want)
			}
			if tt.origin != "" && tt.path != "/none" && tt.code != 404 && !strings.Contains(strings.Join(got.headers["Vary"], ","), "Origin") {
				t.Error("caches are not told that the answer depends on the origin")
			}
		})
	}
}
