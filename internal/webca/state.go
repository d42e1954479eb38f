package webca

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/keypair"
)

// Phase is where an authority is in its life. People are told to trust it in each.
type Phase string

// The phases, in their order.
const (
	// PhasePublished is an authority that does not sign yet.
	PhasePublished Phase = "published"
	// PhaseSigning is the one that signs.
	PhaseSigning Phase = "signing"
	// PhaseRetiring is one that signs no more, whose certificates may still hold. Its key
	// is gone.
	PhaseRetiring Phase = "retiring"
)

// root is an authority.
type root struct {
	Certificate string `json:"certificate"`
	// Key is empty once another one signs.
	Key string `json:"key,omitempty"`
	// Signs is from when it signs, Withdraw when nobody has to trust it any more.
	Signs    time.Time `json:"signs"`
	Withdraw time.Time `json:"withdraw,omitzero"`

	pair keypair.Pair
}

func (r *root) id() string { return keypair.Fingerprint(r.pair.Cert) }

// state is all authorities of an environment, oldest first. It is one Secret.
type state struct {
	Environment string `json:"environment"`
	Roots       []root `json:"roots"`
}

// decodeState reads what encode wrote. The error never has a part of a key.
func decodeState(text string) (*state, error) {
	var s state
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, errors.New("it is not the JSON that was written there")
	}
	if len(s.Roots) == 0 {
		return nil, errors.New("there is no authority in it")
	}
	for i := range s.Roots {
		r := &s.Roots[i]
		var err error
		if r.Key == "" {
			r.pair.Cert, err = keypair.ParseCert(r.Certificate)
		} else {
			r.pair, err = keypair.Parse(r.Certificate, r.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("authority %d: %w", i+1, err)
		}
	}
	if s.Roots[len(s.Roots)-1].Key == "" {
		return nil, errors.New("the newest authority has no key")
	}
	return &s, nil
}

func (s *state) encode() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// signing returns the index of the authority that signs: the newest whose time has come,
// unless it cannot vouch for these domains, or not any more; then the newest of all.
func (s *state) signing(now time.Time, domains []string) int {
	for i := len(s.Roots) - 1; i >= 0; i-- {
		if r := &s.Roots[i]; r.Key != "" && !now.Before(r.Signs) {
			if r.lasts(now) && covers(r.pair.Cert, domains) {
				return i
			}
			break
		}
	}
	return len(s.Roots) - 1
}

// lasts reports whether it can still sign certificates that are of any use.
func (r *root) lasts(now time.Time) bool { return r.pair.Cert.NotAfter.Sub(now) > minLeaf }

// phase says where an authority is, given which one signs.
func (s *state) phase(i, signing int) Phase {
	switch {
	case i == signing:
		return PhaseSigning
	case i > signing:
		return PhasePublished
	}
	return PhaseRetiring
}

// pems are the certificates that people are to trust, in PEM.
func (s *state) pems() string {
	var b strings.Builder
	for i := range s.Roots {
		b.WriteString(s.Roots[i].Certificate)
	}
	return b.String()
}

// event is what a step did.
type event struct {
	// Reason is a word for logs; Root is the authority that it is about.
	Reason, Root, Text string
}

// advance returns the state after the next step that is due, and what the step is; nil
// where none is. A state that is nil has no authority yet. What it returns counts once it
// is written.
func advance(s *state, now time.Time, o Options) (*state, *event, error) {
	if s == nil {
		s = &state{Environment: o.Environment}
	}
	next := &state{Environment: s.Environment, Roots: slices.Clone(s.Roots)}
	add := func(signs time.Time, why string) (*state, *event, error) {
		made, err := newRoot(o.Environment, o.Domains, now, o.RootLife)
		if err != nil {
			return nil, nil, err
		}
		key, err := keypair.KeyPEM(made.Key)
		if err != nil {
			return nil, nil, err
		}
		next.Roots = append(next.Roots, root{Certificate: keypair.CertPEM(made.Cert), Key: key, Signs: signs, pair: made})
		id := keypair.Fingerprint(made.Cert)
		return next, &event{"AuthorityMade", id, fmt.Sprintf("the authority %s is made, %s; it signs from %s on", id, why, signs.UTC().Format(time.RFC3339))}, nil
	}
	if len(s.Roots) == 0 {
		return add(now, "the first one")
	}
	signing := s.signing(now, o.Domains)
	newest := &s.Roots[len(s.Roots)-1]
	switch by := &s.Roots[signing]; {
	case !covers(by.pair.Cert, o.Domains) || !by.lasts(now):
		return add(now, "since no other one may vouch for the environment's domains any more")
	case !slices.Equal(newest.pair.Cert.PermittedDNSDomains, o.Domains):
		return add(now.Add(o.Overlap), "since the environment has other domains")
	case !now.Before(after(newest.pair.Cert, o.RotateShare)):
		return add(now.Add(o.Overlap), "since the last one is due to be replaced")
	}
	for i := range next.Roots {
		switch r := &next.Roots[i]; {
		case i < signing && r.Key != "":
			r.Key, r.pair.Key, r.Withdraw = "", nil, now.Add(o.CertificateLife+slack)
			return next, &event{"AuthorityRetires", r.id(), fmt.Sprintf("the authority %s signs instead of %s, whose key is gone and whose certificate stays published until %s", next.Roots[signing].id(), r.id(), r.Withdraw.UTC().Format(time.RFC3339))}, nil
		case r.Key == "" && (!now.Before(r.Withdraw) || now.After(r.pair.Cert.NotAfter)):
			gone := r.id()
			next.Roots = slices.Delete(next.Roots, i, i+1)
			return next, &event{"AuthorityWithdrawn", gone, fmt.Sprintf("every certificate of the authority %s has ended; nobody has to trust it any more", gone)}, nil
		}
	}
	return nil, nil, nil
}
