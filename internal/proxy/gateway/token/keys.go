package token

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// How keys are kept.
const (
	// refresh is how old keys get before they are fetched anew, while they are used on.
	refresh = 10 * time.Minute
	// expiry is how long keys are used when the issuer cannot be reached.
	expiry = 24 * time.Hour
	// pause is the least time between two requests to the issuer, whatever tokens come: a
	// token with an unknown key costs its sender nothing.
	pause = 10 * time.Second
	// firstPause is the same while there are no keys at all.
	firstPause   = time.Second
	fetchTimeout = 5 * time.Second
	maxDocument  = 1 << 20
)

// keys are the public keys of an issuer.
type keys struct {
	issuer, url string
	client      *http.Client
	now         func() time.Time
	flight      singleflight.Group

	mu      sync.Mutex
	set     []jose.JSONWebKey
	fetched time.Time // when set was
	tried   time.Time
	failure error // of the last try
}

// find returns the keys that may have signed a token: those with the ID, or all where it
// has none.
func (k *keys) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	found, age := k.known(id)
	if len(found) > 0 && age < refresh {
		return found, nil
	}
	if !k.may() {
		return k.settle(k.known(id)) // they may have come in this moment
	}
	done := k.flight.DoChan("", k.fetch)
	if len(found) > 0 && age < expiry {
		return found, nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	return k.settle(k.known(id))
}

// settle decides with what is known now.
func (k *keys) settle(found []jose.JSONWebKey, age time.Duration) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case len(found) > 0 && age < expiry:
		return found, nil
	case k.failure != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, k.failure)
	case k.set == nil:
		return nil, ErrUnavailable // the first fetch is under way
	}
	return nil, fmt.Errorf("%w: the issuer has no key of its ID", ErrInvalid)
}

func (k *keys) known(id string) ([]jose.JSONWebKey, time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.set
	if id != "" {
		found = (&jose.JSONWebKeySet{Keys: k.set}).Key(id)
	}
	return found, k.now().Sub(k.fetched)
}

// may says whether it is time for another request, or one is under way that can be waited
// for.
func (k *keys) may() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	least := pause
	if k.set == nil {
		least = firstPause
	}
	return k.tried.IsZero() || k.now().Sub(k.tried) >= least
}

// fetch gets the keys. Its context is its own: others than who asked first wait for it.
func (k *keys) fetch() (any, error) {
	if !k.may() {
		return nil, nil // another fetch has ended since find asked
	}
	set, err := k.get(context.Background())
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failure = k.now(), err
	if err == nil {
		k.set, k.fetched = set, k.tried
	}
	return nil, err
}

func (k *keys) get(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*fetchTimeout)
	defer cancel()
	where := k.url
	if where == "" {
		var d struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := k.document(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &d); err != nil {
			return nil, err
		}
		if d.Issuer != k.issuer || d.JWKSURI == "" {
			return nil, errors.New("the discovery document is another issuer's, or names no keys")
		}
		where = d.JWKSURI
	}
	// One by one: a kind of key that is not known must not keep the others out.
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.document(ctx, where, &raw); err != nil {
		return nil, err
	}
	set := []jose.JSONWebKey{}
	for _, r := range raw.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(r, &key) == nil && key.Valid() && key.IsPublic() {
			set = append(set, key)
		}
	}
	if len(set) == 0 {
		return nil, errors.New("the issuer has no public keys")
	}
	return set, nil
}

func (k *keys) document(ctx context.Context, target string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", target, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	if len(body) > maxDocument {
		return fmt.Errorf("%s is longer than %d bytes", target, maxDocument)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}

func certPool(pem string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, errors.New("the issuer's authorities hold no certificate in PEM")
	}
	return pool, nil
}

func tlsConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}
