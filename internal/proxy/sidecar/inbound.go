package sidecar

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
)

const (
	// localTimeout bounds a connection to the application.
	localTimeout = 3 * time.Second
	// localIdle is how long a connection to the application is kept. Servers close theirs
	// after two seconds or more; one that is used at that moment would fail a request.
	localIdle = time.Second
	// localConnections is how many are kept.
	localConnections = 256

	// connectionStreams is how many requests a caller may have on one connection,
	// streamBuffer how much of a body waits for its reader, and connectionBuffer that of
	// all on a connection: the most that net/http allows.
	connectionStreams = 100
	streamBuffer      = 128 << 10
	connectionBuffer  = 4<<20 - 1
)

// inbound is a port for mutual TLS.
type inbound struct {
	conf      config.Inbound
	target    string
	own       string
	telemetry *proxy.Telemetry
	log       *slog.Logger
	often     rate.Sometimes // limits the log of failures
}

// newInbound returns the server of a port.
func newInbound(conf config.Inbound, own string, o *Options) (*http.Server, error) {
	in := &inbound{
		conf: conf, own: own, telemetry: o.Telemetry,
		target: net.JoinHostPort("127.0.0.1", strconv.Itoa(conf.Target)),
		log:    o.Log.With("port", conf.Name),
		often:  rate.Sometimes{Interval: time.Second},
	}
	tlsConf, err := o.Credentials.ServerTLS([]string{proxy.ALPNHTTP2, proxy.ALPNHTTP1, proxy.ALPNTCP}, conf.Callers...)
	if err != nil {
		return nil, err
	}
	s := proxy.NewServer(o.Telemetry.Observe(proxy.Inbound, conf.Name, peerOf, entry(in.handler())), tlsConf, in.log)
	// All requests of a caller share a connection. Those whose bodies the application does
	// not read may keep what they have sent there, but no others from sending: by default
	// one could.
	s.HTTP2.MaxConcurrentStreams = connectionStreams
	s.HTTP2.MaxReceiveBufferPerStream = streamBuffer
	s.HTTP2.MaxReceiveBufferPerConnection = connectionBuffer
	s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){proxy.ALPNTCP: in.stream}
	return s, nil
}

// handler sends requests to the application: gRPC by HTTP/2 without TLS, since it knows no
// other, and all else by HTTP/1.1, which every application speaks, however it came.
func (in *inbound) handler() http.Handler {
	http1 := in.transport(func(p *http.Protocols) { p.SetHTTP1(true) })
	http2 := in.transport(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			pass(r)
			r.Out.URL.Scheme, r.Out.URL.Host = "http", in.target
			dropIdentity(r.Out.Header)
			r.Out.Header.Set(identityHeader, "By="+in.own+";URI="+peerOf(r.In))
		},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if isGRPC(r) {
				return http2.RoundTrip(r)
			}
			return http1.RoundTrip(r)
		}),
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del(notDelivered) // that is for sidecars to say
			return nil
		},
		BufferPool:   buffers,
		ErrorLog:     slog.NewLogLogger(in.log.Handler(), slog.LevelDebug),
		ErrorHandler: in.failed,
	}
}

func (in *inbound) transport(protocols func(*http.Protocols)) *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := in.dial(ctx)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
		DisableCompression:     true,
		IdleConnTimeout:        localIdle,
		MaxIdleConnsPerHost:    localConnections,
		MaxResponseHeaderBytes: maxResponseHeader,
		Protocols:              &http.Protocols{},
	}
	protocols(t.Protocols)
	return t
}

func (in *inbound) dial(ctx context.Context) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: localTimeout}
	c, err := d.DialContext(ctx, "tcp", in.target)
	if err != nil {
		return nil, &connectError{err}
	}
	return c.(*net.TCPConn), nil
}

// failed answers a request that the application has not.
func (in *inbound) failed(w http.ResponseWriter, r *http.Request, err error) {
	var connect *connectError
	switch {
	case r.Context().Err() != nil:
		w.WriteHeader(statusClientGone)
		return
	case errors.As(err, &connect):
		w.Header().Set(notDelivered, "true")
		fail(w, r, http.StatusServiceUnavailable, "the application takes no connections")
	default:
		fail(w, r, http.StatusBadGateway, "the application's answer cannot be used")
	}
	in.often.Do(func() { in.log.Warn("a request has failed", "error", err) })
}

// stream carries a connection as it is.
func (in *inbound) stream(_ *http.Server, conn *tls.Conn, h http.Handler) {
	defer conn.Close()
	peer, err := proxy.PeerID(conn.ConnectionState())
	if err != nil {
		return // cannot be: the handshake has checked it
	}
	in.telemetry.Stream(proxy.Inbound, in.conf.Name, peer)
	app, err := in.dial(context.Background())
	if err != nil {
		in.often.Do(func() { in.log.Warn("the application takes no connections", "error", err) })
		return
	}
	join(conn, app)
}

// roundTripper is a function as an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
