// Package token verifies JSON Web Tokens (RFC 7519) against the keys of an OpenID Connect
// issuer. It fetches, keeps and refreshes the keys. Where a token stands in a request, and
// what is answered without one, is the gateway's business.
package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/stratahq/strata/internal/proxy/config"
)

// Errors of Verify. Both are wrapped with a cause that holds nothing of the token.
var (
	// ErrInvalid is for a token that must not be accepted.
	ErrInvalid = errors.New("the token is not valid")
	// ErrUnavailable is for a token that cannot be judged, since the issuer's keys cannot
	// be had.
	ErrUnavailable = errors.New("the issuer's keys are not available")
)

const (
	// leeway is how much the issuer's clock may differ from this one.
	leeway = time.Minute
	// maxToken is how long a token may be, in bytes.
	maxToken = 16 << 10
)

// algorithms are those of public keys. With a shared secret whoever verifies could also
// sign, and "none" is no signature.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Verifier verifies the tokens of one issuer. Its methods may be called at the same time.
type Verifier struct {
	issuer string
	keys   *keys
	now    func() time.Time
}

// New returns a Verifier for an issuer. Its keys are fetched with the first token, so that
// an issuer that is not there keeps nobody from starting. The error is about the
// authorities in p.CAs alone.
func New(p config.TokenProvider) (*Verifier, error) {
	client, err := newClient(p.CAs)
	if err != nil {
		return nil, err
	}
	v := &Verifier{issuer: p.Issuer, now: time.Now}
	v.keys = &keys{issuer: p.Issuer, url: p.KeysURL, client: client, now: func() time.Time { return v.now() }}
	return v, nil
}

// Close drops the connections to the issuer.
func (v *Verifier) Close() { v.keys.client.CloseIdleConnections() }

// Verify returns nil for a token in compact form that the issuer has signed with a public
// key, that has not expired, and that is for one of the audiences, if any are given.
// Else it returns ErrInvalid or ErrUnavailable.
func (v *Verifier) Verify(ctx context.Context, raw string, audiences []string) error {
	if len(raw) > maxToken {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, maxToken)
	}
	parsed, err := jwt.ParseSigned(raw, algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return fmt.Errorf("%w: it cannot be read, or its algorithm is not allowed", ErrInvalid)
	}
	// What is wrong without a look at keys needs none.
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return fmt.Errorf("%w: its claims cannot be read", ErrInvalid)
	}
	if err := v.check(claims, audiences); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	header := parsed.Headers[0]
	keys, err := v.keys.find(ctx, header.KeyID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm || k.Use != "" && k.Use != "sig" {
			continue
		}
		if parsed.Claims(k.Key, &claims) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: no key of the issuer has signed it", ErrInvalid)
}

func (v *Verifier) check(c jwt.Claims, audiences []string) error {
	if c.Expiry == nil {
		return errors.New("it never expires")
	}
	return c.ValidateWithLeeway(jwt.Expected{Issuer: v.issuer, AnyAudience: audiences, Time: v.now()}, leeway)
}

// newClient returns a client that does not follow redirects: where keys are is what the
// configuration and the discovery document say.
func newClient(cas string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes = 64 << 10
	t.MaxIdleConns = 2
	if cas != "" {
		pool, err := certPool(cas)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = tlsConfig(pool)
	}
	return &http.Client{
		Transport:     t,
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
