package par_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stratahq/strata/internal/par"
)

// cores runs a test with as many goroutines as there would be on machines of several sizes.
func cores(t *testing.T, f func(t *testing.T, n int)) {
	for _, n := range []int{1, 2, 16} {
		t.Run("", func(t *testing.T) {
			before := runtime.GOMAXPROCS(n)
			defer runtime.GOMAXPROCS(before)
			f(t, n)
		})
	}
}

// TestEachOnce wants every index once, and results that do not depend on the order
// in which they came about.
func TestEachOnce(t *testing.T) {
	cores(t, func(t *testing.T, _ int) {
		for _, n := range []int{0, 1, 2, 3, 1000} {
			calls := make([]atomic.Int32, n)
			out := make([]int, n)
			err := par.Each(context.Background(), n, func(i int) error {
				if i%3 == 0 {
					runtime.Gosched()
				}
				calls[i].Add(1)
				out[i] = i * i
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if calls[i].Load() != 1 || out[i] != i*i {
					t.Errorf("of %d: index %d was done %d times, to %d", n, i, calls[i].Load(), out[i])
				}
			}
		}
	})
}

func TestEachError(t *testing.T) {
	failed := errors.New("failed")
	cores(t, func(t *testing.T, n int) {
		const many = 1_000_000
		var calls atomic.Int32
		err := par.Each(context.Background(), many, func(i int) error {
			calls.Add(1)
			if i == 10 {
				return failed
			}
			runtime.Gosched()
			return nil
		})
		if !errors.Is(err, failed) {
			t.Errorf("the error is %v", err)
		}
		if calls.Load() == many {
			t.Error("it did not stop early")
		}
		// With one goroutine the order is that of the indexes.
		if n == 1 && calls.Load() != 11 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}

// TestEachWaits wants what the other goroutines were at to be done when Each returns
// an error.
func TestEachWaits(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	first := errors.New("first")
	both := make(chan struct{})
	var done atomic.Bool
	err := par.Each(context.Background(), 2, func(i int) error {
		if i == 0 {
			<-both
			return first
		}
		close(both)
		for range 1000 {
			runtime.Gosched()
		}
		done.Store(true)
		return nil
	})
	if !errors.Is(err, first) || !done.Load() {
		t.Errorf("%v, done %v", err, done.Load())
	}
}

func TestEachCancel(t *testing.T) {
	cores(t, func(t *testing.T, _ int) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var called []int
		if err := par.Each(ctx, 3, func(i int) error { called = append(called, i); return nil }); !errors.Is(err, context.Canceled) || len(called) > 0 {
			t.Errorf("with a context that ended: %v after %v", err, called)
		}
		ctx, cancel = context.WithCancel(context.Background())
		defer cancel()
		const many = 1_000_000
		done := make([]bool, many)
		err := par.Each(ctx, many, func(i int) error {
			done[i] = true
			if i == 10 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || !slices.Contains(done, false) {
			t.Errorf("with a context that ends: %v", err)
		}
	})
}
