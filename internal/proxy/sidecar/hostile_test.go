package sidecar_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// recording is an application that remembers its requests as they came.
type recording struct {
	mu   sync.Mutex
	seen []string
}

func (a *recording) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, fmt.Sprintf("%s %s length=%d coding=%v body=%q err=%v headers=%v", r.Method, r.RequestURI, r.ContentLength, r.TransferEncoding, body, err, r.Header))
}

func (a *recording) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}

// raw sends text to a call and returns the statuses that come back until the connection ends.
func raw(t *testing.T, address, text string) []int {
	t.Helper()
	c := must(net.Dial("tcp", address))
	defer c.Close()
	go io.WriteString(c, text)
	check(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	var codes []int
	for r := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return codes
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		codes = append(codes, resp.StatusCode)
	}
}

// TestAmbiguousRequests sends what two servers might read differently: the application sees
// one reading, and nothing that hides in a body.
func TestAmbiguousRequests(t *testing.T) {
	t.Parallel()
	a := &recording{}
	web, _ := pair(t, a)
	const end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for name, c := range map[string]struct {
		text  string
		codes string
		seen  []string // how the application's requests begin
	}{
		"length and coding": {
			"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + end, "[200 200]",
			[]string{"POST /a length=-1 coding=[chunked] body=\"\" err=<nil>", "GET /end"},
		},
		"coding and length, the body hides a request": {
			"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n24\r\nGET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n0\r\n\r\n" + end, "[200 200]",
			[]string{"POST /a length=-1 coding=[chunked] body=\"GET /hidden", "GET /end"},
		},
		"two lengths":          {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" + end, "[400]", nil},
		"the same length":      {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab" + end, "[200 200]", []string{"POST /a length=2 coding=[] body=\"ab\"", "GET /end"}},
		"length with a sign":   {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\nab" + end, "[400]", nil},
		"coding misspelled":    {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + end, "[501]", nil},
		"coding twice":         {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + end, "[501]", nil},
		"space before colon":   {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + end, "[400]", nil},
		"folded header":        {"POST /a HTTP/1.1\r\nHost: x\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n" + end, "[200 200]", []string{"POST /a length=0 coding=[]", "GET /end"}},
		"two hosts":            {"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + end, "[400]", nil},
		"CONNECT":              {"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\nConnection: close\r\n\r\n", "[405]", nil},
		"an absolute address":  {"GET http://other/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "[200]", []string{"GET /a"}},
		"HTTP/0.9":             {"GET /a\r\n\r\n", "[400]", nil},
		"a switch that is bad": {"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: \x7f\r\n\r\n", "[400]", nil},
	} {
		t.Run(name, func(t *testing.T) {
			codes, seen := fmt.Sprint(raw(t, web.calls["api"], c.text)), a.take()
			if codes != c.codes {
				t.Errorf("answers %s, want %s", codes, c.codes)
			}
			ok := len(seen) == len(c.seen)
			for i := 0; ok && i < len(seen); i++ {
				ok = strings.HasPrefix(seen[i], c.seen[i])
			}
			if !ok {
				t.Errorf("the application sees %q, want %q", seen, c.seen)
			}
		})
	}
}

// TestHeaderInjection sends by HTTP/2 what would be two headers in HTTP/1.1.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	a := &recording{}
	web, _ := pair(t, a)
	for name, field := range map[string]hpack.HeaderField{
		"newline in a value":       {Name: "x", Value: "a\r\nx-forwarded-client-cert: URI=admin"},
		"newline in a name":        {Name: "x: a\r\ny", Value: "b"},
		"NUL":                      {Name: "x", Value: "a\x00b"},
		"colon in a name":          {Name: "x:y", Value: "a"},
		"upper case":               {Name: "X-Up", Value: "a"},
		"connection's own":         {Name: "transfer-encoding", Value: "chunked"},
		"newline in the path":      {Name: ":path", Value: "/a HTTP/1.1\r\nX: y\r\n\r\n"},
		"newline in the method":    {Name: ":method", Value: "GET / HTTP/1.1\r\nX: y\r\n\r\n"},
		"newline in the authority": {Name: ":authority", Value: "x\r\nX: y"},
	} {
		t.Run(name, func(t *testing.T) {
			c := must(net.Dial("tcp", web.calls["api"]))
			defer c.Close()
			check(t, c.SetDeadline(time.Now().Add(time.Minute)))
			must(io.WriteString(c, http2.ClientPreface))
			f := http2.NewFramer(c, c)
			check(t, f.WriteSettings())
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			pseudo := []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "x"}}
			for _, p := range pseudo {
				if p.Name == field.Name {
					p = field
				}
				check(t, enc.WriteField(p))
			}
			if field.Name[0] != ':' {
				check(t, enc.WriteField(field))
			}
			check(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}))
			refused := false
			for !refused {
				frame, err := f.ReadFrame()
				if err != nil {
					break
				}
				switch frame := frame.(type) {
				case *http2.RSTStreamFrame, *http2.GoAwayFrame:
					refused = true
				case *http2.HeadersFrame:
					text := ""
					must(hpack.NewDecoder(4096, func(h hpack.HeaderField) { text += h.Name + "=" + h.Value + " " }).Write(frame.HeaderBlockFragment()))
					if !strings.Contains(text, ":status=4") && !strings.Contains(text, ":status=5") {
						t.Errorf("answered with %s; the application saw %q", text, a.take())
					}
					refused = true
				}
			}
			if seen := a.take(); len(seen) > 0 {
				t.Errorf("the application has seen %q", seen)
			}
		})
	}
	// Nor can a request take the header out that says who calls.
	r := request(t, "GET", web.url("api"), nil)
	r.Header.Set("Connection", "X-Forwarded-Client-Cert, close")
	do(t, client(t, false), r)
	if seen := a.take(); len(seen) != 1 || !strings.Contains(seen[0], "X-Forwarded-Client-Cert:[By="+proxytest.ID("api")+";URI="+proxytest.ID("web")+"]") {
		t.Errorf("the application has seen %q", seen)
	}
}

// TestOversizedHeaders has a client and an application that send too much.
func TestOversizedHeaders(t *testing.T) {
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("a", 1<<20))
	}))
	both(t, func(t *testing.T, c *http.Client) {
		r := request(t, "GET", web.url("api"), nil)
		r.Header.Set("X-Large", strings.Repeat("a", 2*proxy.MaxHeaderBytes))
		if got, err := try(c, r); err == nil && got.code != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a large request is answered with %d", got.code)
		}
		if got := do(t, c, request(t, "GET", web.url("api"), nil)); got.code != http.StatusBadGateway {
			t.Errorf("a large response becomes %d", got.code)
		}
	})
}

// resident returns the memory of this process, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		needs.Skip(t, "needs /proc: %v", err)
	}
	var size, pages int64
	must(fmt.Sscan(string(b), &size, &pages))
	return pages * int64(os.Getpagesize())
}

// TestBackpressure has one who never reads at the end of a long body, in each direction:
// what is sent must stop, since nothing is kept.
func TestBackpressure(t *testing.T) {
	var sent atomic.Int64
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 64<<10)
		for r.URL.Path == "/read" {
			n, err := w.Write(chunk)
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
		<-r.Context().Done()
	}))
	// stalls waits until nothing more is sent.
	stalls := func(t *testing.T) {
		last, since := int64(-1), time.Now()
		eventually(t, "the sender has to wait", func() bool {
			if n := sent.Load(); n != last {
				last, since = n, time.Now()
			}
			return last > 0 && time.Since(since) > time.Second
		})
		if last > 64<<20 {
			t.Errorf("%d MiB were taken", last>>20)
		}
	}
	before := resident(t)
	t.Run("response", func(t *testing.T) {
		for range 4 {
			c := must(net.Dial("tcp", web.calls["api"]))
			defer c.Close()
			must(io.WriteString(c, "GET /read HTTP/1.1\r\nHost: x\r\n\r\n"))
		}
		stalls(t)
	})
	t.Run("request", func(t *testing.T) {
		sent.Store(0)
		c := must(net.Dial("tcp", web.calls["api"]))
		defer c.Close()
		must(io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"))
		go func() {
			chunk := append([]byte("10000\r\n"), append(make([]byte, 64<<10), "\r\n"...)...)
			for {
				n, err := c.Write(chunk)
				if err != nil {
					return
				}
				sent.Add(int64(n))
			}
		}()
		stalls(t)
	})
	if grown := resident(t) - before; grown > 128<<20 {
		t.Errorf("memory has grown by %d MiB", grown>>20)
	}
}

// TestFlood opens more connections than a port has room for, and says nothing on them.
func TestFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the time that a client has for its headers")
	}
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))})
	m.point("api.apps.svc", api)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	before := resident(t)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	slow := []string{"", "GET / HTTP/1.1\r\nHost: x\r\n", "\x16\x03\x01"}
	for i := range 2 * (proxy.MaxConnections + 200) {
		address := web.calls["api"]
		if i%2 == 1 {
			address = api.inbound()
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			continue // the kernel may refuse what is too much
		}
		io.WriteString(c, slow[i%len(slow)])
		conns = append(conns, c)
	}
	runtime.GC()
	if grown := resident(t) - before; grown > 256<<20 {
		t.Errorf("%d connections take %d MiB", len(conns), grown>>20)
	}
	// Probes have a port of their own.
	if code := web.probe(config.LivePath); code != http.StatusOK {
		t.Errorf("the probe gets %d", code)
	}
	// Who says nothing is shown out, and there is room for others.
	eventually(t, "a request passes", func() bool {
		c := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		got, err := try(c, request(t, "GET", web.url("api"), nil))
		return err == nil && got.code == http.StatusOK
	})
	for _, c := range conns[:10] {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection on which nothing comes is still open")
		}
	}
}

// TestCallerOverMutualTLS checks that a caller cannot do more over mutual TLS than
// over its own sidecar.
func TestCallerOverMutualTLS(t *testing.T) {
	a := &recording{}
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, a)})
	conf := &tls.Config{InsecureSkipVerify: true, Certificates: keyPair(t, m.ca, proxytest.ID("web"), nil), NextProtos: []string{"http/1.1"}}
	conn := must(tls.Dial("tcp", api.inbound(), conf))
	defer conn.Close()
	fmt.Fprint(conn, "GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-Client-Cert: URI=admin\r\nx_forwarded_client_cert: URI=admin\r\nConnection: close\r\n\r\n")
	must(io.ReadAll(conn))
	seen := a.take()
	if len(seen) != 1 || strings.Contains(seen[0], "admin") || !strings.Contains(seen[0], "URI="+proxytest.ID("web")) {
		t.Errorf("the application has seen %q", seen)
	}
}
