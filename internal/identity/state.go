package identity

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/stratahq/strata/internal/keypair"
)

// Phase is where a root is in its life.
type Phase string

// The phases, in their order. In each of them pods trust the root.
const (
	// PhasePublished is a root that does not sign yet: pods are still learning of it.
	PhasePublished Phase = "published"
	// PhaseSigning is the one root that signs.
	PhaseSigning Phase = "signing"
	// PhaseRetiring is a root that signs no more, whose certificates still hold.
	PhaseRetiring Phase = "retiring"
)

// withdrawSlack is how long a root stays published after its last certificate has ended:
// for clocks that are behind, and for a leader that learns late that it is none. The
// API server takes no certificate that was made more than five minutes before.
const withdrawSlack = 10 * time.Minute

// root is an authority of workloads.
type root struct {
	Phase       Phase  `json:"phase"`
	Certificate string `json:"certificate"`
	// Key is empty for a root that was found in the bundle when the Secret was lost: it
	// is trusted and cannot sign.
	Key string `json:"key,omitempty"`
	// Published is since when it has been in the bundle; zero until that is certain.
	Published time.Time `json:"published,omitzero"`
	// Retired is when it stopped to sign, Withdraw when it leaves the bundle.
	Retired  time.Time `json:"retired,omitzero"`
	Withdraw time.Time `json:"withdraw,omitzero"`
	// Longest is the longest life that a certificate of it may have.
	Longest time.Duration `json:"longest"`

	pair keypair.Pair
}

func (r *root) id() string { return keypair.Fingerprint(r.pair.Cert) }

// state is everything that there is to remember of a trust domain's roots, oldest first.
// It is one Secret.
type state struct {
	TrustDomain string `json:"trustDomain"`
	Roots       []root `json:"roots"`
	// Handled is the last request for a rotation that was answered, Withdrawal the last one
	// to withdraw a root.
	Handled    string `json:"handled,omitempty"`
	Withdrawal string `json:"withdrawal,omitempty"`
}

// decodeState reads what encode wrote. The error never has a part of a key.
func decodeState(text string) (*state, error) {
	var s state
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, errors.New("it is not the JSON that was written there")
	}
	signing := 0
	for i := range s.Roots {
		r := &s.Roots[i]
		var err error
		if r.Key == "" {
			r.pair.Cert, err = keypair.ParseCert(r.Certificate)
		} else {
			r.pair, err = keypair.Parse(r.Certificate, r.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("root %d: %w", i+1, err)
		}
		switch r.Phase {
		case PhaseSigning:
			signing++
		case PhasePublished, PhaseRetiring:
		default:
			return nil, fmt.Errorf("root %d has the unknown phase %q", i+1, r.Phase)
		}
		if r.Phase != PhaseRetiring && r.Key == "" {
			return nil, fmt.Errorf("root %d is to sign and has no key", i+1)
		}
	}
	if signing > 1 || signing == 0 && s.in(PhasePublished) == nil {
		return nil, fmt.Errorf("%d of its roots sign", signing)
	}
	return &s, nil
}

func (s *state) encode() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

func (s *state) clone() *state {
	c := *s
	c.Roots = slices.Clone(s.Roots)
	return &c
}

// in returns the newest root of a phase, or nil.
func (s *state) in(p Phase) *root {
	for i := len(s.Roots) - 1; i >= 0; i-- {
		if s.Roots[i].Phase == p {
			return &s.Roots[i]
		}
	}
	return nil
}

// certificates are what pods are to trust.
func (s *state) certificates() []*x509.Certificate {
	out := make([]*x509.Certificate, len(s.Roots))
	for i := range s.Roots {
		out[i] = s.Roots[i].pair.Cert
	}
	return out
}

// first is the state of a trust domain that has none. Certificates that running pods trust
// already are those of roots whose keys are lost: the new root waits for its overlap
// like any other then, so that what runs goes on. How long certificates of a lost one hold
// is not known.
func first(td spiffeid.TrustDomain, trusted []*x509.Certificate, now time.Time, o Options) (*state, error) {
	s := &state{TrustDomain: td.Name()}
	for _, c := range trusted {
		s.Roots = append(s.Roots, root{
			Phase: PhaseRetiring, Certificate: keypair.CertPEM(c), Published: now, Retired: now, Withdraw: now.Add(maxLife + withdrawSlack),
			Longest: maxLife, pair: keypair.Pair{Cert: c},
		})
	}
	phase := PhaseSigning
	if len(trusted) > 0 {
		phase = PhasePublished
	}
	return s, s.add(td, phase, now, o)
}

func (s *state) add(td spiffeid.TrustDomain, p Phase, now time.Time, o Options) error {
	made, err := newRoot(td, now, o.RootLife)
	if err != nil {
		return err
	}
	key, err := keypair.KeyPEM(made.Key)
	if err != nil {
		return err
	}
	s.Roots = append(s.Roots, root{Phase: p, Certificate: keypair.CertPEM(made.Cert), Key: key, Longest: o.CertificateLife, pair: made})
	return nil
}

// event is what a step did.
type event struct {
	// Reason is a word for events of Kubernetes; Root is the root that it is about.
	Reason, Root, Text string
}

// due is what advance looks at besides the state.
type due struct {
	now time.Time
	asked
}

// asked is what people have asked for.
type asked struct {
	// rotate is the value of the annotation that asks for a rotation.
	rotate string
	// withdraw is the value of the annotation that names a root which is to go before its
	// certificates have ended.
	withdraw string
}

// forget returns the state after the bundle was found without roots that it should have,
// and what that means; nil where it means nothing. A root that does not sign yet begins
// its overlap anew: whoever took it out of the bundle took it from pods too. It is called
// before the bundle is put right, so that a kill in between loses nothing.
func (s *state) forget(lacked []string) (*state, *event) {
	for i := range s.Roots {
		if r := &s.Roots[i]; r.Phase == PhasePublished && !r.Published.IsZero() && slices.Contains(lacked, r.id()) {
			next := s.clone()
			next.Roots[i].Published = time.Time{}
			return next, &event{"RootLost", r.id(), fmt.Sprintf("something took the root %s out of the bundle; it is put back, and its overlap begins anew", r.id())}
		}
	}
	return nil, nil
}

// advance returns the state after the next step that is due, and what the step is; nil
// where none is. It is called when the bundle holds all roots of s, and the state that
// it returns counts once it is written.
func (s *state) advance(td spiffeid.TrustDomain, d due, o Options) (*state, *event, error) {
	next := s.clone()
	done := func(r *root, reason, format string, args ...any) (*state, *event, error) {
		return next, &event{Reason: reason, Root: r.id(), Text: fmt.Sprintf(format, args...)}, nil
	}
	rotate := d.rotate != "" && d.rotate != s.Handled
	for i := range next.Roots {
		r := &next.Roots[i]
		switch {
		case r.Published.IsZero():
			r.Published = d.now
			return done(r, "RootPublished", "pods are told to trust the root %s", r.id())
		case r.Phase != PhaseRetiring && r.Longest < o.CertificateLife:
			r.Longest = o.CertificateLife
			return done(r, "LifeChanged", "certificates of the root %s hold up to %s from now on", r.id(), o.CertificateLife)
		case r.Phase == PhaseRetiring && (!d.now.Before(r.Withdraw) || d.now.After(r.pair.Cert.NotAfter)):
			next.Roots = slices.Delete(next.Roots, i, i+1)
			gone := s.Roots[i]
			return done(&gone, "RootWithdrawn", "every certificate of the root %s has ended; pods trust it no more", gone.id())
		}
	}
	if d.withdraw != s.Withdrawal {
		// A request counts once: one that is left lying must not meet a root that retires
		// years later.
		next.Withdrawal = d.withdraw
		id, _, _ := strings.Cut(d.withdraw, " ")
		i := slices.IndexFunc(next.Roots, func(r root) bool { return r.Phase == PhaseRetiring && r.id() == id })
		if i < 0 {
			return next, &event{"WithdrawalRefused", id, fmt.Sprintf("no root %q retires, so none is withdrawn", id)}, nil
		}
		gone := s.Roots[i]
		next.Roots = slices.Delete(next.Roots, i, i+1)
		return done(&gone, "RootWithdrawn", "somebody asked that pods trust the root %s no more; its certificates would have held until %s", gone.id(), gone.Withdraw.Add(-withdrawSlack).UTC().Format(time.RFC3339))
	}
	signing, published := next.in(PhaseSigning), next.in(PhasePublished)
	switch {
	case published != nil && (!d.now.Before(published.Published.Add(o.Overlap)) || signing != nil && !signing.lasts(d.now)):
		if signing != nil {
			signing.Phase, signing.Retired, signing.Withdraw = PhaseRetiring, d.now, d.now.Add(signing.Longest+withdrawSlack)
		}
		published.Phase = PhaseSigning
		return done(published, "RootSigns", "new certificates are signed by the root %s", published.id())
	case published == nil && (rotate || !d.now.Before(o.rotation(signing.pair.Cert))):
		next.Handled = d.rotate
		if err := next.add(td, PhasePublished, d.now, o); err != nil {
			return nil, nil, err
		}
		return done(&next.Roots[len(next.Roots)-1], "RootMade", "the root %s is made; it signs in %s", next.Roots[len(next.Roots)-1].id(), o.Overlap)
	case rotate:
		next.Handled = d.rotate
		return done(published, "RotationUnderWay", "a rotation was asked for while one is under way, to the root %s", published.id())
	}
	return nil, nil, nil
}

// lasts reports whether the root can still sign: a certificate has to hold for an hour.
func (r *root) lasts(now time.Time) bool { return r.pair.Cert.NotAfter.Sub(now) > minLife }
