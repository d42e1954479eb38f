// Package gateway is the controller of the Gateway API: it watches the objects that
// gateways depend on, tells the gateways what they make of it (package translate), runs
// their pods (package deploy) and writes what became of it into the objects' statuses.
//
// What gateways do with what they are told is internal/proxy/gateway's business; how it
// reaches them, that of internal/proxy/gateway/feed.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	gwclient "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"

	"github.com/stratahq/strata/internal/gateway/deploy"
	"github.com/stratahq/strata/internal/gateway/translate"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/webca"
)

const (
	// Manager is the field manager of the objects that it applies.
	Manager = "strata-gateway"

	// settle is how long it waits for more changes after one.
	settle = 20 * time.Millisecond
	// again is how long it waits after something failed.
	again = 2 * time.Second
)

// Options say how gateways are run.
type Options struct {
	// Controller is the controllerName of the classes to serve; empty:
	// config.GatewayController.
	Controller string
	// TrustDomain is that of the gateways' and backends' identities.
	TrustDomain string
	// Deploy says what gateways' pods look like.
	Deploy deploy.Options
	// SecretNamespaces are where Secrets with certificates are looked for; none: everywhere.
	// The controller needs to read no others.
	SecretNamespaces []string
}

// Feed is where gateways get their configuration from.
type Feed interface {
	// Set makes c the configuration of a gateway, "<namespace>/<name>", which only pods of
	// a service account in its namespace may read. The error says why c cannot be used.
	Set(gateway, account string, c config.Gateway) error
	// Remove forgets a gateway.
	Remove(gateway string)
}

// Deps are what the controller works with.
type Deps struct {
	// REST is how to connect to the cluster, and Client a client of it.
	REST   *rest.Config
	Client kubernetes.Interface
	Feed   Feed
	// Issuer issues certificates for Gateways that ask for them; nil: nobody does.
	Issuer Issuer
	Log    *slog.Logger
}

// Issuer issues Gateways' certificates.
type Issuer interface {
	// Want says which certificates there have to be, in place of what it said before.
	Want(wants []webca.Want)
}

// Controller is the controller. Its methods Run and Lead may run at the same time.
type Controller struct {
	Deps
	options Options
	gateway gwclient.Interface
	dynamic dynamic.Interface
	watch   *watch
	// changed is set when something that gateways depend on has changed, and work when
	// there is something to do for the one that leads.
	changed, work flag
	// latest is what was translated last.
	latest atomic.Pointer[translation]
}

// translation is a result with the objects that it was made of.
type translation struct {
	objects *translate.Objects
	result  *translate.Result
	// refused says why the feed does not take the configuration of a gateway.
	refused map[translate.Key]string
}

// New returns a controller. It does not connect yet.
func New(d Deps, o Options) (*Controller, error) {
	if o.Controller == "" {
		o.Controller = config.GatewayController
	}
	if o.TrustDomain == "" || o.Deploy.Image == "" {
		return nil, errors.New("the gateway controller needs a trust domain and the image of gateways")
	}
	gateway, err := gwclient.NewForConfig(d.REST)
	if err != nil {
		return nil, err
	}
	dynamic, err := dynamic.NewForConfig(d.REST)
	if err != nil {
		return nil, err
	}
	return newController(d, o, gateway, dynamic)
}

func newController(d Deps, o Options, gateway gwclient.Interface, dynamic dynamic.Interface) (*Controller, error) {
	c := &Controller{Deps: d, options: o, gateway: gateway, dynamic: dynamic, changed: newFlag(), work: newFlag()}
	var err error
	c.watch, err = newWatch(c)
	return c, err
}

// Run watches the cluster and tells gateways what to serve, until ctx ends. Every replica
// runs it.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.definitions(ctx); err != nil {
		return ignore(ctx, err)
	}
	if err := c.watch.start(ctx); err != nil {
		return ignore(ctx, err)
	}
	defer c.watch.stop()
	c.changed.set()
	for c.changed.wait(ctx, settle) {
		began := time.Now()
		c.translate()
		c.work.set()
		// It has the processor for a third of the time at most.
		pause(ctx, 2*time.Since(began))
	}
	return nil
}

// Ready returns nil when gateways can ask for their configuration.
func (c *Controller) Ready() error {
	if c.latest.Load() == nil {
		return errors.New("the objects of the Gateway API are not read yet")
	}
	return nil
}

// translate makes the configurations of all gateways anew.
func (c *Controller) translate() {
	o := c.watch.objects()
	t := &translation{objects: o, refused: map[translate.Key]string{}}
	t.result = translate.Translate(o, translate.Options{Controller: c.options.Controller, TrustDomain: c.options.TrustDomain})
	known := map[translate.Key]bool{}
	for i := range t.result.Gateways {
		g := &t.result.Gateways[i]
		known[g.Key()] = true
		if err := c.Feed.Set(g.Key().String(), deploy.Name(g.Object), g.Config); err != nil {
			t.refused[g.Key()] = err.Error()
			c.Log.Error("the configuration of a gateway is refused", "gateway", g.Key().String(), "error", err)
		}
	}
	if last := c.latest.Load(); last != nil {
		for i := range last.result.Gateways {
			if key := last.result.Gateways[i].Key(); !known[key] {
				c.Feed.Remove(key.String())
			}
		}
	}
	c.latest.Store(t)
	if c.Issuer != nil {
		c.Issuer.Want(wants(t.result))
	}
}

// wants returns the certificates that Gateways ask the platform's own authority for.
func wants(r *translate.Result) []webca.Want {
	var out []webca.Want
	for i := range r.Gateways {
		g := &r.Gateways[i]
		if g.Object.Annotations[config.IssuerAnnotation] != config.IssuerPlatform {
			continue
		}
		for _, n := range g.Names() {
			out = append(out, webca.Want{Gateway: g.Key(), UID: g.Object.UID, Secret: n.Secret, Domain: g.Object.Annotations[config.DomainAnnotation], Hosts: n.Hosts, Missing: n.Missing})
		}
	}
	return out
}

// Lead runs the gateways' pods and writes statuses, until ctx ends. One replica at a time
// runs it, beside Run.
func (c *Controller) Lead(ctx context.Context) error {
	l := &leader{Controller: c, applied: map[translate.Key]*applied{}}
	c.work.set()
	for c.work.wait(ctx, settle) {
		t := c.latest.Load()
		if t == nil {
			continue
		}
		began := time.Now()
		if err := l.reconcile(ctx, t); err != nil && ctx.Err() == nil {
			c.Log.Warn("not everything is as it should be", "error", err)
			c.work.after(again)
		}
		pause(ctx, time.Since(began)/2)
	}
	return nil
}

// definitions waits until the API server knows all kinds that are watched.
func (c *Controller) definitions(ctx context.Context) error {
	said := ""
	for {
		missing, err := c.watch.missing()
		if err == nil && missing == "" {
			return nil
		}
		if err != nil {
			missing = err.Error()
		}
		if missing != said {
			c.Log.Warn("waiting for the definitions of the Gateway API", "missing", missing)
			said = missing
		}
		if !pause(ctx, again) {
			return fmt.Errorf("%s: %w", missing, ctx.Err())
		}
	}
}

// ignore returns nil when ctx has ended: then errors are no news.
func ignore(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// pause waits; false means that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// flag remembers that something happened, but not how often.
type flag chan struct{}

func newFlag() flag { return make(flag, 1) }

func (f flag) set() {
	select {
	case f <- struct{}{}:
	default:
	}
}

// after sets the flag later.
func (f flag) after(d time.Duration) { time.AfterFunc(d, f.set) }

// wait waits until the flag is set, and a moment more, for what comes with it; false
// means that ctx has ended.
func (f flag) wait(ctx context.Context, more time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-f:
	}
	if !pause(ctx, more) {
		return false
	}
	select {
	case <-f:
	default:
	}
	return true
}
