package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// secure is a gateway that serves TLS, says its name.
func secure(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.Proto+" "+r.Host)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestTLSRoutes: TLS goes through to the gateway of the name, with whatever version of HTTP both
// agree on, and nowhere without one.
func TestTLSRoutes(t *testing.T) {
	t.Parallel()
	public, internal := secure(t, "public"), secure(t, "internal")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	r := &routes{log: slog.New(slog.DiscardHandler)}
	r.table.Store(&[]route{
		{host: "shop.example.com", tls: public.Listener.Addr().String()}, {host: "office.example.com", tls: internal.Listener.Addr().String()},
		{host: "gone.example.com", tls: gone.Addr().String()}, {host: "plain.example.com"},
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.serveTLS(ctx, l)
	}()
	trust := x509.NewCertPool()
	trust.AddCert(public.Certificate()) // for *.example.com
	ask := func(host string, versions ...string) (string, error) {
		tr := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trust, ServerName: host, NextProtos: versions}, ForceAttemptHTTP2: len(versions) == 0,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
			},
		}
		defer tr.CloseIdleConnections()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+":8443/", nil)
		if err != nil {
			return "", err
		}
		a, err := tr.RoundTrip(q)
		if err != nil {
			return "", err
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		return string(b), err
	}
	for _, c := range []struct {
		host     string
		versions []string
		want     string
	}{
		{"shop.example.com", nil, "public HTTP/2.0 shop.example.com:8443"},
		{"shop.example.com", []string{"http/1.1"}, "public HTTP/1.1 shop.example.com:8443"},
		{"SHOP.example.com", nil, "public HTTP/2.0 SHOP.example.com:8443"},
		{"office.example.com", nil, "internal HTTP/2.0 office.example.com:8443"},
	} {
		if got, err := ask(c.host, c.versions...); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.host, got, err)
		}
	}
	for host, want := range map[string]tls.AlertError{"other.example.com": alertUnrecognized, "plain.example.com": alertUnrecognized, "gone.example.com": alertInternal} {
		_, err := ask(host)
		// What a server has said is wrapped as a string.
		if err == nil || !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("%s: %v, want %v", host, err, want)
		}
	}
	// Who speaks no TLS is told nothing.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); len(b) > 0 {
		t.Errorf("plain HTTP gets %q, %v", b, err)
	}
	conn.Close()
	stop()
	<-ended
	// A process that another test is just starting has the socket, until it becomes what it
	// is to be.
	eventually(t, func() error {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			return errors.Join(errors.New("it listens after its end"), conn.Close())
		}
		return nil
	})
	if _, _, err := serverName(t.Context(), ended0{}); err == nil {
		t.Error("no connection is taken for one")
	}
}

// ended0 is a connection that has ended.
type ended0 struct{ net.Conn }

func (ended0) Read([]byte) (int, error) { return 0, errors.New("ended") }

// TestRedirects: a gateway knows the ports of its Service, and the machine has others.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		http, https    int
		location, want string
	}{
		{8080, 8443, "https://shop.localhost/a?b=https://shop.localhost/", "https://shop.localhost:8443/a?b=https://shop.localhost/"},
		{8080, 8443, "http://Shop.localhost/a", "http://Shop.localhost:8080/a"},
		{8080, 8443, "https://x.wild.localhost", "https://x.wild.localhost:8443"},
		{80, 443, "https://shop.localhost/", "https://shop.localhost/"},
		{8080, 8443, "https://shop.localhost:9443/", "https://shop.localhost:9443/"},
		{8080, 8443, "https://elsewhere.example/", "https://elsewhere.example/"},
		{8080, 8443, "/a", "/a"},
		{8080, 8443, "ftp://shop.localhost/", "ftp://shop.localhost/"},
		{8080, 8443, "%", "%"},
		{8080, 8443, "", ""},
	} {
		r := &routes{c: Config{HTTP: c.http, HTTPS: c.https}}
		r.table.Store(&[]route{{host: "shop.localhost"}, {host: "*.wild.localhost"}})
		a := &http.Response{Header: http.Header{}}
		if c.location != "" {
			a.Header.Set("Location", c.location)
		}
		if err := r.outside(a); err != nil || a.Header.Get("Location") != c.want {
			t.Errorf("%s becomes %s, %v; want %s", c.location, a.Header.Get("Location"), err, c.want)
		}
	}
}
