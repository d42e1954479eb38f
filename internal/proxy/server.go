package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// Limits of every HTTP server of the data plane.
const (
	// ReadHeaderTimeout is how long a client may take for a TLS handshake and for the
	// headers of a request.
	ReadHeaderTimeout = 10 * time.Second
	// IdleTimeout is how long a connection may be without a request.
	IdleTimeout = 2 * time.Minute
	// MaxHeaderBytes is how long the headers of a request may be.
	MaxHeaderBytes = 64 << 10
	// MaxStreams is how many requests one HTTP/2 connection may carry at a time.
	MaxStreams = 250
)

// NewServer returns a server with this package's limits, which speaks HTTP/1.1 and HTTP/2:
// by ALPN where conf is not nil, by prior knowledge (h2c, RFC 9113 section 3.3) where it is
// nil. There is no limit to how long a request or response takes, or to the length of a
// body: bodies are passed on as they come and never kept.
func NewServer(handler http.Handler, conf *tls.Config, log *slog.Logger) *http.Server {
	s := &http.Server{
		Handler:           handler,
		TLSConfig:         conf,
		ReadHeaderTimeout: ReadHeaderTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		Protocols:         &http.Protocols{},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: MaxStreams,
			SendPingTimeout:      IdleTimeout,
			PingTimeout:          ReadHeaderTimeout,
			WriteByteTimeout:     WriteTimeout,
		},
		ErrorLog: slog.NewLogLogger(&quiet{Handler: log.Handler(), often: rate.Sometimes{Interval: time.Second}}, slog.LevelWarn),
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(conf != nil)
	s.Protocols.SetUnencryptedHTTP2(conf == nil)
	return s
}

// quiet keeps out of the log what any client can cause at will: handshakes that fail are
// reported now and then, since they say who is not let in; the rest for debugging.
type quiet struct {
	slog.Handler
	often rate.Sometimes
}

// Handle implements slog.Handler.
func (q *quiet) Handle(ctx context.Context, r slog.Record) error {
	var err error
	switch {
	case strings.Contains(r.Message, "TLS handshake error"):
		q.often.Do(func() { err = q.Handler.Handle(ctx, r) })
	case strings.HasPrefix(r.Message, "http2: "), strings.Contains(r.Message, "URL query contains semicolon"):
		r.Level = slog.LevelDebug
		if q.Enabled(ctx, r.Level) {
			err = q.Handler.Handle(ctx, r)
		}
	default:
		err = q.Handler.Handle(ctx, r)
	}
	return err
}

// Serve serves on a listener until ctx ends, with TLS where the server has a
// configuration for it. It then takes no new requests, and lets those that it has finish
// until grace has passed. It returns nil when it has been ended by ctx.
func Serve(ctx context.Context, s *http.Server, l net.Listener, grace time.Duration) error {
	// What has taken a connection over (WebSocket) ends with the server.
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s.BaseContext = func(net.Listener) context.Context { return base }
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if s.Shutdown(last) != nil {
			s.Close()
		}
	})
	var err error
	if s.TLSConfig != nil {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
