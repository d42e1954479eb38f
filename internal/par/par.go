// Package par fans pure work out over the cores. It is the one place besides
// the engine, the runners and the servers that starts goroutines: callers pass
// a function of an index and keep their results by index, so that what comes
// out never depends on the order in which it was done.
package par

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Each calls f for every index in [0, n), on as many goroutines as GOMAXPROCS
// allows. It stops early when ctx ends or f fails, and returns the first error.
// f must be safe to call concurrently.
func Each(ctx context.Context, n int, f func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := f(i); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}
