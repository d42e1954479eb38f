package webca

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"github.com/stratahq/strata/internal/proxy/config"
)

// Want is a certificate that a Gateway asks this authority for.
type Want struct {
	// Gateway is the Gateway, Secret the Secret beside it that its listeners refer to.
	Gateway types.NamespacedName
	UID     types.UID
	Secret  string
	// Domain is what the certificate is for, with all names directly below it; Hosts are
	// the names of routes.
	Domain string
	Hosts  []string
	// Missing says that the Gateway sees no certificate that it can serve.
	Missing bool
}

// Deps are what an Authority works with.
type Deps struct {
	Client kubernetes.Interface
	Log    *slog.Logger
	// Events records what happens to Gateways' certificates.
	Events record.EventRecorder
	// Metrics is where its metrics are registered; nil: nowhere.
	Metrics prometheus.Registerer
}

// Authority issues certificates. Its methods may be called concurrently.
type Authority struct {
	Deps
	options Options
	path    string
	now     func() time.Time
	metrics *metrics

	mu    sync.Mutex
	wants []Want
	known bool
	// woken is set when there are other wants.
	woken chan struct{}

	// said is what was logged of hosts that are left out and of Secrets of others, so that
	// it is said once. Only Lead uses it.
	said map[string]bool
}

// New returns an Authority. It does nothing before Lead runs.
func New(d Deps, o Options) (*Authority, error) {
	if err := o.Complete(); err != nil {
		return nil, err
	}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, err
	}
	return &Authority{
		Deps: d, options: o, path: config.WebRootsPath(o.Platform, o.Environment), now: time.Now, metrics: m,
		woken: make(chan struct{}, 1), said: map[string]bool{},
	}, nil
}

// Want says which certificates there have to be, in place of what it said before.
func (a *Authority) Want(wants []Want) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known && reflect.DeepEqual(a.wants, wants) {
		return
	}
	a.wants, a.known = slices.Clone(wants), true
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// wanted returns what was wanted last; false: nothing is known yet.
func (a *Authority) wanted() ([]Want, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wants, a.known
}

// maxSteps bounds the steps that are taken at once; what is left is due the next time.
const maxSteps = 10

// callTimeout bounds what is done at once: an API server that accepts requests and does
// not answer must not be waited for.
const callTimeout = 30 * time.Second

// Lead looks after the authorities and the Gateways' certificates until ctx ends. One
// replica at a time runs it.
func (a *Authority) Lead(ctx context.Context) error {
	tick := time.NewTicker(a.options.Interval)
	defer tick.Stop()
	clear(a.said)
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		err := a.tend(call)
		cancel()
		if err != nil && ctx.Err() == nil {
			a.metrics.failures.Inc()
			a.Log.Warn("the certificates of Gateways could not be looked after; trying again", "error", err.Error(), "in", a.options.Interval.String())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.woken:
		}
	}
}

// tend takes the steps that are due, sees to the Gateways' certificates, and publishes
// what people have to trust.
func (a *Authority) tend(ctx context.Context) error {
	s, secret, err := a.read(ctx)
	if err != nil {
		return err
	}
	for range maxSteps {
		next, e, err := advance(s, a.now(), a.options)
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		if secret, err = a.write(ctx, next, secret); err != nil {
			return err
		}
		s = next
		a.Log.Info(e.Text, "step", e.Reason, "authority", e.Root)
	}
	status := a.status(s)
	var errs []error
	wants, known := a.wanted()
	for _, w := range merged(wants) {
		c, err := a.certificate(ctx, s, w)
		if err != nil {
			errs = append(errs, fmt.Errorf("the certificate of Gateway %s: %w", w.Gateway, err))
		}
		if c != nil {
			status.Certificates = append(status.Certificates, *c)
		}
	}
	if !known {
		return nil // what there is stays published as it is
	}
	a.metrics.set(status)
	return errors.Join(append(errs, a.publish(ctx, s, status))...)
}

// merged joins the wants of those that share a Secret and a domain.
func merged(wants []Want) []Want {
	var out []Want
	for _, w := range wants {
		i := slices.IndexFunc(out, func(o Want) bool { return o.Gateway.Namespace == w.Gateway.Namespace && o.Secret == w.Secret })
		if i < 0 {
			out = append(out, w)
			continue
		}
		out[i].Hosts = slices.Concat(out[i].Hosts, w.Hosts)
		if w.Domain != out[i].Domain {
			out[i].Hosts = append(out[i].Hosts, w.Domain)
		}
	}
	return out
}

// once reports whether something has not been said yet.
func (a *Authority) once(what string) bool {
	if a.said[what] {
		return false
	}
	a.said[what] = true
	return true
}

// tell records an event of a Gateway.
func (a *Authority) tell(w Want, kind, reason, format string, args ...any) {
	a.Events.Eventf(&corev1.ObjectReference{
		APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Namespace: w.Gateway.Namespace, Name: w.Gateway.Name, UID: w.UID,
	}, kind, reason, format, args...)
}
