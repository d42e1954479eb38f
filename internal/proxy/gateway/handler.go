package gateway

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/gateway/reqpath"
	"github.com/stratahq/strata/internal/proxy/gateway/token"
)

// handler serves a port by the table of each request's moment.
func (g *Gateway) handler(number int) http.Handler {
	label := func(*http.Request) string { return "" } // anybody
	return g.opts.Telemetry.Observe(proxy.Inbound, strconv.Itoa(number), label, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{began: time.Now(), in: r, out: newResponse(w, r, g.opts.Idle), grpc: isGRPC(r)}
		// Deferred: the library panics to break off a response that it cannot finish.
		defer g.record(x)
		if r.ProtoMajor == 1 && r.ContentLength != 0 {
			boundUnread(x.out.control, x.began) // until somebody reads it
		}
		inside := g.inside.Add(1)
		defer g.inside.Add(-1)
		defer x.out.finish()
		if inside > int64(g.opts.MaxRequests) {
			g.answer(x, http.StatusServiceUnavailable, "too many requests are under way")
			return
		}
		if x.port = g.table.Load().ports[number]; x.port == nil {
			g.answer(x, http.StatusNotFound, "the port is closed")
			return
		}
		if code, reason := x.find(); code != 0 {
			g.answer(x, code, reason)
			return
		}
		g.serve(x)
	}))
}

// find finds the route of a request, or else returns the answer.
func (x *exchange) find() (int, string) {
	r := x.in
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.client = a.Addr().Unmap()
	}
	if !httpguts.ValidHeaderFieldName(r.Method) { // a token, as methods are; HTTP/2 lets in others
		return http.StatusBadRequest, "the method is not valid"
	}
	if r.Method == http.MethodConnect {
		return http.StatusMethodNotAllowed, "no method for a gateway"
	}
	var err error
	if x.path, err = reqpath.Parse(rawPath(r)); err != nil {
		return http.StatusBadRequest, err.Error()
	}
	x.host = hostname(r.Host)
	l, ok := x.port.listeners.best(x.host)
	if x.port.tls != (r.TLS != nil) {
		return http.StatusMisdirectedRequest, "the port has changed between TLS and none"
	}
	if x.port.tls {
		// The connection was made for a listener; the request must not be for another
		// (RFC 9110, section 7.4), which may ask more of its clients.
		made, known := x.port.listeners.best(hostname(r.TLS.ServerName))
		if !ok || !known || made != l {
			return http.StatusMisdirectedRequest, "the host is another listener's"
		}
	}
	if !ok {
		return http.StatusNotFound, "no listener is for the host"
	}
	x.query.raw = r.URL.RawQuery
	if x.route = l.find(x.host, r, x.path, &x.query); x.route == nil {
		return http.StatusNotFound, "no route matches"
	}
	return 0, ""
}

// rawPath returns the path of a request as it was sent. The URL's own has been decoded.
func rawPath(r *http.Request) string {
	raw := r.RequestURI
	if !strings.HasPrefix(raw, "/") { // absolute (RFC 9112, section 3.2.2), or "*"
		return r.URL.EscapedPath()
	}
	raw, _, _ = strings.Cut(raw, "?")
	return raw
}

// serve does what the route of a request says.
func (g *Gateway) serve(x *exchange) {
	rt := x.route
	x.grpc = x.grpc || rt.grpc
	if l := rt.limits; l.RequestsPerSecond > 0 {
		if ok, wait := g.clients.allow(rt.name, x.client, l, x.began); !ok {
			x.out.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
			g.answer(x, http.StatusTooManyRequests, "too many requests of one client")
			return
		}
	}
	if rt.filters.cors != nil && preflight(x.in) {
		rt.filters.cors.answer(x.out.Header(), x.in, true)
		// 204 would say it better; the Gateway API's conformance suite wants 200.
		x.code, x.reason = http.StatusOK, "a preflight request"
		x.out.Header().Set("Content-Length", "0")
		x.out.WriteHeader(http.StatusOK)
		return
	}
	if rt.verifier != nil && !g.admit(x) {
		return
	}
	if rt.broken {
		g.answer(x, http.StatusInternalServerError, "the route makes no sense")
		return
	}
	if d := rt.filters.redirect; d != nil {
		x.out.Header().Set("Location", d.location(x.in, x.port, x.path))
		x.code, x.reason = d.Status, "a redirect"
		x.out.WriteHeader(d.Status)
		return
	}
	if x.target = rt.draw(); x.target == nil || x.target.backend == nil {
		g.answer(x, http.StatusInternalServerError, "the route leads to no valid backend")
		return
	}
	g.forward(x)
}

// admit asks for the token of a route, and answers if it is not there.
func (g *Gateway) admit(x *exchange) bool {
	h := x.out.Header()
	scheme, raw, _ := strings.Cut(x.in.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(x.in.Header["Authorization"]) != 1 {
		h.Set("WWW-Authenticate", `Bearer realm="`+x.host+`"`)
		g.answer(x, http.StatusUnauthorized, "there is no token")
		return false
	}
	err := x.route.verifier.Verify(x.in.Context(), strings.TrimSpace(raw), x.route.audiences)
	switch {
	case err == nil:
		return true
	case errors.Is(err, token.ErrInvalid):
		h.Set("WWW-Authenticate", `Bearer realm="`+x.host+`", error="invalid_token"`)
		g.answer(x, http.StatusUnauthorized, err.Error())
	default:
		h.Set("Retry-After", "5")
		g.answer(x, http.StatusServiceUnavailable, err.Error())
	}
	return false
}

// draw returns one of the route's targets by weight; nil if there is none.
func (r *route) draw() *target {
	if r.weights == 0 {
		return nil
	}
	n := rand.IntN(r.weights)
	for _, t := range r.targets {
		if n < t.below {
			return t
		}
	}
	return nil
}

// forward sends a request to its target, within the route's limits.
func (g *Gateway) forward(x *exchange) {
	if x.in.ContentLength > x.route.limits.BodyBytes {
		g.answer(x, http.StatusRequestEntityTooLarge, "the body is too large")
		return
	}
	ctx, cancel := context.WithCancelCause(x.context(x.in.Context()))
	defer cancel(nil)
	x.upgrade = wantsWebSocket(x.in)
	if d := x.route.requestTimeout; d > 0 && !x.upgrade {
		defer time.AfterFunc(d, func() { cancel(errTimeout) }).Stop()
	}
	r := x.in.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		idle := g.opts.Idle
		if x.grpc {
			idle = 0
		}
		x.body = newBody(http.MaxBytesReader(x.out, r.Body, x.route.limits.BodyBytes), x.out, idle)
		defer x.body.finish()
		r.Body = x.body
	}
	defer g.finish(x)
	g.reverse.ServeHTTP(x.out, r)
}
