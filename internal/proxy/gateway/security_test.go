package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
)

// TestSmuggling sends requests whose end can be seen in two places. A gateway must not see
// one and the backend the other: "/smuggled" arrives nowhere, unless the gateway has taken it
// for a request and checked it as one.
func TestSmuggling(t *testing.T) {
	var got recorded
	b := backend(t, "apps/web:80", got.handler("web"))
	port := freePort(t)
	f := newGateway(t, nil)
	f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	const inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	chunked := "0\r\n\r\n" + inner
	for name, tt := range map[string]struct {
		request string
		want    []string // beginnings of the first line of the answer; empty: none at all
	}{
		"CL and TE":           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(chunked)) + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, []string{"HTTP/1.1 200", "HTTP/1.1 400"}},
		"TE and CL":           {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked, []string{"HTTP/1.1 200", "HTTP/1.1 400"}},
		"two lengths":         {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 35\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"list of lengths":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 35\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"negative length":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"signed length":       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"hexadecimal length":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x0\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"another coding":      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + chunked, []string{"HTTP/1.1 501", "HTTP/1.1 400"}},
		"two codings":         {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n" + chunked, []string{"HTTP/1.1 501", "HTTP/1.1 400"}},
		"coding twice":        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked, []string{"HTTP/1.1 501", "HTTP/1.1 400"}},
		"space before colon":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n" + chunked, []string{"HTTP/1.1 400"}},
		"control in coding":   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n" + chunked, []string{"HTTP/1.1 501", "HTTP/1.1 400"}},
		"folded header":       {"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n" + inner, []string{"HTTP/1.1 400", "HTTP/1.1 200"}},
		"chunk size":          {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"chunk size too long": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000000000\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"chunk without end":   {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX\r\n0\r\n\r\n" + inner, []string{"HTTP/1.1 400"}},
		"body of old":         {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, []string{"HTTP/1.0 ", "HTTP/1.1 "}},
		"two hosts":           {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []string{"HTTP/1.1 400"}},
		"no host":             {"GET / HTTP/1.1\r\n\r\n", []string{"HTTP/1.1 400"}},
		"bad host":            {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", []string{"HTTP/1.1 400"}},
		"null in a header":    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", []string{"HTTP/1.1 400"}},
		"space in a name":     {"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", []string{"HTTP/1.1 400"}},
		"space in the path":   {"GET / /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", []string{"HTTP/1.1 400"}},
		"no version":          {"GET /smuggled\r\n\r\n", []string{"HTTP/1.1 400"}},
		"another version":     {"GET /smuggled HTTP/3.0\r\nHost: a\r\n\r\n", []string{"HTTP/1.1 505", "HTTP/1.1 400"}},
		"connect":             {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + inner, []string{"HTTP/1.1 405"}},
		"upgrade to h2c":      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", []string{"HTTP/1.1 200"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := raw(t, port, tt.request+"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			first, _, _ := strings.Cut(answer, "\r\n")
			if !slices.ContainsFunc(tt.want, func(w string) bool { return strings.HasPrefix(first, w) }) {
				t.Errorf("the first answer is %q", first)
			}
		})
	}
	// Whatever was sent behind: what the backend has seen, the gateway has too.
	for _, r := range got.all() {
		if line, _, _ := strings.Cut(r, "\r\n"); strings.Contains(line, "smuggled") && !strings.Contains(f.access.String(), `"path":"/smuggled"`) {
			t.Errorf("the backend has got %q", line)
		}
		if strings.Contains(r, "HTTP2-Settings") || strings.Contains(r, "Upgrade: h2c") {
			t.Errorf("an upgrade has come through: %q", r)
		}
	}
	if strings.Count(f.access.String(), `"path":"/"`)+strings.Count(f.access.String(), `"path":"/last"`)+strings.Count(f.access.String(), `"path":"/smuggled"`) < len(got.all()) {
		t.Error("the backend has got more requests than the gateway")
	}
}

// TestPathConfusion sends paths that servers are known to read differently. The backend
// must not see anything of "/admin" unless the gateway has matched it as such.
func TestPathConfusion(t *testing.T) {
	public, admin := backend(t, "apps/public:80", echo("public")), backend(t, "apps/admin:80", echo("admin"))
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{public, admin},
		config.Route{Match: prefix("/admin"), Targets: to(admin)},
		config.Route{Match: prefix("/public"), Targets: to(public)}))
	for path, want := range map[string]string{
		"/public/a":                "public /public/a",
		"/public/../admin":         "admin /admin",
		"/public/%2e%2e/admin":     "admin /admin",
		"/public/%2E./admin":       "admin /admin",
		"/public/./../admin/x":     "admin /admin/x",
		"//admin":                  "admin /admin",
		"/public//../admin":        "admin /admin",
		"/%61dmin":                 "admin /admin",
		"/admin;a=b/x":             "admin /admin;a=b/x",
		"/public/..%2fadmin":       "400",
		"/public%2f..%2fadmin":     "400",
		"/public/..;/admin":        "400",
		"/public/..;a=b/admin":     "400",
		"/public/%2e%2e;/admin":    "400",
		"/public/..%3b/admin":      "400",
		"/public/..\\admin":        "400",
		"/public\\..\\admin":       "400",
		"/public/..%5cadmin":       "400",
		"/public/%c0%ae%c0%ae/":    "400",
		"/public/..%00/admin":      "400",
		"/public/%0d%0aX:%20y":     "400",
		"/public/../../../admin":   "400",
		"/public#/../admin":        "400",
		"/;/admin":                 "400",
		"/public/%252e%252e/admin": "public /public/%252e%252e/admin",
		"/admin/../public":         "public /public",
		"/public/.../admin":        "public /public/.../admin",
		"http://b/admin":           "admin /admin",
		"http://b/public/../admin": "admin /admin",
	} {
		answer := raw(t, port, "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		got := fmt.Sprint(res.StatusCode)
		if s := decode(body); s.Name != "" {
			got = s.Name + " " + s.Path
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestLargeHeaders(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		for size, want := range map[int]int{30 << 10: 200, 100 << 10: 431, 2 << 20: 431} {
			got, err := try(c, http.MethodGet, url(port, "/"), "", func(r *http.Request) { r.Header.Set("X-Large", strings.Repeat("x", size)) })
			// One that is still sending sees the connection closed.
			if got.code != want && (want == 200 || err == nil) {
				t.Errorf("%s: %d bytes: got %d, %v, want %d", name, size, got.code, err, want)
			}
		}
		many, err := try(c, http.MethodGet, url(port, "/"), "", func(r *http.Request) {
			for i := range 20_000 {
				r.Header.Set(fmt.Sprint("X-", i), "y")
			}
		})
		if many.code != 431 && err == nil {
			t.Errorf("%s: 20000 headers: got %d", name, many.code)
		}
	}
	// Of the backend's response too.
	large := backend(t, "apps/large:80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
	}))
	port = freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{large}, config.Route{Match: prefix("/"), Targets: to(large)}))
	if got := get(t, port, "", "/"); got.code != http.StatusBadGateway {
		t.Errorf("a response with a megabyte of headers: %d", got.code)
	}
}

// TestConnectionFlood has more connections than a port takes: they wait, and get in when
// others go.
func TestConnectionFlood(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	newGateway(t, func(o *gateway.Options) { o.MaxConnections = 4 }).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	var idle []net.Conn
	for range 4 {
		c := must(dialLine(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	late := must(dialLine(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	defer late.Close()
	check(t, late.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	if n, err := late.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("one too many is served: %d bytes, %v", n, err)
	}
	check(t, idle[0].Close())
	check(t, late.SetReadDeadline(time.Now().Add(patience)))
	if answer, err := io.ReadAll(late); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("got %q, %v", answer, err)
	}
}

// TestHTTP2Requests sends requests that only HTTP/2 can express.
func TestHTTP2Requests(t *testing.T) {
	var got recorded
	b := backend(t, "apps/web:80", got.handler("web"))
	port := freePort(t)
	cert := signed(t, "a.example")
	newGateway(t, nil).apply(secured(port, b, config.Listener{Certificates: []config.Certificate{cert}}))
	send := func(fields ...string) string {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: pool(cert), ServerName: "a.example", NextProtos: []string{"h2"}})
		check(t, err)
		defer c.Close()
		check(t, c.SetDeadline(time.Now().Add(patience)))
		io.WriteString(c, http2.ClientPreface)
		fr := http2.NewFramer(c, c)
		check(t, fr.WriteSettings())
		var block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		check(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
		fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return "closed"
			}
			switch f := f.(type) {
			case *http2.MetaHeadersFrame:
				return f.PseudoValue("status")
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return "reset"
			}
		}
	}
	base := func(path string, more ...string) []string {
		return append([]string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", path}, more...)
	}
	for name, tt := range map[string]struct {
		fields []string
		want   []string
	}{
		"good":               {base("/"), []string{"200"}},
		"line feed in value": {base("/", "x", "a\r\nX-Injected: b"), []string{"reset", "closed", "400"}},
		"line feed in name":  {base("/", "x\r\ny", "a"), []string{"reset", "closed", "400"}},
		"line feed in path":  {base("/ HTTP/1.1\r\nX-Injected: b"), []string{"reset", "closed", "400"}},
		"space in path":      {base("/a HTTP/1.1"), []string{"400", "200"}},
		"space in method":    {[]string{":method", "GET /x", ":scheme", "https", ":authority", "a.example", ":path", "/"}, []string{"reset", "closed", "400"}},
		"transfer encoding":  {base("/", "transfer-encoding", "chunked"), []string{"reset", "closed", "400"}},
		"connection":         {base("/", "connection", "close"), []string{"reset", "closed", "400"}},
		"length of no body":  {base("/", "content-length", "5"), []string{"200", "reset", "closed", "400"}},
		"upper case":         {base("/", "X-Upper", "a"), []string{"reset", "closed", "400"}},
		"relative path":      {base("a"), []string{"reset", "closed", "400"}},
		"authority and host": {base("/", "host", "other.example"), []string{"200", "400", "reset"}},
	} {
		if status := send(tt.fields...); !slices.Contains(tt.want, status) {
			t.Errorf("%s: got %s, want one of %v", name, status, tt.want)
		}
	}
	for _, r := range got.all() {
		if strings.Contains(r, "Injected") && !strings.Contains(r, "%0") || strings.Contains(r, "Host: other.example") || strings.Contains(r, "Content-Length: 5") {
			t.Errorf("the backend has got %q", r)
		}
	}
}

// TestManyStreams opens more streams than one connection may have.
func TestManyStreams(t *testing.T) {
	hold := make(chan struct{})
	b := backend(t, "apps/web:80", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer close(hold)
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	c := must(dialLine(port, http2.ClientPreface))
	defer c.Close()
	fr := http2.NewFramer(c, c)
	check(t, fr.WriteSettings())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	refused := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() {
		defer close(refused)
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return // closed counts as refused too
			}
			if f, ok := f.(*http2.RSTStreamFrame); ok && f.ErrCode == http2.ErrCodeRefusedStream {
				return
			}
		}
	}()
	for id := uint32(1); id < 2000; id += 2 {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}} {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		if fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}) != nil {
			break
		}
	}
	select {
	case <-refused:
	case <-ctx.Done():
		t.Error("a thousand streams of one connection are served at a time")
	}
}
