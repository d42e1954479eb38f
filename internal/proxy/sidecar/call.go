package sidecar

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/balance"
)

// connectTimeout bounds a connection to another pod with its handshake.
const connectTimeout = 3 * time.Second

// notDelivered is a header of answers between sidecars: the application has not seen the
// request, since it took no connection. It may be sent elsewhere.
const notDelivered = "Strata-Not-Delivered"

var errNotDelivered = errors.New("the application takes no connections")

// connectError says that there was no connection, and so that nothing was sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// dialer makes mutual TLS connections to the pods of one call.
type dialer struct{ http2, http1, tcp *tls.Config }

func newDialer(c *proxy.Credentials, identity string) (*dialer, error) {
	var d dialer
	for conf, protocols := range map[**tls.Config][]string{
		&d.http2: {proxy.ALPNHTTP2, proxy.ALPNHTTP1}, &d.http1: {proxy.ALPNHTTP1}, &d.tcp: {proxy.ALPNTCP},
	} {
		var err error
		if *conf, err = c.ClientTLS(protocols, identity); err != nil {
			return nil, err
		}
	}
	return &d, nil
}

// dial connects to an address. All its errors are of type *connectError.
func dial(ctx context.Context, address string, conf *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &connectError{err}
	}
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &connectError{fmt.Errorf("TLS with %s: %w", address, err)}
	}
	return conn, nil
}

// transport returns the pool of connections for requests by mutual TLS.
func transport(conf *tls.Config, http2 bool) *http.Transport {
	var g gate
	t := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			if http2 {
				leave, err := g.enter(ctx, address)
				if err != nil {
					return nil, &connectError{err}
				}
				defer leave()
			}
			return dial(ctx, address, conf)
		},
		// Bodies pass as they are.
		DisableCompression:     true,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxResponseHeader,
		Protocols:              &http.Protocols{},
		// A node that is gone does not say so.
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second, WriteByteTimeout: proxy.WriteTimeout,
			MaxReceiveBufferPerStream: streamBuffer,
		},
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(http2)
	return t
}

// sender sends requests to the endpoints of a call. It implements http.RoundTripper.
type sender struct {
	pool   *pool
	budget *budget
	// upgrades is for requests that switch protocols (WebSocket), which HTTP/2 cannot.
	requests, upgrades http.RoundTripper
	onRetry            func()
}

// RoundTrip implements http.RoundTripper. A request whose connection failed, and whose body
// nobody has read from, goes to another endpoint.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	s.budget.request()
	var tried [attempts]*balance.Endpoint
	var failed error
	body := &body{ReadCloser: r.Body}
	for n := range attempts {
		e, err := s.pool.pick(r.Context(), tried[:n])
		if err != nil {
			if failed == nil {
				failed = err
			}
			break
		}
		tried[n] = e
		resp, err := s.send(r, e, body)
		if err == nil {
			return resp, nil
		}
		failed = err
		if !unsent(err) || body.read.Load() || r.Context().Err() != nil || n+1 == attempts || !s.budget.retry() {
			break
		}
		s.onRetry()
	}
	return nil, failed
}

// unsent says of an error that no application has seen the request.
func unsent(err error) bool {
	var connect *connectError
	return errors.As(err, &connect) || errors.Is(err, errNotDelivered)
}

func (s *sender) send(r *http.Request, e *balance.Endpoint, b *body) (*http.Response, error) {
	out, url := r.WithContext(whileWanted(r.Context())), *r.URL
	url.Scheme, url.Host = "https", e.Address
	out.URL = &url
	if r.Body != nil && r.Body != http.NoBody {
		out.Body, out.GetBody = b, b.again
	}
	rt := s.requests
	if r.Header.Get("Upgrade") != "" {
		rt = s.upgrades
	}
	resp, err := rt.RoundTrip(out)
	if err == nil && resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get(notDelivered) != "" {
		resp.Body.Close()
		err = errNotDelivered
	}
	if err != nil {
		s.pool.settle(r, e, err)
		return nil, err
	}
	well := resp.StatusCode < http.StatusBadGateway || resp.StatusCode > http.StatusGatewayTimeout
	resp.Body = answer(resp, func() { e.Done(well) })
	return resp, nil
}

// settle gives an endpoint back that has not answered.
func (p *pool) settle(r *http.Request, e *balance.Endpoint, err error) {
	switch late := errors.Is(context.Cause(r.Context()), errTimeout); {
	case r.Context().Err() != nil && !late:
		e.Cancel() // the client has gone
	case unsent(err):
		p.unreachable(e, err)
	default:
		e.Done(false)
	}
}

// unreachable gives an endpoint back that takes no connections, and looks whether DNS still
// has it.
func (p *pool) unreachable(e *balance.Endpoint, err error) {
	p.often.Do(func() { p.log.Warn("a pod cannot be reached", "address", e.Address, "error", err) })
	e.Unreachable()
	p.refresh()
}

// body is a request's body that knows whether anything of it has been read. Until then it
// cannot be closed, since who fails to connect closes it.
type body struct {
	io.ReadCloser
	read atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.ReadCloser.Read(p)
}

func (b *body) Close() error {
	if b.read.Load() {
		return b.ReadCloser.Close()
	}
	return nil
}

// again is for http.Request.GetBody.
func (b *body) again() (io.ReadCloser, error) {
	if b.read.Load() {
		return nil, errors.New("the request's body has been sent in part")
	}
	return b, nil
}

// answer returns a response's body that calls done when it is closed. That of a switch
// of protocols can be written to.
func answer(resp *http.Response, done func()) io.ReadCloser {
	t := &tracked{ReadCloser: resp.Body, done: done}
	if w, ok := resp.Body.(io.Writer); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		return &switched{tracked: t, Writer: w}
	}
	return t
}

type tracked struct {
	io.ReadCloser
	done   func()
	closed atomic.Bool
}

func (t *tracked) Close() error {
	if t.closed.CompareAndSwap(false, true) {
		t.done()
	}
	return t.ReadCloser.Close()
}

type switched struct {
	*tracked
	io.Writer
}

// CloseWrite ends the stream in one direction, where that can be done.
func (s *switched) CloseWrite() error {
	if c, ok := s.Writer.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported // ends the other direction too
}
