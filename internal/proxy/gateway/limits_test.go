package gateway_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/stratahq/strata/internal/proxy/config"
)

func TestRateLimit(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, nil)
	slow := &config.Limits{RequestsPerSecond: 1. / 3600, Burst: 3}
	c := simple(port, []config.Backend{b},
		config.Route{Name: "apps/one", Match: prefix("/one"), Targets: to(b), Limits: slow},
		config.Route{Name: "apps/two", Match: prefix("/two"), Targets: to(b), Limits: slow},
		config.Route{Name: "apps/default", Match: prefix("/default"), Targets: to(b)},
		config.Route{Name: "apps/none", Match: prefix("/none"), Targets: to(b), Limits: &config.Limits{}})
	c.Limits = &config.Limits{RequestsPerSecond: 1. / 3600, Burst: 1}
	f.apply(c)
	codes := func(path string, n int) (ok int, last answer) {
		for range n {
			if last = get(t, port, "", path); last.code == 200 {
				ok++
			}
		}
		return ok, last
	}
	for path, want := range map[string]int{"/one": 3, "/two": 3, "/default": 1, "/none": 10} {
		ok, last := codes(path, 10)
		if ok != want {
			t.Errorf("%s: %d of 10 requests get in, want %d", path, ok, want)
		}
		if want < 10 {
			if wait, err := strconv.Atoi(last.headers.Get("Retry-After")); last.code != http.StatusTooManyRequests || err != nil || wait < 3500 || wait > 3600 {
				t.Errorf("%s: got %d, Retry-After %q", path, last.code, last.headers.Get("Retry-After"))
			}
		}
	}
	// What has been used up stays so with the next configuration.
	f.apply(c)
	if ok, _ := codes("/one", 3); ok != 0 {
		t.Error("a new configuration forgets who has asked")
	}
	// A new limit holds at once, also for those who are known.
	c.Ports[0].Listeners[0].Hosts[0].Routes[0].Limits = &config.Limits{RequestsPerSecond: 1e6, Burst: 100}
	f.apply(c)
	eventually(t, "requests get in by the new limit", func() bool { return get(t, port, "", "/one").code == 200 })
}

func TestBodyLimit(t *testing.T) {
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	c := simple(port, []config.Backend{b},
		config.Route{Match: prefix("/small"), Targets: to(b), Limits: &config.Limits{BodyBytes: 1000}},
		config.Route{Match: prefix("/"), Targets: to(b), Limits: &config.Limits{RequestsPerSecond: 1e6}})
	c.Limits = &config.Limits{BodyBytes: 300 << 10}
	newGateway(t, nil).apply(c)
	for name, cl := range map[string]*http.Client{"HTTP/1.1": client, "HTTP/2": h2c(t)} {
		for _, tt := range []struct {
			path string
			size int
			want int
		}{
			{"/small", 1000, 200}, {"/small", 1001, 413}, {"/small", 200 << 10, 413}, {"/", 300 << 10, 200}, {"/", 300<<10 + 1, 413}, {"/", 3 << 20, 413},
		} {
			body := strings.Repeat("x", tt.size)
			for _, chunked := range []bool{false, true} {
				got, err := try(cl, http.MethodPost, url(port, tt.path), body, func(r *http.Request) {
					if chunked {
						r.ContentLength, r.Body, r.GetBody = -1, io.NopCloser(bytes.NewReader([]byte(body))), nil
					}
				})
				// A client that is still sending may miss the answer: net/http takes so much of
				// what nobody wanted, and closes the connection half a second after its answer.
				const taken = 256 << 10
				if got.code != tt.want && (tt.want == 200 || err == nil || tt.size <= taken) {
					t.Errorf("%s: %d bytes to %s, chunked: %t: got %d, %v, want %d", name, tt.size, tt.path, chunked, got.code, err, tt.want)
				}
			}
		}
	}
}

// TestTooManyRequests has more requests under way than the gateway takes on.
func TestTooManyRequests(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{}, 2)
	b := backend(t, "apps/web:80", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-hold
	}))
	port := freePort(t)
	f := newGateway(t, limitRequests(2))
	f.apply(simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b)}))
	done := make(chan int, 2)
	for range 2 {
		go func() {
			a, _ := try(client, http.MethodGet, url(port, "/"), "", nil)
			done <- a.code
		}()
		<-entered
	}
	if got := get(t, port, "", "/"); got.code != http.StatusServiceUnavailable {
		t.Errorf("one too many gets %d", got.code)
	}
	close(hold)
	for range 2 {
		if code := <-done; code != 200 {
			t.Errorf("got %d", code)
		}
	}
	if got := get(t, port, "", "/"); got.code != 200 {
		t.Errorf("afterwards: got %d", got.code)
	}
}

// tokens is an issuer with one key.
type tokens struct {
	*httptest.Server
	key  *ecdsa.PrivateKey
	down atomic.Bool
}

func newTokens(t *testing.T) *tokens {
	i := &tokens{key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: "one", Use: "sig"}}})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *tokens) provider() config.TokenProvider {
	return config.TokenProvider{Name: "idp", Issuer: i.URL, KeysURL: i.URL + "/keys", CAs: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw}))}
}

func (i *tokens) token(audience string, expires time.Duration) string {
	s := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", "one")))
	return must(jwt.Signed(s).Claims(jwt.Claims{Issuer: i.URL, Audience: jwt.Audience{audience}, Expiry: jwt.NewNumericDate(time.Now().Add(expires))}).Serialize())
}

func TestTokens(t *testing.T) {
	i := newTokens(t)
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, nil)
	c := simple(port, []config.Backend{b},
		config.Route{Match: prefix("/open"), Targets: to(b)},
		config.Route{Match: prefix("/"), Targets: to(b), Token: &config.TokenRule{Provider: "idp", Audiences: []string{"shop"}},
			Filters: []config.Filter{{CORS: &config.CORS{AllowOrigins: []string{"https://a.example"}, AllowMethods: []string{"*"}}}}})
	c.Providers = []config.TokenProvider{i.provider()}
	f.apply(c)
	good := i.token("shop", time.Hour)
	for name, tt := range map[string]struct {
		path   string
		values []string
		want   int
	}{
		"good":              {"/", []string{"Bearer " + good}, 200},
		"scheme's case":     {"/", []string{"bearer  " + good}, 200},
		"none":              {"/", nil, 401},
		"other scheme":      {"/", []string{"Basic " + good}, 401},
		"no scheme":         {"/", []string{good}, 401},
		"two":               {"/", []string{"Bearer " + good, "Bearer x"}, 401},
		"expired":           {"/", []string{"Bearer " + i.token("shop", -time.Hour)}, 401},
		"another audience":  {"/", []string{"Bearer " + i.token("pay", time.Hour)}, 401},
		"nonsense":          {"/", []string{"Bearer a.b.c"}, 401},
		"route without":     {"/open", nil, 200},
		"route by a detour": {"/open/../x", nil, 401},
		"by parameters":     {"/open/..;/x", nil, 400},
	} {
		got := do(t, client, http.MethodGet, url(port, tt.path), "", func(r *http.Request) {
			if tt.values != nil {
				r.Header["Authorization"] = tt.values
			}
		})
		if got.code != tt.want {
			t.Errorf("%s: got %d, want %d", name, got.code, tt.want)
		}
		if www := got.headers.Get("WWW-Authenticate"); (tt.want == 401) != strings.HasPrefix(www, `Bearer realm="127.0.0.1"`) || strings.Contains(www, "invalid_token") != (tt.want == 401 && len(tt.values) == 1 && strings.HasPrefix(tt.values[0], "Bearer")) {
			t.Errorf("%s: WWW-Authenticate: %s", name, www)
		}
	}
	// What may be asked is asked without a token (the Fetch standard).
	got := do(t, client, http.MethodOptions, url(port, "/"), "", func(r *http.Request) {
		r.Header.Set("Origin", "https://a.example")
		r.Header.Set("Access-Control-Request-Method", "PUT")
	})
	if got.code != http.StatusOK {
		t.Errorf("a preflight request gets %d", got.code)
	}
	if s := f.access.String() + f.log.String(); strings.Contains(s, good) || strings.Contains(s, good[:40]) {
		t.Error("the log has a token in it")
	}
}

func TestTokenIssuerIsDown(t *testing.T) {
	i := newTokens(t)
	i.down.Store(true)
	b := backend(t, "apps/web:80", echo("web"))
	port := freePort(t)
	f := newGateway(t, nil)
	c := simple(port, []config.Backend{b}, config.Route{Match: prefix("/"), Targets: to(b), Token: &config.TokenRule{Provider: "idp"}})
	c.Providers = []config.TokenProvider{i.provider()}
	f.apply(c)
	ask := func() answer {
		return do(t, client, http.MethodGet, url(port, "/"), "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+i.token("x", time.Hour)) })
	}
	if got := ask(); got.code != http.StatusServiceUnavailable || got.headers.Get("Retry-After") == "" {
		t.Errorf("got %d", got.code)
	}
	i.down.Store(false)
	eventually(t, "tokens are accepted when the issuer is back", func() bool { return ask().code == 200 })
	// Keys outlive configurations.
	i.down.Store(true)
	f.apply(c)
	if got := ask(); got.code != 200 {
		t.Errorf("after another configuration: %d", got.code)
	}
}
