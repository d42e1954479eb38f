package sidecar

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/proxy"
)

// maxResponseHeader is how long the headers of a response may be, in bytes.
const maxResponseHeader = 256 << 10

// forwarded are headers that httputil.ReverseProxy takes out; a sidecar lets them pass,
// since it is the gateway that vouches for them.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// identityHeaders are what says who a caller is. They are never taken from a request.
var identityHeaders = []string{identityHeader, "Client-Cert", "Client-Cert-Chain"}

// identityHeader is Envoy's header for who is at the other end of mutual TLS; of its
// fields there are By, the workload's own SPIFFE ID, and URI, the caller's
// (https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers).
const identityHeader = "X-Forwarded-Client-Cert"

// statusClientGone is what nginx calls a request that its client gave up.
const statusClientGone = 499

// pass keeps what httputil.ReverseProxy would change of a request.
func pass(r *httputil.ProxyRequest) {
	for _, name := range forwarded {
		if v, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = v
		}
	}
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	if len(r.In.Trailer) > 0 && r.Out.Body != nil {
		r.Out.Body = &trailed{ReadCloser: r.Out.Body, from: r.In, to: r.Out}
	}
}

// trailed is a request's body that brings its trailers over: they are there when it ends.
type trailed struct {
	io.ReadCloser
	from, to *http.Request
}

func (t *trailed) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if err == io.EOF {
		maps.Copy(t.to.Trailer, t.from.Trailer)
	}
	return n, err
}

// dropIdentity takes out of a request's headers what claims to say who the caller is, and
// what some servers read as the same: they make "_" of "-".
func dropIdentity(h http.Header) {
	for _, name := range identityHeaders {
		delete(h, name)
	}
	for name := range h {
		if !strings.Contains(name, "_") {
			continue
		}
		for _, of := range identityHeaders {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), of) {
				delete(h, name)
			}
		}
	}
}

// isGRPC says whether a request is gRPC's, which knows HTTP/2 alone.
func isGRPC(r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return ok && r.ProtoMajor == 2 && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// fail answers a request instead of the application: with a status and one line, and so
// that gRPC's clients understand it (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
func fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	if isGRPC(r) {
		code := "14" // unavailable
		if status == http.StatusGatewayTimeout {
			code = "4" // deadline exceeded
		}
		h := w.Header()
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", code)
		h.Set("Grpc-Message", strings.ReplaceAll(text, "%", "%25"))
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "strata: "+text+"\n") // there is nobody else to tell
}

// entry is what every request goes through first.
func entry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			fail(w, r, http.StatusMethodNotAllowed, "CONNECT is not served")
			return
		}
		if r.ProtoMajor == 1 && r.ContentLength != 0 {
			// An application may answer while it is still asked. The error is that of a
			// connection which can do it anyway.
			c := http.NewResponseController(w)
			_ = c.EnableFullDuplex()
			defer finish(c, r.Body)
		}
		next.ServeHTTP(w, r)
	})
}

// What is left of a body that nobody wants is read up to here, so that the connection can
// be used again.
const (
	leftBytes = 256 << 10
	leftTime  = 5 * time.Second
)

// finish reads a body to its end, or lets nobody read on. In full duplex the server would
// read the rest itself after it has ended its watch of the connection, begin that watch
// again at the end of the body, and find it in its way when it waits for the next request:
// it panics, and the next request is lost.
func finish(c *http.ResponseController, body io.Reader) {
	_ = c.SetReadDeadline(time.Now().Add(leftTime)) // the server sets its own for the next request
	if _, err := io.CopyN(io.Discard, body, leftBytes); !errors.Is(err, io.EOF) {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// buffers are what bodies are copied with, for all handlers.
var buffers httputil.BufferPool = &bufferPool{sync.Pool{New: func() any { return new([bufferSize]byte) }}}

const bufferSize = 16 << 10

type bufferPool struct{ sync.Pool }

// Get implements httputil.BufferPool.
func (p *bufferPool) Get() []byte { return p.Pool.Get().(*[bufferSize]byte)[:] }

// Put implements httputil.BufferPool.
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[bufferSize]byte)(b)) }

// peerOf returns who is at the other end of a request by mutual TLS.
func peerOf(r *http.Request) string {
	if r.TLS == nil {
		return ""
	}
	id, err := proxy.PeerID(*r.TLS)
	if err != nil {
		return ""
	}
	return id
}
