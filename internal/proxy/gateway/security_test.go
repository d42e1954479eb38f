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
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// impatient makes a gateway give clients little time: less than tests pause, but as much as
// the gateway itself may need between two pieces, or for its own answer, on a busy machine.
func impatient(o *gateway.Options) { o.Idle = 3 * time.Second }

// TestSlowHeaders has a client that never ends its headers.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	b := backend(t, "apps/web:80", echo("web"))
	plain, secret := freePort(t), freePort(t)
	cert := signed(t, "a.example")
	c := simple(plain, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)})
	c.Ports = append(c.Ports, secured(secret, b, config.Listener{Certificates: []config.Certificate{cert}}).Ports...)
	newGateway(t, nil).apply(c)
	for _, port := range []int{plain, secret} { // of TLS it is the handshake
		c := must(dialLine(port, "GET / HTTP/1.1\r\nHost: a\r\n"))
		defer c.Close()
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
					io.WriteString(c, "X: y\r\n") // it keeps sending
				}
			}
		}()
		if b, err := io.ReadAll(c); isTimeout(err) {
			t.Errorf("the connection stays open; got %q", b)
		}
		close(stop)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestSlowBodies has clients that announce a body and do not send it, to routes that
// want it and to none.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, impatient)
	f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/web"), Targets: to(b)}))
	var wg sync.WaitGroup
	for path, want := range map[string]string{"/web": "HTTP/1.1 408", "/none": "HTTP/1.1 404"} {
		for _, head := range []string{"Content-Length: 100\r\n\r\nsome", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"} {
			c := must(dialLine(port, "POST "+path+" HTTP/1.1\r\nHost: a\r\n"+head))
			defer c.Close()
			wg.Go(func() {
				if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), want) {
					t.Errorf("%s, %q: got %q, %v, want %q", path, head, got, err, want)
				}
			})
		}
	}
	// By HTTP/2.
	body, w := io.Pipe()
	defer w.Close()
	go w.Write([]byte("some"))
	res, err := h2c(t).Post(url(port, "/web"), "text/plain", body)
	check(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("HTTP/2: got %s", res.Status)
	}
	wg.Wait()
	eventually(t, "no request is left", func() bool { return strings.Count(f.access.String(), "\n") == 5 })
}

// TestSlowBodyThatMoves makes sure that slow is not the same as stuck: this body takes
// longer than the gateway waits for its next piece, and so does the backend with its answer.
func TestSlowBodyThatMoves(t *testing.T) {
	t.Parallel()
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	newGateway(t, impatient).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, w := io.Pipe()
			go func() {
				for range 8 {
					io.WriteString(w, "piece ")
					time.Sleep(500 * time.Millisecond)
				}
				w.Close()
			}()
			res, err := c.Post(url(port, "/?delay=4s"), "text/plain", body)
			check(t, err)
			content, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if s := decode(content); s.Body != strings.Repeat("piece ", 8) {
				t.Errorf("got %s, %q", res.Status, content)
			}
		})
	}
}

// TestClientsThatDoNotRead asks for a response without end and never reads it.
func TestClientsThatDoNotRead(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	b := backend(t, "apps/web:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := bytes.Repeat([]byte("x"), 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				ended <- struct{}{}
				return
			}
		}
	}))
	port := freePort(t)
	newGateway(t, impatient).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	c := must(dialLine(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	defer c.Close()
	wait := func(what string) {
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatalf("%s: the backend sends for ever", what)
		}
	}
	wait("HTTP/1.1")
	// A client of HTTP/2 that gives no more room on the stream, though it reads the
	// connection.
	res, err := h2c(t).Get(url(port, "/"))
	check(t, err)
	defer res.Body.Close()
	wait("HTTP/2")
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

// TestSilence makes sure that limits are for clients that keep others waiting, and not for
// silence that nobody minds: a response, or a backend that reads slowly.
func TestSilence(t *testing.T) {
	t.Parallel()
	b := backend(t, "apps/web:80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece := make([]byte, 32<<10)
		for n := 0; n < 1<<20; n += len(piece) {
			if n == 512<<10 {
				time.Sleep(4 * time.Second)
			}
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				return
			}
		}
		for range 2 {
			fmt.Fprint(w, "piece ")
			w.(http.Flusher).Flush()
			time.Sleep(4 * time.Second)
		}
		fmt.Fprint(w, "end")
	}))
	port := freePort(t)
	newGateway(t, impatient).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := try(c, http.MethodPost, url(port, "/"), strings.Repeat("x", 1<<20), nil)
			if err != nil || got.body != "piece piece end" {
				t.Errorf("got %d %q, %v", got.code, got.body, err)
			}
		})
	}
}

// TestNoRoomForAnswers has clients of HTTP/2 that give no room for any answer, on many
// streams: neither the gateway's own answers nor a backend's may pile up.
func TestNoRoomForAnswers(t *testing.T) {
	t.Parallel()
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, func(o *gateway.Options) { impatient(o); o.MaxRequests = 20 })
	f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/web"), Targets: to(b)}))
	c := must(dialLine(port, http2.ClientPreface))
	defer c.Close()
	fr := http2.NewFramer(c, c)
	check(t, fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range 20 {
		path := "/web"
		if i%2 == 1 {
			path = "/none"
		}
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
			enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		check(t, fr.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	}
	resets := 0
	for resets < 20 {
		frame, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("after %d resets: %v", resets, err)
		}
		if _, ok := frame.(*http2.RSTStreamFrame); ok {
			resets++
		}
	}
	eventually(t, "others are served", func() bool { return get(t, port, "", "/web").code == 200 })
}

// TestUnreadBodies has requests on one connection of HTTP/2 whose bodies the backend does
// not read, and responses that their clients do not read: others go on.
func TestUnreadBodies(t *testing.T) {
	release, waiting := make(chan struct{}), make(chan struct{}, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unread":
			waiting <- struct{}{}
			<-release
		case "/large":
			for piece := make([]byte, 64<<10); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		default:
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		}
	}))
	// As sidecars have it.
	s.Config.Protocols, s.Config.HTTP2 = &http.Protocols{}, &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	b := config.Backend{Name: "apps/web:80", Protocol: "h2c", Endpoints: []config.Endpoint{endpoint(s.Listener.Addr())}}
	port := freePort(t)
	newGateway(t, nil).apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	c := h2c(t)
	stuck := &http.Client{Transport: c.Transport} // the same connection
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { try(stuck, http.MethodPost, url(port, "/unread"), strings.Repeat("x", 4<<20), nil) })
		<-waiting
		res, err := stuck.Get(url(port, "/large"))
		check(t, err)
		defer res.Body.Close()
	}
	for range 3 {
		got, err := try(c, http.MethodPost, url(port, "/read"), strings.Repeat("x", 4<<20), nil)
		if err != nil || got.body != fmt.Sprint(4<<20) {
			t.Errorf("got %d %q, %v", got.code, got.body, err)
			break
		}
	}
	close(release)
	wg.Wait()
}
