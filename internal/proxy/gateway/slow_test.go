package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
)

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
