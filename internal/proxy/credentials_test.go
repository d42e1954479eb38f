package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/proxytest"
)

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

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

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

func open(t *testing.T, v *proxytest.Volume, poll time.Duration) (*proxy.Credentials, *lines) {
	t.Helper()
	log := &lines{}
	c, err := proxy.OpenCredentials(t.Context(), proxy.CredentialFiles{Key: v.Key(), Trust: v.Trust(), TrustDomain: proxytest.Domain, Poll: poll}, slog.New(slog.NewTextHandler(log, nil)))
	check(t, err)
	return c, log
}

func serialOf(c *proxy.Credentials) string {
	svid, err := c.GetX509SVID()
	if err != nil {
		return ""
	}
	return svid.Certificates[0].SerialNumber.String()
}

func TestCredentialsAreWaitedFor(t *testing.T) {
	ca := must(proxytest.NewAuthority())
	dir := filepath.Join(t.TempDir(), "not", "yet")
	c, log := open(t, &proxytest.Volume{}, 0)
	if c.Ready() {
		t.Fatal("ready without files")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "credentials.pem: no such file") {
		t.Errorf("waiting ends with %v", err)
	}
	if _, err := c.GetX509SVID(); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("the error does not say what is missing: %v", err)
	}
	if !strings.Contains(log.String(), "waiting for the pod's credentials") {
		t.Errorf("the log does not say what is waited for: %s", log)
	}

	// The folder appears later than the watcher.
	files := proxy.CredentialFiles{Key: filepath.Join(dir, "credentials.pem"), Trust: filepath.Join(dir, "trust.pem"), TrustDomain: proxytest.Domain}
	c, err := proxy.OpenCredentials(t.Context(), files, slog.New(slog.DiscardHandler))
	check(t, err)
	v := must(proxytest.NewVolume(dir))
	check(t, v.Write(must(ca.Issue(proxytest.ID("web"), nil)), ca.Root()))
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	check(t, c.Wait(ctx))
	if svid := must(c.GetX509SVID()); svid.ID.String() != proxytest.ID("web") {
		t.Errorf("got %s", svid.ID)
	}
}

func TestCredentialsFollowTheFiles(t *testing.T) {
	for name, poll := range map[string]time.Duration{"by notice": time.Hour, "by polling": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ca, next := must(proxytest.NewAuthority()), must(proxytest.NewAuthority())
			v := must(proxytest.NewVolume(t.TempDir()))
			check(t, v.Write(must(ca.Issue(proxytest.ID("web"), nil)), ca.Root()))
			c, _ := open(t, v, poll)
			for range 3 {
				was := serialOf(c)
				check(t, v.Write(must(ca.Issue(proxytest.ID("web"), nil)), ca.Root()))
				eventually(t, "another serial number", func() bool { return serialOf(c) != was })
			}
			check(t, v.Write(must(next.Issue(proxytest.ID("web"), nil)), ca.Root(), next.Root()))
			eventually(t, "two roots", func() bool {
				return len(must(c.GetX509BundleForTrustDomain(c.TrustDomain())).X509Authorities()) == 2
			})
		})
	}
}

func TestBadFilesChangeNothing(t *testing.T) {
	ca := must(proxytest.NewAuthority())
	good := must(ca.Issue(proxytest.ID("web"), nil))
	other := must(ca.Issue(proxytest.ID("web"), nil))
	_, chain, _ := bytes.Cut(good, []byte("-----END PRIVATE KEY-----\n"))
	for name, bad := range map[string]struct {
		key, roots []byte
		want       string
	}{
		"empty":                    {nil, ca.Root(), "it has no PEM block"},
		"no PEM":                   {[]byte("hello"), ca.Root(), "it has no PEM block"},
		"key cut off":              {good[:50], ca.Root(), "it is not whole: 0 of 1"},
		"certificate cut off":      {good[:len(good)-60], ca.Root(), "it is not whole: 1 of 2"},
		"second of chain cut off":  {append(bytes.Clone(good), ca.Root()[:100]...), ca.Root(), "it is not whole: 2 of 3"},
		"no key":                   {chain, ca.Root(), "no private key found"},
		"another's key":            {append(bytes.Clone(other[:bytes.Index(other, []byte("-----BEGIN CERT"))]), chain...), ca.Root(), "does not match private key"},
		"expired":                  {must(ca.Issue(proxytest.ID("web"), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })), ca.Root(), "has expired at"},
		"a foreign trust domain":   {must(ca.Issue("spiffe://other.example/ns/apps/sa/web", nil)), ca.Root(), "outside the trust domain"},
		"no SPIFFE ID":             {must(ca.Issue("https://web.example", nil)), ca.Root(), "SPIFFE ID"},
		"no roots":                 {good, nil, "it has no PEM block"},
		"roots cut off":            {good, ca.Root()[:200], "it is not whole: 0 of 1"},
		"roots that are something": {good, good[:bytes.Index(good, []byte("-----BEGIN CERT"))], "trust.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			v := must(proxytest.NewVolume(t.TempDir()))
			check(t, v.Write(bad.key, bad.roots))
			c, _ := open(t, v, 0)
			if c.Ready() {
				t.Fatal("ready with bad files")
			}
			check(t, v.Write(good, ca.Root()))
			eventually(t, "ready", c.Ready)

			c, log := open(t, v, 0)
			was, roots := serialOf(c), len(must(c.GetX509BundleForTrustDomain(c.TrustDomain())).X509Authorities())
			check(t, v.Write(bad.key, bad.roots))
			eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "the last good one stays in use") })
			if !strings.Contains(log.String(), bad.want) {
				t.Errorf("the log does not say %q:\n%s", bad.want, log)
			}
			if strings.Contains(log.String(), "-----BEGIN") {
				t.Error("the log holds what the file does")
			}
			if now := len(must(c.GetX509BundleForTrustDomain(c.TrustDomain())).X509Authorities()); serialOf(c) != was || now != roots {
				t.Error("the credentials have changed")
			}
			renewed := must(ca.Issue(proxytest.ID("web"), nil))
			check(t, v.Write(renewed, ca.Root()))
			eventually(t, "the next good one", func() bool { return serialOf(c) != was })
		})
	}
}

func TestCredentialsOfOneTrustDomain(t *testing.T) {
	ca := must(proxytest.NewAuthority())
	v := must(proxytest.NewVolume(t.TempDir()))
	check(t, v.Write(must(ca.Issue(proxytest.ID("web"), nil)), ca.Root()))
	c, _ := open(t, v, 0)
	if _, err := c.GetX509BundleForTrustDomain(spiffeid.RequireTrustDomainFromString("other.example")); err == nil {
		t.Error("another trust domain is trusted")
	}
	if _, err := proxy.OpenCredentials(t.Context(), proxy.CredentialFiles{TrustDomain: "Not A Domain"}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error about the trust domain's name")
	}
	if _, err := c.ServerTLS(nil, "web"); err == nil || !strings.Contains(err.Error(), `"web"`) {
		t.Errorf("a caller that is no SPIFFE ID: %v", err)
	}
	if _, err := c.ClientTLS(nil); err == nil {
		t.Error("a client that talks to anybody")
	}
}

// TestMutualTLS shakes hands with all sorts of clients, by the configurations alone.
func TestMutualTLS(t *testing.T) {
	ca, foreign := must(proxytest.NewAuthority()), must(proxytest.NewAuthority())
	v := must(proxytest.NewVolume(t.TempDir()))
	check(t, v.Write(must(ca.Issue(proxytest.ID("server"), nil)), ca.Root()))
	server, _ := open(t, v, 0)
	conf := must(server.ServerTLS([]string{proxy.ALPNHTTP2}, proxytest.ID("web"), proxytest.ID("shop")))
	client := func(key []byte, roots ...[]byte) *proxy.Credentials {
		v := must(proxytest.NewVolume(t.TempDir()))
		check(t, v.Write(key, roots...))
		c, _ := open(t, v, 0)
		return c
	}
	web := must(ca.Issue(proxytest.ID("web"), nil))
	for name, c := range map[string]struct {
		conf *tls.Config
		want string // of the error; empty: it works
	}{
		"declared":                {must(client(web, ca.Root()).ClientTLS([]string{proxy.ALPNHTTP2}, proxytest.ID("server"))), ""},
		"another declared":        {must(client(must(ca.Issue(proxytest.ID("shop"), nil)), ca.Root()).ClientTLS([]string{proxy.ALPNHTTP2}, proxytest.ID("server"))), ""},
		"not declared":            {must(client(must(ca.Issue(proxytest.ID("other"), nil)), ca.Root()).ClientTLS(nil, proxytest.ID("server"))), "bad certificate"},
		"foreign authority":       {must(client(must(foreign.Issue(proxytest.ID("web"), nil)), ca.Root()).ClientTLS(nil, proxytest.ID("server"))), "bad certificate"},
		"the server is another":   {must(client(web, ca.Root()).ClientTLS(nil, proxytest.ID("elsewhere"))), "unexpected ID"},
		"the server's is foreign": {must(client(web, foreign.Root()).ClientTLS(nil, proxytest.ID("server"))), "signed by unknown authority"},
		"no certificate":          {&tls.Config{InsecureSkipVerify: true}, "certificate required"},
		"TLS 1.2":                 {&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, "protocol version"},
		"two roots":               {must(client(must(ca.Issue(proxytest.ID("web"), nil)), foreign.Root(), ca.Root()).ClientTLS([]string{proxy.ALPNHTTP2}, proxytest.ID("server"))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := must(net.Listen("tcp", "127.0.0.1:0"))
			defer l.Close()
			served := make(chan error, 1)
			go func() {
				raw, err := l.Accept()
				if err != nil {
					served <- err
					return
				}
				defer raw.Close()
				conn := tls.Server(raw, conf)
				if err := conn.Handshake(); err != nil {
					served <- err
					return
				}
				id, err := proxy.PeerID(conn.ConnectionState())
				if err == nil {
					_, err = io.WriteString(conn, id)
				}
				conn.Close()
				served <- err
			}()
			conn, err := tls.Dial("tcp", l.Addr().String(), c.conf)
			var got []byte
			if err == nil {
				// With TLS 1.3 a client learns when it reads that it is refused.
				got, err = io.ReadAll(conn)
				conn.Close()
			}
			serverErr := <-served
			if c.want == "" {
				if err != nil || serverErr != nil || !strings.HasPrefix(string(got), "spiffe://"+proxytest.Domain) {
					t.Fatalf("client: %v, server: %v, answer %q", err, serverErr, got)
				}
				return
			}
			if err == nil || serverErr == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("client: %v, server: %v; want an error with %q", err, serverErr, c.want)
			}
		})
	}
}

// TestNoResumption checks that a client cannot come back by a ticket, which would skip
// the check of its certificate.
func TestNoResumption(t *testing.T) {
	ca := must(proxytest.NewAuthority())
	v := must(proxytest.NewVolume(t.TempDir()))
	check(t, v.Write(must(ca.Issue(proxytest.ID("web"), nil)), ca.Root()))
	c, _ := open(t, v, 0)
	l := must(tls.Listen("tcp", "127.0.0.1:0", must(c.ServerTLS(nil, proxytest.ID("web")))))
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.WriteString(conn, "hello"); conn.Close() }()
		}
	}()
	conf := must(c.ClientTLS(nil, proxytest.ID("web")))
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for range 3 {
		conn, err := tls.Dial("tcp", l.Addr().String(), conf)
		check(t, err)
		must(io.ReadAll(conn))
		if conn.ConnectionState().DidResume {
			t.Error("a session was resumed")
		}
		conn.Close()
	}
}
