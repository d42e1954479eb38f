package engine

import (
	"context"
	"sync"
)

// walk calls f for every index in [0, n), each after those that needs lists for it,
// at most workers at a time. When f fails for one, those that need it are not
// called; the others are. It returns the error of each index and which were not
// called. When ctx ends no more are called.
//
// Of those that may run the lowest index goes first, so that indexes decide the
// order where needs leave it open.
func walk(ctx context.Context, n, workers int, needs [][]int, f func(context.Context, int) error) (errs []error, skipped []bool) {
	errs, skipped = make([]error, n), make([]bool, n)
	waits := make([]int, n)
	next := make([][]int, n)
	for i, list := range needs {
		waits[i] = len(list)
		for _, d := range list {
			next[d] = append(next[d], i)
		}
	}
	var (
		mu    sync.Mutex
		wake  = sync.NewCond(&mu)
		ready = newQueue(n)
		left  = n
	)
	for i := range n {
		if waits[i] == 0 {
			ready.push(i)
		}
	}
	// settle records the end of an index. mu is held.
	var settle func(i int, ok bool)
	settle = func(i int, ok bool) {
		left--
		for _, d := range next[i] {
			if !ok && !skipped[d] {
				skipped[d] = true
				settle(d, false)
				continue
			}
			if waits[d]--; waits[d] == 0 && !skipped[d] {
				ready.push(d)
			}
		}
	}
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		wake.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for range min(max(workers, 1), max(n, 1)) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			for {
				for ready.len() == 0 && left > 0 && ctx.Err() == nil {
					wake.Wait()
				}
				if left <= 0 || ctx.Err() != nil {
					return
				}
				i := ready.pop()
				mu.Unlock()
				err := f(ctx, i)
				mu.Lock()
				errs[i] = err
				settle(i, err == nil)
				wake.Broadcast()
			}
		}()
	}
	wg.Wait()
	if ctx.Err() != nil {
		for i := range n {
			if waits[i] > 0 || ready.has(i) {
				skipped[i] = true
			}
		}
	}
	return errs, skipped
}

// queue gives the lowest index first.
type queue struct {
	in    []bool
	count int
	low   int
}

func newQueue(n int) *queue { return &queue{in: make([]bool, n)} }

func (q *queue) len() int { return q.count }

func (q *queue) has(i int) bool { return q.in[i] }

func (q *queue) push(i int) {
	q.in[i] = true
	q.count++
	q.low = min(q.low, i)
}

func (q *queue) pop() int {
	for !q.in[q.low] {
		q.low++
	}
	q.in[q.low] = false
	q.count--
	return q.low
}
