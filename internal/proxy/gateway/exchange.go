package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/proxy/balance"
	"github.com/stratahq/strata/internal/proxy/gateway/reqpath"
)

// exchange is a request on its way, and what has become of it.
type exchange struct {
	began  time.Time
	in     *http.Request // as it came
	out    *response
	client netip.Addr

	port   *port
	path   reqpath.Path
	query  query
	host   string // as names know it
	route  *route // nil: none was found
	target *target
	body   *body
	replay *replay
	// upgrade says that the client asks for a WebSocket.
	upgrade bool
	grpc    bool

	endpoint *balance.Endpoint // the last that was tried
	mirrored []mirror          // those that this request goes to as well
	sent     *http.Request     // what they get
	code     int               // what the gateway means by its own answer; 0: the backend's
	reason   string            // of an answer of the gateway's own
}

type exchangeKey struct{}

func (x *exchange) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// isGRPC says whether a request is of gRPC over HTTP/2.
func isGRPC(r *http.Request) bool {
	t := r.Header.Get("Content-Type")
	return t == "application/grpc" || strings.HasPrefix(t, "application/grpc+") || strings.HasPrefix(t, "application/grpc;")
}

// wantsWebSocket says whether a request asks for the WebSocket protocol (RFC 6455).
func wantsWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && hasToken(r.Header["Connection"], "upgrade")
}

func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// response remembers what is sent to the client, and gives up one that does not read: on a
// stream of HTTP/2, since of connections the listener takes care.
type response struct {
	http.ResponseWriter
	control *http.ResponseController
	idle    time.Duration // 0: not HTTP/2
	code    int
	bytes   int64

	mu      sync.Mutex
	watch   *time.Timer // runs during writes
	writing bool
}

func newResponse(w http.ResponseWriter, r *http.Request, idle time.Duration) *response {
	if r.ProtoMajor != 2 {
		idle = 0
	}
	return &response{ResponseWriter: w, control: http.NewResponseController(w), idle: idle}
}

// Unwrap lets http.ResponseController reach what is below.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(code int) {
	if w.code == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	w.begin()
	defer w.end()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what has been written. http.ResponseController looks for it.
func (w *response) FlushError() error {
	w.begin()
	defer w.end()
	return w.control.Flush()
}

// finish sends what is left, so that it is done within limits; the server would do it when
// the handler has returned. A response without a body can do without.
func (w *response) finish() {
	if w.idle > 0 && w.bytes > 0 {
		_ = w.FlushError() // a client that has gone needs nothing
	}
}

// begin and end say that something is written, which may take as long as the client
// takes to read. Time in which nothing is written does not count, so it is no deadline of
// the stream.
func (w *response) begin() {
	if w.idle == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = true
	if w.watch == nil {
		w.watch = time.AfterFunc(w.idle, w.giveUp)
	} else {
		w.watch.Reset(w.idle)
	}
}

func (w *response) end() {
	if w.idle == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = false
	w.watch.Stop()
}

func (w *response) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing {
		_ = w.control.SetWriteDeadline(time.Unix(1, 0)) // without it the connection's own limit holds
	}
}
