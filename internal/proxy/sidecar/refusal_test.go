package sidecar_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

// keyPair is a client's certificate, whatever is wrong with it.
func keyPair(t *testing.T, ca *proxytest.Authority, id string, change func(*x509.Certificate)) []tls.Certificate {
	pem := must(ca.Issue(id, change))
	pair, err := tls.X509KeyPair(pem, pem)
	check(t, err)
	return []tls.Certificate{pair}
}

// TestRefusals lets all sorts of clients knock at an inbound port, by each protocol.
func TestRefusals(t *testing.T) {
	var seen atomic.Int32
	m := newMesh(t)
	api := m.start(spec{name: "api", callers: []string{"web"}, target: app(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seen.Add(1)
		io.WriteString(w, "welcome")
	}))})
	foreign := must(proxytest.NewAuthority())
	past := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	future := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	for name, c := range map[string]struct {
		pair []tls.Certificate
		max  uint16
		want string // empty: welcome
	}{
		"declared":            {pair: keyPair(t, m.ca, proxytest.ID("web"), nil)},
		"no certificate":      {want: "certificate required"},
		"another workload":    {pair: keyPair(t, m.ca, proxytest.ID("shop"), nil), want: "bad certificate"},
		"itself":              {pair: keyPair(t, m.ca, proxytest.ID("api"), nil), want: "bad certificate"},
		"foreign authority":   {pair: keyPair(t, foreign, proxytest.ID("web"), nil), want: "bad certificate"},
		"expired":             {pair: keyPair(t, m.ca, proxytest.ID("web"), past), want: "bad certificate"},
		"not yet valid":       {pair: keyPair(t, m.ca, proxytest.ID("web"), future), want: "bad certificate"},
		"other trust domain":  {pair: keyPair(t, m.ca, "spiffe://dev.acme.example/ns/apps/sa/web", nil), want: "bad certificate"},
		"same name, DNS only": {pair: keyPair(t, m.ca, "https://web", func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{proxytest.ID("web")} }), want: "bad certificate"},
		"an authority's":      {pair: keyPair(t, m.ca, proxytest.ID("web"), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), want: "bad certificate"},
		"TLS 1.2":             {pair: keyPair(t, m.ca, proxytest.ID("web"), nil), max: tls.VersionTLS12, want: "protocol version"},
	} {
		for _, protocol := range []string{proxy.ALPNHTTP1, proxy.ALPNTCP, ""} {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				before := seen.Load()
				conf := &tls.Config{InsecureSkipVerify: true, Certificates: c.pair, MaxVersion: c.max}
				if protocol != "" {
					conf.NextProtos = []string{protocol}
				}
				conn, err := tls.Dial("tcp", api.inbound(), conf)
				text := []byte(nil)
				if err == nil {
					defer conn.Close()
					fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")
					text, err = io.ReadAll(conn)
				}
				if c.want == "" {
					if !strings.HasSuffix(string(text), "welcome") || seen.Load() != before+1 {
						t.Errorf("got %q, %v", text, err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || len(text) > 0 || seen.Load() != before {
					t.Errorf("got %q, %v; want an error with %q", text, err, c.want)
				}
			})
		}
	}
	t.Run("unknown protocol", func(t *testing.T) {
		conf := &tls.Config{InsecureSkipVerify: true, Certificates: keyPair(t, m.ca, proxytest.ID("web"), nil), NextProtos: []string{"ftp"}}
		if conn, err := tls.Dial("tcp", api.inbound(), conf); err == nil {
			conn.Close()
			t.Error("there is a connection")
		}
	})
	for name, text := range map[string]string{
		"plain HTTP":   "GET / HTTP/1.1\r\nHost: api\r\n\r\n",
		"plain HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"something":    "EHLO api\r\n\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := seen.Load()
			conn := must(net.Dial("tcp", api.inbound()))
			defer conn.Close()
			fmt.Fprint(conn, text)
			got, _ := io.ReadAll(conn)
			if strings.Contains(string(got), "welcome") || seen.Load() != before {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestServersAreVerified lets the name of a service lead to somebody else.
func TestServersAreVerified(t *testing.T) {
	var seen atomic.Int32
	port := app(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	m := newMesh(t)
	foreign := must(proxytest.NewAuthority())
	evil := m.start(spec{name: "evil", target: port, callers: []string{"web"}})
	fake := m.start(spec{name: "api", target: port, callers: []string{"web"}, ca: foreign})
	plain := &pod{address: address()}
	l := must(net.Listen("tcp", plain.inbound()))
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	stream := call("api", config.ProtocolTCP)
	stream.Name = "stream"
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP), stream}})
	for name, c := range map[string]struct {
		server *pod
		want   string
	}{
		"another workload":  {evil, "unexpected ID"},
		"foreign authority": {fake, "signed by unknown authority"},
		"plain text":        {plain, "does not look like a TLS handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			m.point("api.apps.svc", c.server)
			// What was looked up before is used for a while.
			eventually(t, "the right reason", func() bool {
				got := do(t, client(t, false), request(t, "GET", web.url("api"), nil))
				if got.code != http.StatusServiceUnavailable {
					t.Fatalf("got %d %s", got.code, got.body)
				}
				return strings.Contains(got.body, c.want)
			})
			conn := must(net.Dial("tcp", web.calls["stream"]))
			defer conn.Close()
			fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api\r\n\r\n")
			if b, err := bufio.NewReader(conn).ReadByte(); err == nil {
				t.Errorf("the stream goes somewhere: %q", b)
			}
		})
	}
	if seen.Load() > 0 {
		t.Error("a request has arrived")
	}
}

// TestCallerIsRefused has a caller that the other does not know of.
func TestCallerIsRefused(t *testing.T) {
	m := newMesh(t)
	api := m.start(spec{name: "api", target: app(t, http.NotFoundHandler()), callers: []string{"shop"}})
	m.point("api.apps.svc", api)
	web := m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	both(t, func(t *testing.T, c *http.Client) {
		got := do(t, c, request(t, "GET", web.url("api"), nil))
		// With TLS 1.3 the caller may have sent something before it reads the refusal.
		if got.code != http.StatusBadGateway || !strings.HasPrefix(got.body, "strata: api has broken off: ") {
			t.Errorf("got %d %s", got.code, got.body)
		}
	})
	if want := "unexpected ID \\\"" + proxytest.ID("web"); !strings.Contains(api.log.String(), want) {
		t.Errorf("the log does not say who was refused:\n%s", api.log)
	}
}
