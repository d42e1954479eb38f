package feed_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/gateway/feed"
)

const domain = "test.acme.example"

// server serves f by TLS that asks clients for certificates; who they are of is not
// what is tested here.
func server(t *testing.T, f *feed.Feed) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(f)
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// client returns a client of s with a certificate for id, "" for none.
func client(t *testing.T, s *httptest.Server, id string, lifetime time.Duration) *http.Client {
	t.Helper()
	tr := s.Client().Transport.(*http.Transport).Clone()
	if id != "" {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(id)
		tmpl := &x509.Certificate{
			SerialNumber: big.NewInt(1), URIs: []*url.URL{u},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		tr.TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// get returns the status of an answer and a reader of its body, which is closed at the
// end of the test.
func get(t *testing.T, c *http.Client, target string) (int, *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp.StatusCode, bufio.NewReader(resp.Body)
}

// next returns the next configuration of a stream.
func next(t *testing.T, r *bufio.Reader) config.Gateway {
	t.Helper()
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		if len(line) == 1 {
			continue
		}
		g, err := config.DecodeGateway(line)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestStream(t *testing.T) {
	f := feed.New(domain, quiet())
	s := server(t, f)
	set := func(version, account string) {
		if err := f.Set("shop/public", account, config.Gateway{Version: version, TrustDomain: domain}); err != nil {
			t.Fatal(err)
		}
	}
	set("1", "public")
	c := client(t, s, config.ID(domain, "shop", "public"), time.Hour)
	status, r := get(t, c, s.URL+"/v1/gateways/shop/public")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	if g := next(t, r); g.Version != "1" || g.TrustDomain != domain {
		t.Errorf("got %+v", g)
	}
	if n := f.Streams("shop/public"); n != 1 {
		t.Errorf("%d streams, want 1", n)
	}
	set("1", "public") // no change: nothing is sent
	set("2", "public")
	if g := next(t, r); g.Version != "2" {
		t.Errorf("got version %q, want 2", g.Version)
	}
	// With another account the stream ends.
	set("3", "other")
	if rest, err := io.ReadAll(r); err != nil || strings.Contains(string(rest), `"3"`) {
		t.Errorf("got %q, %v", rest, err)
	}
	if status, _ := get(t, c, s.URL+"/v1/gateways/shop/public"); status != http.StatusForbidden {
		t.Errorf("the former account gets %d", status)
	}
}

func TestRemoveEndsStreams(t *testing.T) {
	f := feed.New(domain, quiet())
	s := server(t, f)
	if err := f.Set("shop/public", "public", config.Gateway{}); err != nil {
		t.Fatal(err)
	}
	_, r := get(t, client(t, s, config.ID(domain, "shop", "public"), time.Hour), s.URL+"/v1/gateways/shop/public")
	if g := next(t, r); g.Version == "" {
		t.Error("a configuration without version stays so")
	}
	f.Remove("shop/public")
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
	f.Remove("shop/public") // again
}

// TestStreamEndsWithCertificate makes sure that nobody reads on by an identity that has
// expired.
func TestStreamEndsWithCertificate(t *testing.T) {
	f := feed.New(domain, quiet())
	s := server(t, f)
	if err := f.Set("shop/public", "public", config.Gateway{}); err != nil {
		t.Fatal(err)
	}
	_, r := get(t, client(t, s, config.ID(domain, "shop", "public"), 2*time.Second), s.URL+"/v1/gateways/shop/public")
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

func TestWhoMayRead(t *testing.T) {
	f := feed.New(domain, quiet())
	s := server(t, f)
	if err := f.Set("shop/public", "public", config.Gateway{}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		id, path string
		want     int
	}{
		"no certificate":       {"", "/v1/gateways/shop/public", 401},
		"no SPIFFE ID":         {"https://shop.example/", "/v1/gateways/shop/public", 401},
		"another account":      {config.ID(domain, "shop", "web"), "/v1/gateways/shop/public", 403},
		"another namespace":    {config.ID(domain, "pay", "public"), "/v1/gateways/shop/public", 403},
		"another trust domain": {config.ID("x.example", "shop", "public"), "/v1/gateways/shop/public", 403},
		"no such gateway":      {config.ID(domain, "shop", "public"), "/v1/gateways/shop/none", 403},
		"another path":         {config.ID(domain, "shop", "public"), "/v1/gateways/shop", 404},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _ := get(t, client(t, s, tt.id, time.Hour), s.URL+tt.path); status != tt.want {
				t.Errorf("got %d, want %d", status, tt.want)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	f := feed.New(domain, quiet())
	invalid := config.Gateway{Ports: []config.Port{{Listen: 70000, Public: 80}}}
	for name, tt := range map[string]struct {
		name, account string
		g             config.Gateway
	}{
		"no namespace": {"public", "public", config.Gateway{}},
		"three parts":  {"a/b/c", "public", config.Gateway{}},
		"no account":   {"shop/public", "", config.Gateway{}},
		"invalid":      {"shop/public", "public", invalid},
	} {
		if err := f.Set(tt.name, tt.account, tt.g); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
