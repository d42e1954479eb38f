package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"

	"github.com/stratahq/strata/internal/cluster"
)

// resync is how often informers show everything again, against events that were missed.
const resync = 10 * time.Minute

// Agent does on the node in dir what Kubernetes leaves to others: it provides volumes,
// enforces network policies and serves routes, until ctx ends.
func Agent(ctx context.Context, dir string, log *slog.Logger) error {
	c, err := Load(dir)
	if err != nil {
		return err
	}
	client, err := cluster.Open(c.path("pki", "agent.kubeconfig"))
	if err != nil {
		return err
	}
	typed := informers.NewSharedInformerFactory(client.Typed, resync)
	dynamic := dynamicinformer.NewDynamicSharedInformerFactory(client.Dynamic, resync)
	parts := []interface{ run(context.Context) error }{
		newVolumes(c, client, typed, log),
		newPolicies(c, typed, log),
		newRoutes(c, typed, dynamic, log),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed.Start(ctx.Done())
	dynamic.Start(ctx.Done())
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer cancel()
			errs[i] = p.run(ctx)
		}()
	}
	wg.Wait()
	cancel()
	typed.Shutdown()
	dynamic.Shutdown()
	return errors.Join(errs...)
}

// flag is a channel that remembers that something happened, but not how often.
type flag chan struct{}

func newFlag() flag { return make(flag, 1) }

func (s flag) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
