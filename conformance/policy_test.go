package conformance

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
)

//go:embed testdata/policy.yaml
var policies string

// fixture makes the gateway and the routes of testdata/policy.yaml, and returns the
// gateway's address. It runs where the suite does, and skips the test if -strata.test asks
// for another one.
func fixture(t *testing.T) (*cluster.Client, *issuer, string) {
	t.Helper()
	if os.Getenv(inside) == "" || *only != "" && *only != t.Name() {
		t.Skip("TestConformance runs this in a node")
	}
	client, err := cluster.Open(os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(client.REST.Host)
	if err != nil {
		t.Fatal(err)
	}
	i := newIssuer(t, server.Hostname())
	ca, err := json.Marshal(i.ca)
	if err != nil {
		t.Fatal(err)
	}
	_, files := manifests(t)
	objs, err := cluster.Decode([]byte(strings.NewReplacer("ISSUER", i.url, "ECHO_IMAGE", echoImages(t, files)[0], "AUTHORITY", string(ca)).Replace(policies)))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objs {
		if _, err := client.Apply(t.Context(), o, cluster.ApplyOptions{Force: true}); err != nil {
			t.Fatalf("%s: %v", cluster.Name(o), err)
		}
	}
	return client, i, "http://" + address(t, client)
}

// TestRoutePolicy asks a gateway for what RoutePolicies limit.
func TestRoutePolicy(t *testing.T) {
	client, i, base := fixture(t)
	t.Run("rate", func(t *testing.T) {
		eventually(t, func() error { return ask(t, base+"/limited", "", "", http.StatusOK) })
		limited := 0
		for range 20 {
			if ask(t, base+"/limited", "", "", http.StatusTooManyRequests) == nil {
				limited++
			}
		}
		// One a second may pass, and twenty take far less than that.
		if limited == 0 {
			t.Error("20 requests in a row are let in where one a second may pass")
		}
	})
	t.Run("size", func(t *testing.T) {
		eventually(t, func() error { return ask(t, base+"/small", strings.Repeat("x", 10), "", http.StatusOK) })
		if err := ask(t, base+"/small", strings.Repeat("x", 11), "", http.StatusRequestEntityTooLarge); err != nil {
			t.Error(err)
		}
	})
	t.Run("token", func(t *testing.T) {
		eventually(t, func() error { return ask(t, base+"/token", "", i.token(t, "shop"), http.StatusOK) })
		for name, token := range map[string]string{"no token": "", "another audience": i.token(t, "bank"), "another key": newIssuer(t, i.host).token(t, "shop")} {
			if err := ask(t, base+"/token", "", token, http.StatusUnauthorized); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("missing", func(t *testing.T) {
		eventually(t, func() error { return ask(t, base+"/missing", "", "", http.StatusInternalServerError) })
		status(t, client, "missing", "BackendNotFound")
	})
	t.Run("unknown kind", func(t *testing.T) {
		eventually(t, func() error { return ask(t, base+"/unknown", "", "", http.StatusInternalServerError) })
		status(t, client, "unknown", "InvalidKind")
	})
}

// address waits until the gateway is programmed and returns where it is.
func address(t *testing.T, client *cluster.Client) string {
	t.Helper()
	var at string
	eventually(t, func() error {
		g, err := client.Get(t.Context(), object("Gateway", "policies"))
		if err != nil {
			return err
		}
		list, _, err := unstructured.NestedSlice(g.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, c := range list {
			if m, ok := c.(map[string]any); ok && m["type"] == "Programmed" && m["status"] == "True" {
				addresses, _, err := unstructured.NestedSlice(g.Object, "status", "addresses")
				if err != nil {
					return err
				}
				at, _, err = unstructured.NestedString(addresses[0].(map[string]any), "value")
				return err
			}
		}
		return fmt.Errorf("the gateway is not programmed: %v", list)
	})
	return at
}

// status waits until the route says that a reference is not resolved, for the reason.
func status(t *testing.T, client *cluster.Client, route, reason string) {
	t.Helper()
	eventually(t, func() error {
		r, err := client.Get(t.Context(), object("HTTPRoute", route))
		if err != nil {
			return err
		}
		b, err := json.Marshal(r.Object["status"])
		if err == nil && !strings.Contains(string(b), `"reason":"`+reason+`","status":"False","type":"ResolvedRefs"`) {
			err = fmt.Errorf("the route's status is %s", b)
		}
		return err
	})
}

func object(kind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind}}
	u.SetNamespace("policies")
	u.SetName(name)
	return u
}

// ask makes a request, with a body if there is one, and returns an error unless the
// answer has the status.
func ask(t *testing.T, at, body, token string, want int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return askBy(ctx, fresh, at, body, token, want)
}

// fresh makes a connection for each request: one that was made before the node knew the
// address may lead anywhere, and would be kept.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func askBy(ctx context.Context, c *http.Client, at, body, token string, want int) error {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %s, want %d: %s", at, resp.Status, want, bytes.TrimSpace(b))
	}
	return nil
}

// issuer is an OpenID Connect issuer with one key.
type issuer struct {
	host, url, ca string
	key           *ecdsa.PrivateKey
}

// newIssuer serves an issuer at an address of this network namespace.
func newIssuer(t *testing.T, host string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{host: host, url: "https://" + l.Addr().String(), ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), key: key}
	mux := http.NewServeMux()
	answer := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(v); err != nil {
				t.Log(err)
			}
		})
	}
	answer("/.well-known/openid-configuration", map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}})
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	answer("/keys", map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1",
		"x": base64.RawURLEncoding.EncodeToString(public[1:33]), "y": base64.RawURLEncoding.EncodeToString(public[33:]),
	}}})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}}
	go func() { _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { s.Close() })
	return i
}

// token returns a token for an audience (RFC 7519, signed as RFC 7518 says of ES256).
func (i *issuer) token(t *testing.T, audience string) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	now := time.Now()
	text := part(map[string]any{"alg": "ES256", "kid": "1", "typ": "JWT"}) + "." +
		part(map[string]any{"iss": i.url, "sub": "somebody", "aud": audience, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}
