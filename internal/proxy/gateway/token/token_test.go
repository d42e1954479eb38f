package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/stratahq/strata/internal/proxy/config"
)

// issuer is an OpenID Connect issuer that answers what its fields say.
type issuer struct {
	*httptest.Server
	mu       sync.Mutex
	keys     []any // JSON Web Keys, or anything
	down     bool
	claims   string // the issuer that the discovery document names; empty: the right one
	requests int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewTLSServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	switch {
	case i.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/.well-known/openid-configuration":
		claims := i.claims
		if claims == "" {
			claims = i.URL
		}
		json.NewEncoder(w).Encode(map[string]string{"issuer": claims, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys":
		json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/keys", http.StatusFound)
	default:
		http.NotFound(w, r)
	}
}

// set changes the issuer's fields.
func (i *issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func (i *issuer) cas() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw}))
}

// clock is a clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) get() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func verifier(t *testing.T, i *issuer, keysURL string) (*Verifier, *clock) {
	t.Helper()
	v, err := New(config.TokenProvider{Name: "idp", Issuer: i.URL, KeysURL: keysURL, CAs: i.cas()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	c := &clock{now: time.Now()}
	v.now = c.get
	return v, c
}

// key is a private key with its ID.
type key struct {
	id      string
	alg     jose.SignatureAlgorithm
	private any
}

func (k key) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.(interface{ Public() any }).Public(), KeyID: k.id, Use: "sig", Algorithm: string(k.alg)}
}

type edKey struct{ ed25519.PrivateKey }

func ec(t *testing.T, id string) key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{id, jose.ES256, ecKey{k}}
}

type ecKey struct{ *ecdsa.PrivateKey }

func (k ecKey) Public() any { return &k.PublicKey }

type rsaKey struct{ *rsa.PrivateKey }

func (k rsaKey) Public() any { return &k.PublicKey }

func (k edKey) Public() any { return k.PrivateKey.Public() }

// sign returns a token in compact form; change edits the claims before.
func (k key) sign(t *testing.T, i *issuer, change func(map[string]any)) string {
	t.Helper()
	claims := map[string]any{"iss": i.URL, "sub": "ann", "aud": "shop", "exp": time.Now().Add(time.Hour).Unix()}
	if change != nil {
		change(claims)
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if k.id != "" {
		opts = opts.WithHeader("kid", k.id)
	}
	var private any
	switch p := k.private.(type) {
	case ecKey:
		private = p.PrivateKey
	case rsaKey:
		private = p.PrivateKey
	case edKey:
		private = p.PrivateKey
	default:
		private = p
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: private}, opts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVerify(t *testing.T) {
	i := newIssuer(t)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one, two, three := ec(t, "one"), key{"two", jose.RS256, rsaKey{r}}, key{"three", jose.EdDSA, edKey{e}}
	crypt := ec(t, "crypt")
	public := crypt.public()
	public.Use = "enc"
	i.keys = []any{one.public(), two.public(), three.public(), public,
		map[string]string{"kty": "oct", "kid": "shared", "k": base64.RawURLEncoding.EncodeToString([]byte("a secret that everybody knows..."))},
		map[string]string{"kty": "LWE", "kid": "tomorrow's"}}
	der, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	good := one.sign(t, i, nil)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	flipped := []byte(good)
	flipped[len(parts[0])+5] ^= 1
	v, _ := verifier(t, i, "")
	for name, tt := range map[string]struct {
		token     string
		audiences []string
		ok        bool
	}{
		"ECDSA":                {good, []string{"shop"}, true},
		"RSA":                  {two.sign(t, i, nil), []string{"shop"}, true},
		"Ed25519":              {three.sign(t, i, nil), []string{"shop"}, true},
		"any audience":         {good, nil, true},
		"one of audiences":     {good, []string{"pay", "shop"}, true},
		"several audiences":    {one.sign(t, i, func(c map[string]any) { c["aud"] = []string{"x", "shop"} }), []string{"shop"}, true},
		"no key ID":            {key{"", one.alg, one.private}.sign(t, i, nil), nil, true},
		"other audience":       {good, []string{"pay"}, false},
		"no audience":          {one.sign(t, i, func(c map[string]any) { delete(c, "aud") }), []string{"shop"}, false},
		"expired":              {one.sign(t, i, func(c map[string]any) { c["exp"] = time.Now().Add(-2 * time.Minute).Unix() }), nil, false},
		"never expires":        {one.sign(t, i, func(c map[string]any) { delete(c, "exp") }), nil, false},
		"not yet":              {one.sign(t, i, func(c map[string]any) { c["nbf"] = time.Now().Add(2 * time.Minute).Unix() }), nil, false},
		"other issuer":         {one.sign(t, i, func(c map[string]any) { c["iss"] = i.URL + "/" }), nil, false},
		"no issuer":            {one.sign(t, i, func(c map[string]any) { delete(c, "iss") }), nil, false},
		"another's key":        {ec(t, "one").sign(t, i, nil), nil, false},
		"unknown key":          {ec(t, "four").sign(t, i, nil), nil, false},
		"key for encryption":   {crypt.sign(t, i, nil), nil, false},
		"shared secret":        {key{"shared", jose.HS256, []byte("a secret that everybody knows...")}.sign(t, i, nil), nil, false},
		"public key as secret": {key{"two", jose.HS256, der}.sign(t, i, nil), nil, false},
		"other algorithm":      {key{"two", jose.PS256, two.private}.sign(t, i, nil), nil, false},
		"no signature":         {none, nil, false},
		"changed":              {string(flipped), nil, false},
		"empty":                {"", nil, false},
		"words":                {"open sesame", nil, false},
		"long":                 {good + strings.Repeat("A", maxToken), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := v.Verify(context.Background(), tt.token, tt.audiences)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v", err)
			}
			if err != nil && tt.token != "" && strings.Contains(err.Error(), tt.token) {
				t.Errorf("the error has the token in it")
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	ctx := context.Background()
	i := newIssuer(t)
	one, two := ec(t, "one"), ec(t, "two")
	i.keys, i.down = []any{one.public()}, true
	v, c := verifier(t, i, "")
	good := one.sign(t, i, func(m map[string]any) { m["exp"] = time.Now().Add(100 * time.Hour).Unix() })
	if err := v.Verify(ctx, good, nil); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("without keys: %v", err)
	}
	// It is not asked again at once.
	i.set(func() { i.down = false })
	if err := v.Verify(ctx, good, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("at once: %v", err)
	}
	c.add(firstPause)
	if err := v.Verify(ctx, good, nil); err != nil {
		t.Errorf("with keys: %v", err)
	}
	// Keys are used on while the issuer is down, but not for ever, and a key that is not
	// among them cannot be judged.
	i.set(func() { i.down = true })
	c.add(refresh + pause)
	if err := v.Verify(ctx, good, nil); err != nil {
		t.Errorf("with old keys: %v", err)
	}
	c.add(pause)
	if err := v.Verify(ctx, two.sign(t, i, nil), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("unknown key: %v", err)
	}
	c.add(expiry)
	if err := v.Verify(ctx, good, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with keys of yesterday: %v", err)
	}
}

func TestKeysAreChanged(t *testing.T) {
	ctx := context.Background()
	i := newIssuer(t)
	one, two := ec(t, "one"), ec(t, "two")
	i.keys = []any{one.public()}
	v, c := verifier(t, i, i.URL+"/keys")
	if err := v.Verify(ctx, one.sign(t, i, nil), nil); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.keys = []any{two.public()} })
	// An unknown key makes it ask again, but only now and then.
	for range 50 {
		if err := v.Verify(ctx, two.sign(t, i, nil), nil); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
	i.set(func() {
		if i.requests != 1 {
			t.Errorf("%d requests to the issuer, want 1", i.requests)
		}
	})
	c.add(pause)
	if err := v.Verify(ctx, two.sign(t, i, nil), nil); err != nil {
		t.Errorf("new key: %v", err)
	}
	if err := v.Verify(ctx, one.sign(t, i, nil), nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("withdrawn key: %v", err)
	}
}

func TestIssuerIsNotTrustedBlindly(t *testing.T) {
	ctx := context.Background()
	i := newIssuer(t)
	one := ec(t, "one")
	i.keys = []any{one.public()}
	i.claims = "https://other.example"
	v, _ := verifier(t, i, "")
	if err := v.Verify(ctx, one.sign(t, i, nil), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("another's discovery document: %v", err)
	}
	v, _ = verifier(t, i, i.URL+"/moved")
	if err := v.Verify(ctx, one.sign(t, i, nil), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a redirect is followed: %v", err)
	}
	v, _ = verifier(t, i, i.URL+"/keys")
	i.set(func() { i.keys = []any{strings.Repeat("x", maxDocument)} })
	if err := v.Verify(ctx, one.sign(t, i, nil), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a document without end: %v", err)
	}
	v, err := New(config.TokenProvider{Issuer: i.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(ctx, one.sign(t, i, nil), nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("an issuer whose certificate nobody vouches for: %v", err)
	}
	if _, err := New(config.TokenProvider{CAs: "x"}); err == nil {
		t.Error("authorities that are none: no error")
	}
}

func TestConcurrentFirstUse(t *testing.T) {
	i := newIssuer(t)
	one := ec(t, "one")
	i.keys = []any{one.public()}
	v, _ := verifier(t, i, i.URL+"/keys")
	text := one.sign(t, i, nil)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := v.Verify(context.Background(), text, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	i.set(func() {
		if i.requests != 1 {
			t.Errorf("%d requests to the issuer, want 1", i.requests)
		}
	})
}

// TestLateFetch has one who was told that it is time to fetch, and does so when another's
// fetch has just ended.
func TestLateFetch(t *testing.T) {
	i := newIssuer(t)
	one := ec(t, "one")
	i.keys = []any{one.public()}
	v, c := verifier(t, i, i.URL+"/keys")
	if err := v.Verify(context.Background(), one.sign(t, i, nil), nil); err != nil {
		t.Fatal(err)
	}
	for want := range 2 {
		if _, err := v.keys.fetch(); err != nil {
			t.Error(err)
		}
		i.set(func() {
			if i.requests != want+1 {
				t.Errorf("%d requests to the issuer, want %d", i.requests, want+1)
			}
		})
		c.add(pause)
	}
}
