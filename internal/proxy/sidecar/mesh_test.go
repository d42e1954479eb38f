package sidecar_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stratahq/strata/internal/freeport"
	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/proxytest"
	"github.com/stratahq/strata/internal/proxy/sidecar"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// mesh is sidecars that find each other: each has an address of 127.0.0.0/8 of its own,
// since all listen on the same ports.
type mesh struct {
	t  testing.TB
	ca *proxytest.Authority

	mu    sync.Mutex
	hosts map[string][]netip.Addr // what DNS says
	asked map[string]int
}

func newMesh(t testing.TB) *mesh {
	return &mesh{t: t, ca: must(proxytest.NewAuthority()), hosts: map[string][]netip.Addr{}, asked: map[string]int{}}
}

// lookup is the mesh's DNS.
func (m *mesh) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[host]++
	if a := m.hosts[host]; len(a) > 0 {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// point makes a name lead to pods.
func (m *mesh) point(host string, pods ...*pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts[host] = nil
	for _, p := range pods {
		m.hosts[host] = append(m.hosts[host], netip.MustParseAddr(p.address))
	}
}

var addresses atomic.Int32

// address returns one that no other test has, of this process or another.
func address() string {
	n := addresses.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 1+os.Getpid()%250, n/250, 1+n%250)
}

// pod is a sidecar that runs.
type pod struct {
	name      string
	address   string
	volume    *proxytest.Volume
	telemetry *proxy.Telemetry
	spans     *tracetest.InMemoryExporter
	log       *lines
	calls     map[string]string // addresses of calls, by name
	stop      context.CancelFunc
	done      chan struct{}
	err       error
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

// spec is what a pod is made of. Listen ports that are 0 are chosen.
type spec struct {
	name     string
	target   int      // the application's port; 0: it has none
	callers  []string // names of workloads
	outbound []config.Outbound
	grace    time.Duration
	change   func(*x509.Certificate)
	ca       *proxytest.Authority // nil: the mesh's
	traced   bool
}

// call is a call of a workload by its name.
func call(name, protocol string) config.Outbound {
	return config.Outbound{Name: name, Host: name + ".apps.svc", Port: config.InboundBase, Identity: proxytest.ID(name), Protocol: protocol}
}

// prepare makes a pod that does not run yet.
func (m *mesh) prepare(s spec) (*pod, sidecar.Options) {
	m.t.Helper()
	p := &pod{name: s.name, address: address(), log: &lines{}, calls: map[string]string{}, done: make(chan struct{})}
	p.volume = must(proxytest.NewVolume(filepath.Join(m.t.TempDir(), "identity")))
	ca := s.ca
	if ca == nil {
		ca = m.ca
	}
	check(m.t, p.volume.Write(must(ca.Issue(proxytest.ID(s.name), s.change)), m.ca.Root()))
	conf := config.Sidecar{TrustDomain: proxytest.Domain, Namespace: "apps", Workload: s.name}
	if s.target > 0 {
		in := config.Inbound{Name: "web", Listen: config.InboundBase, Target: s.target}
		for _, c := range s.callers {
			in.Callers = append(in.Callers, proxytest.ID(c))
		}
		conf.Inbound = append(conf.Inbound, in)
	}
	for _, out := range s.outbound {
		out.Listen = freeport.Get(m.t)
		p.calls[out.Name] = fmt.Sprintf("127.0.0.1:%d", out.Listen)
		conf.Outbound = append(conf.Outbound, out)
	}
	check(m.t, conf.Validate())
	p.telemetry = proxy.NewTelemetryWith(nil)
	if s.traced {
		p.spans = tracetest.NewInMemoryExporter()
		p.telemetry = proxy.NewTelemetryWith(sdktrace.NewTracerProvider(sdktrace.WithSyncer(p.spans)))
	}
	if s.grace == 0 {
		s.grace = 5 * time.Second
	}
	return p, sidecar.Options{
		Config: conf, Telemetry: p.telemetry, Log: slog.New(slog.NewTextHandler(p.log, nil)),
		Address: p.address, Grace: s.grace, Lookup: m.lookup,
	}
}

// start runs a pod until the test ends, and waits until it is ready.
func (m *mesh) start(s spec) *pod {
	m.t.Helper()
	p, o := m.prepare(s)
	m.run(p, o)
	eventually(m.t, s.name+" is ready", func() bool {
		select {
		case <-p.done:
			m.t.Fatalf("%s ended: %v\n%s", s.name, p.err, p.log)
		default:
		}
		return p.probe(config.ReadyPath) == http.StatusOK
	})
	return p
}

func (m *mesh) run(p *pod, o sidecar.Options) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	files := proxy.CredentialFiles{Key: p.volume.Key(), Trust: p.volume.Trust(), TrustDomain: proxytest.Domain}
	credentials, err := proxy.OpenCredentials(ctx, files, o.Log)
	check(m.t, err)
	o.Credentials = credentials
	go func() {
		defer close(p.done)
		p.err = sidecar.Run(ctx, o)
	}()
	m.t.Cleanup(func() {
		cancel()
		<-p.done
		if p.err != nil {
			m.t.Errorf("%s: %v", p.name, p.err)
		}
		if m.t.Failed() {
			m.t.Logf("log of %s:\n%s", p.name, p.log)
		}
	})
}

func (p *pod) probe(path string) int {
	resp, err := http.Get(fmt.Sprintf("http://%s:%d%s", p.address, config.HealthPort, path))
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// left waits until nobody has a connection to a pod that has ended. Until a caller has read
// of the end it may send a request there, which fails if it must not be sent twice.
func (p *pod) left(t testing.TB) {
	t.Helper()
	ip := netip.MustParseAddr(p.address).As4()
	remote := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), config.InboundBase)
	eventually(t, "nobody is connected to "+p.inbound(), func() bool {
		b, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			t.Skipf("needs /proc: %v", err)
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line) // number, local address, remote address, state
			if len(f) > 3 && f[2] == remote && (f[3] == "01" || f[3] == "08") {
				return false // established, or closed by the pod alone
			}
		}
		return true
	})
}

// url returns the URL of a call.
func (p *pod) url(name string) string { return "http://" + p.calls[name] }

// inbound returns the address of the mutual TLS port.
func (p *pod) inbound() string { return fmt.Sprintf("%s:%d", p.address, config.InboundBase) }

// metric returns the lines of a metric, in Prometheus' text format.
func (p *pod) metric(t testing.TB, name string) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(p.telemetry.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// app is an application on loopback, until the test ends; it returns its port.
func app(t testing.TB, h http.Handler) int {
	t.Helper()
	port, _ := stoppableApp(t, 0, h)
	return port
}

// stoppableApp is an application that the caller may stop; a port of 0 is chosen.
func stoppableApp(t testing.TB, port int, h http.Handler) (int, func()) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	check(t, err)
	s := &http.Server{Handler: h, Protocols: &http.Protocols{}}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).Port, func() { s.Close() }
}

// pair is a workload "web" that calls "api", whose application is h.
func pair(t testing.TB, h http.Handler) (web, api *pod) {
	t.Helper()
	m := newMesh(t)
	api = m.start(spec{name: "api", target: app(t, h), callers: []string{"web"}})
	m.point("api.apps.svc", api)
	web = m.start(spec{name: "web", outbound: []config.Outbound{call("api", config.ProtocolHTTP)}})
	return web, api
}

// client returns one of HTTP/1.1 or, without TLS, HTTP/2.
func client(t testing.TB, http2 bool) *http.Client {
	tr := &http.Transport{Protocols: &http.Protocols{}, DisableCompression: true}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is a response as a whole.
type reply struct {
	code            int
	header, trailer http.Header
	body            string
}

// try sends a request.
func try(c *http.Client, r *http.Request) (reply, error) {
	resp, err := c.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, resp.Trailer, string(b)}, err
}

// do sends a request that gets a whole response.
func do(t testing.TB, c *http.Client, r *http.Request) reply {
	t.Helper()
	got, err := try(c, r)
	check(t, err)
	return got
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	check(t, err)
	return r
}
