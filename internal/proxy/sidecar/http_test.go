package sidecar_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.opentelemetry.io/otel/trace"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// both runs a test with an application's client of HTTP/1.1 and of HTTP/2.
func both(t *testing.T, f func(*testing.T, *http.Client)) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[http2], func(t *testing.T) { f(t, client(t, http2)) })
	}
}

func TestRequestsPassAsTheyAre(t *testing.T) {
	web, api := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen-Method", r.Method)
		w.Header().Set("Seen-Uri", r.RequestURI)
		w.Header().Set("Seen-Host", r.Host)
		w.Header().Set("Seen-Proto", r.Proto)
		w.Header().Set("Seen-Identity", strings.Join(r.Header.Values("X-Forwarded-Client-Cert"), "|"))
		for name, values := range r.Header {
			w.Header()[textproto.CanonicalMIMEHeaderKey("Seen-Header-"+name)] = values
		}
		w.WriteHeader(http.StatusTeapot)
		io.Copy(w, r.Body)
	}))
	both(t, func(t *testing.T, c *http.Client) {
		const uri = "/a%2Fb//c/../d;x?q=1;2&%zz&a+b"
		r := request(t, "PATCH", web.url("api")+"/", strings.NewReader("hello"))
		r.URL = must(url.Parse(web.url("api")))
		r.URL.Opaque = uri
		r.Host = "shop.example"
		r.Header = http.Header{
			"X-Forwarded-For": {"192.0.2.1", "192.0.2.2"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=192.0.2.1"}, "X-Forwarded-Host": {"h"},
			"X-Own": {"1", "2"}, "User-Agent": {""}, "Cookie": {"a=b"}, "Accept-Encoding": {"br"},
			"X-Forwarded-Client-Cert": {"URI=spiffe://test.acme.example/ns/apps/sa/admin"}, "Client-Cert": {"x"}, "Client-Cert-Chain": {"x"},
			"X_forwarded_client_cert": {"URI=admin"}, "X-Forwarded_client-Cert": {"URI=admin"},
			"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Tracestate": {"a=b"},
		}
		got := do(t, c, r)
		if got.code != http.StatusTeapot || got.body != "hello" {
			t.Errorf("%d %q", got.code, got.body)
		}
		for name, want := range map[string]string{
			"Seen-Method": "PATCH", "Seen-Uri": uri, "Seen-Host": "shop.example", "Seen-Proto": "HTTP/1.1",
			"Seen-Header-X-Forwarded-For": "192.0.2.1|192.0.2.2", "Seen-Header-X-Forwarded-Proto": "https", "Seen-Header-Forwarded": "for=192.0.2.1",
			"Seen-Header-X-Forwarded-Host": "h", "Seen-Header-X-Own": "1|2", "Seen-Header-User-Agent": "", "Seen-Header-Cookie": "a=b",
			"Seen-Header-Accept-Encoding": "br", "Seen-Header-Client-Cert": "", "Seen-Header-Client-Cert-Chain": "",
			"Seen-Header-X_forwarded_client_cert": "", "Seen-Header-X-Forwarded_client-Cert": "",
			"Seen-Header-Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Seen-Header-Tracestate": "a=b",
			"Seen-Identity": "By=" + proxytest.ID("api") + ";URI=" + proxytest.ID("web"),
		} {
			if got := strings.Join(got.header.Values(name), "|"); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
	for p, direction := range map[*pod]string{web: "outbound", api: "inbound"} {
		port, peer := "api", "api"
		if p == api {
			port, peer = "web", "web"
		}
		want := fmt.Sprintf(`strata_requests_total{code="4xx",direction="%s",peer="%s",port="%s"} 2`, direction, proxytest.ID(peer), port)
		if got := p.metric(t, "strata_requests_total"); !strings.Contains(got, want) {
			t.Errorf("%s has counted\n%s\nwant %s", p.name, got, want)
		}
	}
}

// TestApplicationsSeeTheVersionTheySpeak checks to which requests an application is
// spoken HTTP/2 with.
func TestApplicationsSeeTheVersionTheySpeak(t *testing.T) {
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	for _, c := range []struct {
		http2     bool
		mediaType string
		want      string
	}{
		{false, "", "HTTP/1.1"}, {true, "", "HTTP/1.1"}, {true, "application/json", "HTTP/1.1"},
		{true, "application/grpc", "HTTP/2.0"}, {true, "application/grpc+proto", "HTTP/2.0"}, {true, "application/grpc;x=y", "HTTP/2.0"},
		{true, "application/grpc-web", "HTTP/1.1"}, {true, "application/grpc-web+proto", "HTTP/1.1"},
	} {
		r := request(t, "POST", web.url("api"), strings.NewReader("x"))
		r.Header.Set("Content-Type", c.mediaType)
		if got := do(t, client(t, c.http2), r); got.body != c.want {
			t.Errorf("%+v: %s", c, got.body)
		}
	}
}

func TestTrailersAndInterimResponses(t *testing.T) {
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "Announced")
		w.WriteHeader(200)
		io.WriteString(w, "body")
		w.Header().Set("Announced", r.Trailer.Get("Sent"))
		w.Header().Set(http.TrailerPrefix+"Late", "yes")
	}))
	both(t, func(t *testing.T, c *http.Client) {
		var hints []string
		r := request(t, "POST", web.url("api"), io.MultiReader(strings.NewReader("x")))
		r.Trailer = http.Header{"Sent": {"checksum"}}
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, h.Get("Link")))
				return nil
			},
		}))
		got := do(t, c, r)
		if got.body != "body" || got.trailer.Get("Announced") != "checksum" || got.trailer.Get("Late") != "yes" {
			t.Errorf("%q, trailers %v", got.body, got.trailer)
		}
		if !slices.Equal(hints, []string{"103 </style.css>"}) && !slices.Equal(hints, []string{"103</style.css>"}) {
			t.Errorf("interim responses %q", hints)
		}
	})
}

// TestBodiesStream checks that nothing waits for the end of a body, in either direction.
func TestBodiesStream(t *testing.T) {
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex()
		rc.Flush()
		b := make([]byte, 1)
		for {
			if _, err := r.Body.Read(b); err != nil {
				return
			}
			fmt.Fprintf(w, "<%s>", b)
			rc.Flush()
		}
	}))
	both(t, func(t *testing.T, c *http.Client) {
		in, out := io.Pipe()
		resp, err := c.Do(request(t, "POST", web.url("api"), in))
		check(t, err)
		defer resp.Body.Close()
		for _, char := range "abc" {
			must(io.WriteString(out, string(char)))
			b := make([]byte, 3)
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != fmt.Sprintf("<%c>", char) {
				t.Fatalf("got %q, %v", b, err)
			}
		}
		out.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("then %q, %v", rest, err)
		}
	})
}

// TestExpectations has a client that waits to be told whether its body is wanted.
func TestExpectations(t *testing.T) {
	var read atomic.Int64
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		read.Add(n)
	}))
	c := client(t, false)
	c.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	for path, a := range map[string]struct{ size, want int }{
		"/yes": {1 << 20, http.StatusOK},
		// A client that is still sending more than a sidecar takes of what nobody wants may
		// miss the answer.
		"/no": {200 << 10, http.StatusRequestEntityTooLarge},
	} {
		r := request(t, "POST", web.url("api")+path, strings.NewReader(strings.Repeat("x", a.size)))
		r.Header.Set("Expect", "100-continue")
		if got := do(t, c, r); got.code != a.want {
			t.Errorf("%s: %d", path, got.code)
		}
	}
	if read.Load() != 1<<20 {
		t.Errorf("%d bytes were read", read.Load())
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 32 << 20
	web, _ := pair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		w.Header().Set("Sum", hex.EncodeToString(sum.Sum(nil)))
		if err == nil && n == size {
			w.Write(bytes.Repeat([]byte("0123456789abcdef"), size/16))
		}
	}))
	sum := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), size/16))
	both(t, func(t *testing.T, c *http.Client) {
		reply := do(t, c, request(t, "PUT", web.url("api"), bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), size/16))))
		if got := sha256.Sum256([]byte(reply.body)); got != sum || reply.header.Get("Sum") != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes, sums %x and %s, want %x", len(reply.body), got, reply.header.Get("Sum"), sum)
		}
	})
}

func TestWebSocket(t *testing.T) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, Subprotocols: []string{"chat"}}
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.WriteMessage(websocket.TextMessage, []byte(r.Header.Get("X-Forwarded-Client-Cert")))
		for {
			kind, b, err := c.ReadMessage()
			if err != nil {
				return
			}
			c.WriteMessage(kind, b)
		}
	}))})
	m.point("api.apps.svc", api)
	out := call("api", config.ProtocolHTTP)
	out.Timeout = config.Duration(3 * time.Second) // a connection may last longer than that
	web := m.start(spec{name: "web", outbound: []config.Outbound{out}})
	dialer := websocket.Dialer{Subprotocols: []string{"chat"}}
	c, resp, err := dialer.DialContext(t.Context(), "ws://"+web.calls["api"]+"/", nil)
	check(t, err)
	defer c.Close()
	resp.Body.Close()
	if got := resp.Header.Get("Sec-Websocket-Protocol"); got != "chat" {
		t.Errorf("protocol %q", got)
	}
	_, first, err := c.ReadMessage()
	if want := "By=" + proxytest.ID("api") + ";URI=" + proxytest.ID("web"); err != nil || string(first) != want {
		t.Errorf("got %q, %v", first, err)
	}
	for began := time.Now(); time.Since(began) < 4*time.Second; time.Sleep(50 * time.Millisecond) {
		message := bytes.Repeat([]byte("x"), 100<<10)
		check(t, c.WriteMessage(websocket.BinaryMessage, message))
		if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	_, resp, err = dialer.DialContext(t.Context(), "ws://"+web.calls["api"]+"/no", nil)
	if err == nil || resp == nil {
		t.Fatalf("a refusal arrives as %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a refusal arrives as %d", resp.StatusCode)
	}
	// The server's end arrives, and the client's.
	c.Close()
	eventually(t, "no request is left", func() bool {
		return strings.Contains(api.metric(t, "strata_requests_total"), `code="1xx"`)
	})
}

func TestSpans(t *testing.T) {
	m := newMesh(t)
	seen := make(chan string, 1)
	api := m.start(spec{name: "api", callers: []string{"web"}, traced: true, target: app(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Traceparent")
	}))})
	m.point("api.apps.svc", api)
	web := m.start(spec{name: "web", traced: true, outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	r := request(t, "GET", web.url("api")+"/cart", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	do(t, client(t, false), r)
	eventually(t, "a span of each", func() bool { return len(web.spans.GetSpans()) == 1 && len(api.spans.GetSpans()) == 1 })
	out, in := web.spans.GetSpans()[0], api.spans.GetSpans()[0]
	if out.Parent.SpanID().String() != "b7ad6b7169203331" || out.SpanKind != trace.SpanKindClient || out.Name != "GET api" {
		t.Errorf("the caller's span is %+v", out)
	}
	if in.Parent.SpanID() != out.SpanContext.SpanID() || in.SpanKind != trace.SpanKindServer || in.Name != "GET web" {
		t.Errorf("the server's span is %+v", in)
	}
	if got, want := <-seen, fmt.Sprintf("00-0af7651916cd43dd8448eb211c80319c-%s-01", in.SpanContext.SpanID()); got != want {
		t.Errorf("the application sees %s, want %s", got, want)
	}
}
