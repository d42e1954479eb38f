package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/stratahq/strata/internal/proxy/config"
)

// How long the Lease of a leader that is gone keeps others from leading. Nothing waits
// for a leader but new pods.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// elect takes part in the election of a leader until ctx ends, and runs the parts while
// this replica leads. Who loses the lead stands for election again: the other parts go on.
func (c *control) elect(ctx context.Context, parts []part) error {
	var leads atomic.Bool
	c.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "strata_control_leads", Help: "Whether this replica leads."}, func() float64 {
		if leads.Load() {
			return 1
		}
		return 0
	}))
	for ctx.Err() == nil {
		if err := c.term(ctx, parts, &leads); err != nil {
			return err
		}
	}
	return nil
}

// term stands for election once: it returns when the lead is lost, a part fails or ctx
// ends.
func (c *control) term(ctx context.Context, parts []part, leads *atomic.Bool) error {
	// The Lease is given up when the parts have ended, not when they are told to end.
	lease, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	standing := context.AfterFunc(ctx, release)
	won := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: config.ControlLease, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: config.ControlNamespace, Name: config.ControlLease},
			Client:     c.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.settings.name},
		},
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(held context.Context) { won <- held }, OnStoppedLeading: func() {}},
	})
	if err != nil {
		return err
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		elector.Run(lease)
	}()
	select {
	case <-over:
		return nil
	case held := <-won:
		if !standing() {
			<-over
			return nil
		}
		leads.Store(true)
		c.log.Info("this replica leads", "name", c.settings.name)
		held, stop := context.WithCancel(held)
		defer stop()
		unbind := context.AfterFunc(ctx, stop)
		defer unbind()
		g, held := errgroup.WithContext(held)
		for _, p := range parts {
			g.Go(func() error { return p.start(held) })
		}
		err := g.Wait()
		leads.Store(false)
		release()
		<-over
		c.log.Info("this replica leads no more", "name", c.settings.name)
		return err
	}
}
