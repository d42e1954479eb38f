package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	certsv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/keypair"
	"github.com/stratahq/strata/internal/proxy/config"
)

// Deps are what an Authority works with.
type Deps struct {
	Client kubernetes.Interface
	Log    *slog.Logger
	// Events records what happens to roots and pods.
	Events record.EventRecorder
	// Metrics is where its metrics are registered.
	Metrics prometheus.Registerer
}

// Authority knows the roots of a trust domain. Its methods may be called concurrently.
type Authority struct {
	client  kubernetes.Interface
	log     *slog.Logger
	events  record.EventRecorder
	metrics *metrics
	options Options
	td      spiffeid.TrustDomain
	self    spiffeid.ID
	path    string
	now     func() time.Time

	// turn is held while the state is read or changed in the cluster, so that what is
	// known never goes back.
	turn   sync.Mutex
	known  atomic.Pointer[known]
	issued counts
	own    own
}

// known is what an Authority knows of the cluster.
type known struct {
	state  *state
	bundle *x509bundle.Bundle
}

// New returns an Authority. It does nothing before Follow or Lead run.
func New(d Deps, o Options) (*Authority, error) {
	if err := o.Complete(); err != nil {
		return nil, err
	}
	td, err := o.trustDomain()
	if err != nil {
		return nil, err
	}
	self, err := spiffeid.FromString(config.ID(td.Name(), config.ControlNamespace, config.ControlAccount))
	if err != nil {
		return nil, err
	}
	a := &Authority{
		client: d.Client, log: d.Log, events: d.Events, options: o, td: td, self: self,
		path: config.RootsPath(o.Platform, o.Environment), now: time.Now,
	}
	a.metrics, err = newMetrics(d.Metrics, a)
	return a, err
}

// TrustDomain returns the trust domain of the identities.
func (a *Authority) TrustDomain() spiffeid.TrustDomain { return a.td }

// ErrNoRoots says that there is nothing to sign with yet.
var ErrNoRoots = errors.New("the roots of workloads are not known yet")

// Ready returns why identities cannot be given yet; nil when they can.
func (a *Authority) Ready() error {
	if _, err := a.signing(); err != nil {
		return err
	}
	return nil
}

// signing returns the root that signs.
func (a *Authority) signing() (*root, error) {
	k := a.known.Load()
	if k == nil {
		return nil, ErrNoRoots
	}
	r := k.state.in(PhaseSigning)
	if r == nil || r.Published.IsZero() {
		return nil, ErrNoRoots
	}
	return r, nil
}

// set remembers the state.
func (a *Authority) set(s *state) {
	a.known.Store(&known{state: s, bundle: x509bundle.FromX509Authorities(a.td, s.certificates())})
}

// Follow reads the roots again and again until ctx ends. What cannot be read stays as it
// was known.
func (a *Authority) Follow(ctx context.Context) error {
	return a.every(ctx, func(ctx context.Context) error {
		a.turn.Lock()
		defer a.turn.Unlock()
		s, _, err := a.read(ctx)
		if err == nil && s != nil {
			a.set(s)
		}
		return err
	})
}

// callTimeout bounds what is done at once: an API server that accepts requests and does
// not answer must not be waited for.
const callTimeout = 30 * time.Second

// every calls f at once and then in intervals until ctx ends, and logs its errors.
func (a *Authority) every(ctx context.Context, f func(context.Context) error) error {
	tick := time.NewTicker(a.options.Interval)
	defer tick.Stop()
	bounded := func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return f(ctx)
	}
	for {
		if err := bounded(); err != nil && ctx.Err() == nil {
			a.metrics.failures.Inc()
			a.log.Warn("the roots of workloads could not be looked after; trying again", "error", err.Error(), "in", a.options.Interval.String())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tend takes the steps that are due, one after the other, and reports on them.
func (a *Authority) tend(ctx context.Context) error {
	a.turn.Lock()
	defer a.turn.Unlock()
	for {
		more, err := a.step(ctx)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// step makes the cluster agree with the state and takes the next step that is due. It
// reports whether it took one, so that another may be due.
func (a *Authority) step(ctx context.Context) (bool, error) {
	have, trusted, err := readBundle(ctx, a.client)
	if err != nil {
		return false, err
	}
	s, secret, err := a.read(ctx)
	if err != nil {
		return false, err
	}
	if s == nil {
		return true, a.begin(ctx, trusted)
	}
	if next, e := s.forget(lacking(s, trusted)); next != nil {
		return true, a.take(ctx, next, e, secret)
	}
	if err := a.publish(ctx, s, have); err != nil {
		return false, err
	}
	a.set(s)
	people, unsaid := a.report(ctx, s)
	if unsaid != nil {
		// Nothing depends on the status, so nothing waits for it but what people ask for.
		people = asked{rotate: s.Handled, withdraw: s.Withdrawal}
	}
	next, e, err := s.advance(a.td, due{now: a.now(), asked: people}, a.options)
	if next == nil || err != nil {
		return false, errors.Join(err, unsaid)
	}
	return true, errors.Join(a.take(ctx, next, e, secret), unsaid)
}

// begin writes the first state, or the last one that is known where somebody deleted it.
func (a *Authority) begin(ctx context.Context, trusted []*x509.Certificate) error {
	if k := a.known.Load(); k != nil {
		return a.take(ctx, k.state, &event{"RootsRestored", "", "the Secret of the roots was gone; it is written again"}, nil)
	}
	if len(trusted) > 0 {
		// An environment that was removed may have left its bundle. Nobody has to be
		// considered then.
		held, err := a.held(ctx)
		if err != nil {
			return err
		}
		if !held {
			trusted = nil
		}
	}
	s, err := first(a.td, trusted, a.now(), a.options)
	if err != nil {
		return err
	}
	e := &event{"RootMade", s.Roots[len(s.Roots)-1].id(), "the first root is made"}
	if len(trusted) > 0 {
		e.Text = "the Secret of the roots is lost: a new root is made, which signs in " + a.options.Overlap.String() + "; until then nobody gets a certificate"
	}
	return a.take(ctx, s, e, nil)
}

// take writes a state and tells of the step that led to it.
func (a *Authority) take(ctx context.Context, s *state, e *event, into *corev1.Secret) error {
	if _, err := a.write(ctx, s, into); err != nil {
		return err
	}
	a.log.Info(e.Text, "step", e.Reason, "root", e.Root)
	a.events.Event(&certsv1.ClusterTrustBundle{
		TypeMeta:   metav1.TypeMeta{APIVersion: "certificates.k8s.io/v1", Kind: "ClusterTrustBundle"},
		ObjectMeta: metav1.ObjectMeta{Name: config.TrustBundle},
	}, corev1.EventTypeNormal, e.Reason, e.Text)
	return nil
}

// lacking names the roots that should be trusted and are not.
func lacking(s *state, trusted []*x509.Certificate) []string {
	have := map[string]bool{}
	for _, c := range trusted {
		have[keypair.Fingerprint(c)] = true
	}
	var out []string
	for i := range s.Roots {
		if id := s.Roots[i].id(); !have[id] {
			out = append(out, id)
		}
	}
	return out
}
