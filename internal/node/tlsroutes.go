package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// helloTimeout bounds how long a client may take to say which name it asks for.
const helloTimeout = 10 * time.Second

// Alerts of TLS (RFC 8446, section 6.2): what a client is told that is led nowhere.
const (
	alertInternal     = 80
	alertUnrecognized = 112
)

// serveTLS leads connections that begin with TLS to the gateways of the names that they
// ask for, until ctx ends.
func (r *routes) serveTLS(ctx context.Context, l net.Listener) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				r.log.Error("routes with TLS are not served any more", "error", err)
			}
			return
		}
		wg.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			r.pass(ctx, conn)
		})
	}
}

// pass connects a connection with the gateway of the name that it asks for.
func (r *routes) pass(ctx context.Context, conn net.Conn) {
	if conn.SetReadDeadline(time.Now().Add(helloTimeout)) != nil {
		return
	}
	name, read, err := serverName(ctx, conn)
	if err != nil || conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	t, ok := r.find(strings.ToLower(name))
	if !ok || t.tls == "" {
		alert(conn, alertUnrecognized)
		return
	}
	other, err := dialGateway(ctx, "tcp", t.tls)
	if err != nil {
		r.log.Error("route", "host", t.host, "error", err)
		alert(conn, alertInternal)
		return
	}
	defer other.Close()
	if _, err := other.Write(read); err == nil {
		join(conn, other)
	}
}

// alert tells a client why nothing comes of its connection.
func alert(conn net.Conn, description byte) {
	const alerts, fatal = 21, 2
	// Whoever does not read it sees the end of the connection all the same.
	_, _ = conn.Write([]byte{alerts, 3, 3, 0, 2, fatal, description})
}

// errHeard ends a handshake that has told what there was to know.
var errHeard = errors.New("the name is known")

// serverName reads a connection's first message and returns the name that it asks for,
// and all that was read, which is for the server.
func serverName(ctx context.Context, conn net.Conn) (name string, read []byte, err error) {
	var buf bytes.Buffer
	server := tls.Server(listener{conn, io.TeeReader(conn, &buf)}, &tls.Config{ //nolint:gosec // nothing is negotiated by it
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name = h.ServerName
			return nil, errHeard
		},
	})
	if err := server.HandshakeContext(ctx); !errors.Is(err, errHeard) {
		return "", nil, err
	}
	return name, buf.Bytes(), nil
}

// listener is a connection on which nothing is said.
type listener struct {
	net.Conn
	from io.Reader
}

func (l listener) Read(b []byte) (int, error)  { return l.from.Read(b) }
func (l listener) Write(b []byte) (int, error) { return len(b), nil }
func (l listener) Close() error                { return nil }
