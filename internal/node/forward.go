package node

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"
)

// forward passes connections on to the node until ctx ends.
func (c Config) forward(ctx context.Context, l net.Listener, port int, log *slog.Logger) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				log.Error("a port of the node is not served any more", "port", port, "error", err)
			}
			return
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			c.pipe(ctx, conn, port)
		}()
	}
}

// pipe connects a connection with another until both directions have ended.
func (c Config) pipe(ctx context.Context, conn net.Conn, port int) {
	// Without the link there is no such local address, and nothing leaves the machine.
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: c.HostAddr().AsSlice()}}
	other, err := d.DialContext(ctx, "tcp", net.JoinHostPort(c.Addr().String(), strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer other.Close()
	join(conn, other)
}

// join passes on what comes from either of two connections until both have ended.
func join(conn, other net.Conn) {
	done := make(chan struct{}, 2)
	half := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		if t, ok := dst.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
		done <- struct{}{}
	}
	go half(other, conn)
	go half(conn, other)
	<-done
	<-done
}
