package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/proxy/balance"
)

const (
	// keptBody is how much of a body is kept so that it can be sent again: to another
	// endpoint, when a connection turns out to be gone, or to a mirror.
	keptBody = 64 << 10
	// dials is to how many endpoints a connection is tried, where the route asks for no
	// retries: nothing has been sent by then.
	dials = 3
	// maxBackoff bounds the growing breaks between retries.
	maxBackoff = 10 * time.Second
)

// Causes for the end of a request.
var (
	errTimeout   = errors.New("the time for the request is over")
	errEndpoints = errors.New("the backend has no endpoints")
)

func (g *Gateway) newReverseProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      roundTripper{g},
		ModifyResponse: g.modify,
		ErrorHandler:   g.failed,
		BufferPool:     &buffers{},
		ErrorLog:       slog.NewLogLogger(g.opts.Log.Handler(), slog.LevelDebug),
	}
}

// buffers are for copying bodies of responses.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// rewrite makes the request to the backend out of that of the client. The library has
// taken out the headers that hold for one connection only.
func rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In.Context())
	f := &x.target.filters
	dropForged(p.Out.Header)
	if !x.upgrade {
		// An upgrade to anything but a WebSocket would be a tunnel past all routes: h2c.
		p.Out.Header.Del("Upgrade")
		p.Out.Header.Del("Connection")
		p.Out.Header.Del("Http2-Settings")
	}
	path := f.path.apply(x.path)
	p.Out.URL = &url.URL{Scheme: x.target.backend.scheme, RawQuery: x.in.URL.RawQuery}
	if x.query.bad {
		p.Out.URL.RawQuery = x.query.values.Encode() // what was decided by, and nothing else
	}
	setPath(p.Out.URL, path.Escaped)
	p.Out.Host = x.in.Host
	if f.host != "" {
		p.Out.Host = f.host
	}
	scheme := "http"
	if x.port.tls {
		scheme = "https"
	}
	h := p.Out.Header
	h.Set("X-Forwarded-For", x.client.String())
	h.Set("X-Forwarded-Host", x.in.Host)
	h.Set("X-Forwarded-Proto", scheme)
	h.Set("X-Forwarded-Port", strconv.Itoa(x.port.public))
	change(h, f.request)
}

func setPath(u *url.URL, escaped string) {
	// reqpath has made sure that it can be decoded.
	u.Path, _ = url.PathUnescape(escaped)
	u.RawPath = escaped
}

// dropForged takes out headers by which a client could pretend to be a proxy, or another
// path to have been asked for. Servers that read an underscore as a hyphen are common.
func dropForged(h http.Header) {
	for name := range h {
		n := name
		if strings.Contains(n, "_") {
			n = http.CanonicalHeaderKey(strings.ReplaceAll(n, "_", "-"))
		}
		if strings.HasPrefix(n, "X-Forwarded-") || n == "Forwarded" || n == "X-Real-Ip" || n == "X-Original-Url" || n == "X-Rewrite-Url" {
			delete(h, name)
		}
	}
}

// modify changes the response of the backend.
func (g *Gateway) modify(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	if res.StatusCode == http.StatusSwitchingProtocols {
		x.out.code = res.StatusCode // the library writes it past x.out
	}
	f := &x.target.filters
	if f.cors != nil {
		f.cors.answer(res.Header, x.in, false)
	}
	change(res.Header, f.response)
	return nil
}

// failed answers a request to which no backend has.
func (g *Gateway) failed(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	code := http.StatusBadGateway
	switch cause := context.Cause(r.Context()); {
	case errors.Is(err, errTimeout) || errors.Is(cause, errTimeout):
		code = http.StatusGatewayTimeout
	case x.body.status() != 0:
		code = x.body.status()
	case cause != nil:
		x.code, x.reason = statusClientGone, "the client has gone"
		return
	case errors.Is(err, errEndpoints):
		code = http.StatusServiceUnavailable
	}
	if code == http.StatusBadGateway {
		g.opts.Log.DebugContext(r.Context(), "a backend fails", "backend", x.target.backend.name, "error", err)
	}
	g.answer(x, code, err.Error())
}

// finish ends an exchange that has been forwarded.
func (g *Gateway) finish(x *exchange) {
	g.finishMirrors(x)
	if x.replay != nil {
		x.replay.close()
	}
}

// roundTripper sends a request to an endpoint of its target's backend, and to others when
// that fails and it may be sent again.
type roundTripper struct{ g *Gateway }

// RoundTrip implements http.RoundTripper.
func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		x.replay = &replay{src: r.Body, max: keptBody, total: &t.g.kept}
	}
	t.g.prepareMirrors(x, r)
	var tried []*balance.Endpoint
	for n := 0; ; n++ {
		e := x.target.backend.pool.Pick(func(e *balance.Endpoint) bool { return slices.Contains(tried, e) })
		if e == nil {
			return nil, errEndpoints
		}
		tried = append(tried, e)
		x.endpoint = e
		res, err := t.try(x, r, e)
		if !x.retries(n, res, err) || r.Context().Err() != nil {
			return res, err
		}
		t.g.metrics.retries.WithLabelValues(x.route.name).Inc()
		if res != nil {
			_, _ = io.CopyN(io.Discard, res.Body, 4<<10) // so that the connection can be used again
			_ = res.Body.Close()
		}
		if err := x.pause(r.Context(), n, err); err != nil {
			return nil, err
		}
	}
}

// retries says whether the nth retry (from 0) is to follow on an outcome.
func (x *exchange) retries(n int, res *http.Response, err error) bool {
	if !x.replay.again() {
		return false
	}
	if retry := x.route.retry; retry != nil && n < retry.Attempts {
		return err != nil || slices.Contains(retry.Codes, res.StatusCode)
	}
	var op *net.OpError
	return x.route.retry == nil && n+1 < dials && errors.As(err, &op) && op.Op == "dial"
}

// pause waits before a retry, longer each time.
func (x *exchange) pause(ctx context.Context, n int, err error) error {
	if x.route.retry == nil || x.route.retry.Backoff == 0 {
		return nil
	}
	least := time.Duration(x.route.retry.Backoff)
	d := max(least, min(least<<min(n, 10), maxBackoff))
	timer := time.NewTimer(d + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), err)
	}
}

// try sends a request to one endpoint.
func (t roundTripper) try(x *exchange, r *http.Request, e *balance.Endpoint) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := func() bool { return true }
	if d := x.route.backendTimeout; d > 0 {
		stop = time.AfterFunc(d, func() { cancel(errTimeout) }).Stop
	}
	release := func() bool { return true }
	if x.body != nil {
		release = context.AfterFunc(ctx, x.body.interrupt)
	}
	out := r.WithContext(ctx)
	u := *r.URL
	u.Host = e.Address
	out.URL = &u
	if x.replay != nil {
		out.Body = x.replay.reader()
		out.GetBody = func() (io.ReadCloser, error) {
			if !x.replay.again() {
				return nil, errReplay
			}
			return x.replay.reader(), nil
		}
	}
	via := x.target.backend.transport.plain
	if x.upgrade {
		via = x.target.backend.transport.upgrade
	}
	res, err := via.RoundTrip(out)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		switch {
		case r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), errTimeout), x.body.status() != 0:
			e.Cancel() // it is the client's doing
		default:
			e.Done(false)
		}
		stop()
		release()
		cancel(nil)
		return nil, err
	}
	res.Request = r // what modify and the library know
	code := res.StatusCode
	end := sync.OnceFunc(func() {
		stop()
		release()
		cancel(nil)
		e.Done(code != http.StatusBadGateway && code != http.StatusServiceUnavailable && code != http.StatusGatewayTimeout)
	})
	if rw, ok := res.Body.(io.ReadWriteCloser); ok && code == http.StatusSwitchingProtocols {
		stop() // the request is over, what follows has no limit
		res.Body = &tunnel{rw, end}
	} else {
		res.Body = &received{res.Body, end}
	}
	return res, nil
}

// received is the body of a response.
type received struct {
	io.ReadCloser
	end func()
}

// Close implements io.Closer.
func (r *received) Close() error {
	defer r.end()
	return r.ReadCloser.Close()
}

// tunnel is a connection that speaks another protocol from now on.
type tunnel struct {
	io.ReadWriteCloser
	end func()
}

// Close implements io.Closer.
func (t *tunnel) Close() error {
	defer t.end()
	return t.ReadWriteCloser.Close()
}
