package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/needs"
	"github.com/stratahq/strata/internal/proxy/config"
)

// TestCertified brings up what a stranger has after the first minutes, with HTTPS, and
// opens its URLs as somebody does who trusts the environment's CA and nobody else.
func TestCertified(t *testing.T) {
	l := newLocalOf(t, t.TempDir())
	// Somebody has the usual port already, so that redirects have to name another one.
	defer takePort(t, "127.0.0.1:443")()
	l.must(0, "init", ".", "--name", "acme", "--domain", "acme.example")
	l.must(0, "new", "workload", "office", "--with", "route")
	l.edit("workloads/office/score.yaml", "type: route ", "class: internal\n    params: {maxRequestBytes: 10}\n    type: route ")
	l.edit("environments/local.yaml", "tls: disabled", "tls: platform-ca")
	l.up()
	c := &certified{local: l, ca: filepath.Join(t.TempDir(), "ca.pem"), roots: x509.NewCertPool()}
	pems := l.stdout(0, "identity", "ca")
	if err := os.WriteFile(c.ca, []byte(pems), 0o600); err != nil {
		t.Fatal(err)
	}
	if !c.roots.AppendCertsFromPEM([]byte(pems)) {
		t.Fatalf("no certificates:\n%s", pems)
	}
	for _, part := range []struct {
		name string
		run  func(*certified, *testing.T)
	}{{"served", served200}, {"curl", curls}, {"redirected", redirected}, {"apart", apart}, {"limited", limited}, {"renewed", renewed}} {
		if !t.Run(part.name, func(t *testing.T) { part.run(c, t) }) {
			l.explain()
		}
	}
	l.well(t)
	if _, out := l.run("status", "local"); !strings.Contains(out, l.routes["hello.public"]) {
		t.Errorf("status does not show %s:\n%s", l.routes["hello.public"], out)
	}
	if out := l.must(0, "identity", "status"); !strings.Contains(out, "acme.localhost, *.acme.localhost") {
		t.Errorf("the certificates are not in\n%s", out)
	}
}

// takePort listens at an address. A node of another test may have it, which gives it back.
func takePort(t *testing.T, address string) (release func()) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		l, err := net.Listen("tcp", address)
		if err == nil {
			return func() { l.Close() }
		}
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// certified is a scaffolded platform with HTTPS.
type certified struct {
	*local
	ca    string // file
	roots *x509.CertPool
}

// client is one that finds *.localhost names where browsers do and trusts the CA alone.
// With a name it asks for that one by TLS, whatever the URL says.
func (c *certified) client(name string) (*http.Client, func()) {
	d := &net.Dialer{Timeout: 5 * time.Second}
	tr := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: c.roots, ServerName: name},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	return &http.Client{Timeout: 20 * time.Second, Transport: tr}, tr.CloseIdleConnections
}

// page is what became of opening a URL.
type page struct {
	code, version int
	body          string
	// at is where it was found in the end, moved the status of the last redirect to there.
	at    *url.URL
	moved int
	// shown is the server's certificate.
	shown *x509.Certificate
}

// open opens a URL.
func open(ctx context.Context, client *http.Client, address string) (page, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return page{}, err
	}
	a, err := client.Do(q)
	if err != nil {
		return page{}, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	out := page{code: a.StatusCode, version: a.ProtoMajor, body: string(b), at: a.Request.URL}
	if a.Request.Response != nil {
		out.moved = a.Request.Response.StatusCode
	}
	if a.TLS != nil {
		out.shown = a.TLS.PeerCertificates[0]
	}
	return out, err
}

// port is that of a URL of this machine, as its text shows it.
func port(of int, usual int) string {
	if of == usual {
		return ""
	}
	return fmt.Sprintf(":%d", of)
}

func served200(c *certified, t *testing.T) {
	https := port(c.config(t).HTTPS, 443)
	if https == "" {
		t.Error("the node is at port 443, which was taken")
	}
	c.reached(t)
	for route, want := range map[string]string{"hello.public": "hello.acme.localhost", "office.internal": "office.internal.acme.localhost"} {
		got := c.routes[route]
		if !strings.HasPrefix(got, "https://"+want+https+"/") {
			t.Fatalf("%s is at %q, want https://%s%s/", route, got, want, https)
		}
		client, done := c.client("")
		p, err := open(t.Context(), client, got)
		done()
		if err != nil || p.code != http.StatusOK || p.version != 2 || !strings.HasPrefix(p.body, "Hello from") {
			t.Errorf("%s: %+v, %v", got, p, err)
		}
	}
	// Who does not trust the CA does not get that far.
	stranger := &certified{local: c.local, roots: x509.NewCertPool()}
	client, done := stranger.client("")
	defer done()
	_, err := open(t.Context(), client, c.routes["hello.public"])
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		t.Errorf("without the CA: %v", err)
	}
}

// reached waits until both gateways know who is behind their routes, which they hear of a
// moment after it is ready.
func (c *certified) reached(t *testing.T) {
	t.Helper()
	client, done := c.client("")
	defer done()
	for _, route := range []string{"hello.public", "office.internal"} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			p, err := open(t.Context(), client, c.routes[route])
			if err == nil && p.code != http.StatusServiceUnavailable {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not answer: %+v, %v", route, p, err)
			}
		}
	}
}

// curls has another implementation of TLS look at the certificates.
func curls(c *certified, t *testing.T) {
	file, err := exec.LookPath("curl")
	if err != nil {
		needs.Skip(t, "there is no curl")
	}
	u, err := url.Parse(c.routes["hello.public"])
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-sS", "--noproxy", "*", "--cacert", c.ca, "--resolve", fmt.Sprintf("%s:%d:127.0.0.1", u.Hostname(), c.config(t).HTTPS), "-o", "/dev/null", "-w", "%{http_code} %{http_version}", u.String()}
	out, err := exec.CommandContext(t.Context(), file, args...).CombinedOutput()
	if err != nil || string(out) != "200 2" {
		t.Errorf("curl says %s, %v", out, err)
	}
}

// redirected: plain HTTP leads to HTTPS, at the port that the machine has.
func redirected(c *certified, t *testing.T) {
	client, done := c.client("")
	defer done()
	p, err := open(t.Context(), client, "http://hello.acme.localhost"+port(c.config(t).HTTP, 80)+"/a?b=c")
	if err != nil {
		t.Fatal(err)
	}
	if p.code != http.StatusOK || p.moved != http.StatusMovedPermanently || p.at.Scheme != "https" || p.at.RequestURI() != "/a?b=c" || !strings.HasPrefix(p.body, "Hello from") {
		t.Errorf("it arrives at %s: %+v", p.at, p)
	}
}

// apart: neither gateway serves what is the other's, nor what is nobody's.
func apart(c *certified, t *testing.T) {
	client, done := c.client("hello.acme.localhost")
	defer done()
	p, err := open(t.Context(), client, c.routes["office.internal"])
	if err != nil || p.code != http.StatusNotFound && p.code != http.StatusMisdirectedRequest {
		t.Errorf("the public gateway answers for an internal host: %+v, %v", p, err)
	}
	client, done = c.client("office.internal.acme.localhost")
	defer done()
	if p, err = open(t.Context(), client, c.routes["hello.public"]); err != nil || p.code == http.StatusOK {
		t.Errorf("the internal gateway answers for a public host: %+v, %v", p, err)
	}
	client, done = c.client("nobody.acme.localhost")
	defer done()
	if p, err := open(t.Context(), client, c.routes["hello.public"]); err == nil {
		t.Errorf("a name without a route is served: %+v", p)
	}
}

// limited: what a team writes of its route holds.
func limited(c *certified, t *testing.T) {
	client, done := c.client("")
	defer done()
	// The program itself takes no such requests.
	for body, want := range map[string]int{"0123456789": http.StatusMethodNotAllowed, "0123456789a": http.StatusRequestEntityTooLarge} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.routes["office.internal"], strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		a, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != want {
			t.Errorf("a body of %d bytes gets %s, want %d", len(body), a.Status, want)
		}
	}
}

// renewed: a certificate that is replaced is shown to the next that connects, and whoever
// is connected stays so.
func renewed(c *certified, t *testing.T) {
	kept, done := c.client("")
	defer done()
	// ask returns the certificate that the connection has begun with, and whether it was there.
	ask := func(client *http.Client) (*x509.Certificate, bool, error) {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		p, err := open(ctx, client, c.routes["hello.public"])
		if err == nil && p.code != http.StatusOK {
			err = fmt.Errorf("it answers with %d", p.code)
		}
		return p.shown, reused, err
	}
	first, _, err := ask(kept)
	if err != nil {
		t.Fatal(err)
	}
	secrets := c.local.client(t).Typed.CoreV1().Secrets(kube.GatewayNamespace)
	name := kube.CertificateName(kube.ClassPublic)
	// A Secret that does not name the CA that signs is renewed, whatever time it is.
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		secret, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		secret.Data[config.WebAuthoritiesKey] = nil
		_, err = secrets.Update(t.Context(), secret, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	// another waits until somebody who connects is shown another certificate.
	another := func(than *x509.Certificate, meanwhile func(error)) *x509.Certificate {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			client, done := c.client("")
			now, _, err := ask(client)
			done()
			if err == nil && !now.Equal(than) {
				return now
			}
			if time.Now().After(deadline) {
				t.Fatalf("the old certificate is still shown: %v", err)
			}
			meanwhile(err)
		}
	}
	still := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("nobody can connect: %v", err)
		}
		if same, reused, err := ask(kept); err != nil || !reused || !same.Equal(first) {
			t.Fatalf("the connection is lost: %v", err)
		}
	}
	second := another(first, still)
	still(nil)
	// A Secret that is lost is made anew.
	if err := secrets.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	another(second, func(error) {})
}
