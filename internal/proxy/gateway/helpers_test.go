package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway"
)

// patience is how long tests wait for what has to happen.
const patience = 30 * time.Second

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// fixture is a gateway that listens on loopback.
type fixture struct {
	*gateway.Gateway
	t         *testing.T
	telemetry *proxy.Telemetry
	access    lines
	log       lines
	versions  int
}

func newGateway(t *testing.T, change func(*gateway.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, telemetry: proxy.NewTelemetryWith(nil)}
	o := gateway.Options{
		Telemetry: f.telemetry,
		Log:       slog.New(slog.NewJSONHandler(&f.log, nil)), Access: slog.New(slog.NewJSONHandler(&f.access, nil)),
		Address: "127.0.0.1", Grace: patience,
	}
	if change != nil {
		change(&o)
	}
	f.Gateway = must(gateway.New(o))
	t.Cleanup(f.Close)
	return f
}

// apply serves c, under a new version.
func (f *fixture) apply(c config.Gateway) {
	f.t.Helper()
	f.versions++
	c.Version = strconv.Itoa(f.versions)
	check(f.t, f.Apply(context.Background(), c))
}

// freePort returns a port that nobody listens on, nor connects from.
func freePort(t *testing.T) int {
	t.Helper()
	return freeport.Get(t)
}

// seen is what an echo server says of the request that it has got.
type seen struct {
	Name, Method, Path, Host, Proto, Body string
	Headers                               http.Header
	Peer                                  string // of mutual TLS
}

// echo is a handler that answers with what it has seen. The parameters "status",
// "delay" and "header" of the query make it do more.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s := seen{Name: name, Method: r.Method, Path: r.RequestURI, Host: r.Host, Proto: r.Proto, Headers: r.Header, Body: string(content)}
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			if s.Peer, err = proxy.PeerID(*r.TLS); err != nil {
				s.Peer = r.TLS.PeerCertificates[0].Subject.CommonName
			}
		}
		q := r.URL.Query()
		if d, err := time.ParseDuration(q.Get("delay")); err == nil {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
		}
		for _, h := range q["header"] {
			k, v, _ := strings.Cut(h, ":")
			w.Header().Add(k, v)
		}
		w.Header().Set("Content-Type", "application/json")
		if code, err := strconv.Atoi(q.Get("status")); err == nil {
			w.WriteHeader(code)
		}
		json.NewEncoder(w).Encode(s)
	})
}

// backend serves h on loopback, by HTTP/1.1 and h2c, and returns what leads there.
func backend(t *testing.T, name string, h http.Handler) config.Backend {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return config.Backend{Name: name, Endpoints: []config.Endpoint{endpoint(s.Listener.Addr())}}
}

func endpoint(a net.Addr) config.Endpoint {
	tcp := a.(*net.TCPAddr)
	return config.Endpoint{Address: tcp.IP.String(), Port: tcp.Port}
}

// simple is a configuration of one port with one listener and one host for all names.
func simple(port int, backends []config.Backend, routes ...config.Route) config.Gateway {
	for i := range routes {
		if routes[i].Name == "" {
			routes[i].Name = "apps/route"
		}
	}
	return config.Gateway{
		TrustDomain: "test.acme.example", Backends: backends,
		Ports: []config.Port{{Listen: port, Public: 80, Listeners: []config.Listener{{Name: "http", Hosts: []config.Host{{Routes: routes}}}}}},
	}
}

// to leads to a backend.
func to(b config.Backend) []config.Target { return []config.Target{{Backend: b.Name, Weight: 1}} }

func prefix(p string) config.Match {
	return config.Match{Path: &config.PathMatch{Kind: config.MatchPrefix, Value: p}}
}

// answer is a response with its body read.
type answer struct {
	code    int
	headers http.Header
	body    string
	trailer http.Header
	seen    seen // if it comes from echo
}

// client does not follow redirects. It uses a new connection for each request.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
}

// do sends a request; edit may be nil.
func do(t *testing.T, c *http.Client, method, url, body string, edit func(*http.Request)) answer {
	t.Helper()
	a, err := try(c, method, url, body, edit)
	check(t, err)
	return a
}

func try(c *http.Client, method, url, body string, edit func(*http.Request)) (answer, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, url, content)
	if err != nil {
		return answer{}, err
	}
	if edit != nil {
		edit(r)
	}
	res, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{code: res.StatusCode, headers: res.Header, body: string(b), trailer: res.Trailer}
	_ = json.Unmarshal(b, &a.seen) // not all answers are echo's
	return a, nil
}

// get sends a GET request with a Host header.
func get(t *testing.T, port int, host, path string) answer {
	t.Helper()
	return do(t, client, http.MethodGet, url(port, path), "", func(r *http.Request) {
		if host != "" {
			r.Host = host
		}
	})
}

func url(port int, path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", port, path) }

// h2c returns a client that speaks HTTP/2 without TLS.
func h2c(t *testing.T) *http.Client {
	tr := &http.Transport{Protocols: &http.Protocols{}}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// over returns a client that connects to port for any name, by TLS as conf says.
func over(t *testing.T, port int, conf *tls.Config) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: conf, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: client.CheckRedirect}
}

// raw sends bytes on a connection of its own and returns all that comes back until the
// server closes it.
func raw(t *testing.T, port int, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check(t, err)
	defer c.Close()
	check(t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, request)
	check(t, err)
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		return ""
	}
	return string(b)
}

// dialLine connects and sends bytes.
func dialLine(port int, request string) (net.Conn, error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	_, err = io.WriteString(c, request)
	return c, err
}

func promHandler(f *fixture) http.Handler {
	return promhttp.HandlerFor(f.telemetry.Registry, promhttp.HandlerOpts{})
}

// limitRequests bounds how many requests are in a gateway.
func limitRequests(n int) func(*gateway.Options) {
	return func(o *gateway.Options) { o.MaxRequests = n }
}

// decode reads what an echo server has said.
func decode(b []byte) (s seen) {
	_ = json.Unmarshal(b, &s) // others have said something else
	return s
}
