package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var errBroken = errors.New("broken")

// TestWalk draws graphs and lets some indexes fail: each runs once, after all that it
// needs; what needs one that failed does not run; and never more run than may.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(t, "n")
		workers := rapid.IntRange(1, 5).Draw(t, "workers")
		needs := make([][]int, n)
		fails := make([]bool, n)
		for i := range n {
			fails[i] = rapid.IntRange(0, 6).Draw(t, "fails") == 0
			for d := range i {
				if rapid.IntRange(0, 4).Draw(t, "needs") == 0 {
					needs[i] = append(needs[i], d)
				}
			}
		}
		var mu sync.Mutex
		var ended []int
		running, most := 0, 0
		errs, skipped := walk(context.Background(), n, workers, needs, func(_ context.Context, i int) error {
			mu.Lock()
			running++
			most = max(most, running)
			for _, d := range needs[i] {
				if !slices.Contains(ended, d) {
					t.Errorf("%d began before %d had ended", i, d)
				}
			}
			mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			running--
			ended = append(ended, i)
			if fails[i] {
				return errBroken
			}
			return nil
		})
		if most > workers {
			t.Errorf("%d ran at a time, %d may", most, workers)
		}
		for i := range n {
			blocked := slices.ContainsFunc(needs[i], func(d int) bool { return skipped[d] || errs[d] != nil })
			ran := slices.Contains(ended, i)
			if skipped[i] != blocked || ran == blocked || (errs[i] != nil) != (ran && fails[i]) {
				t.Errorf("%d: skipped %v, ran %v, error %v; blocked %v, fails %v", i, skipped[i], ran, errs[i], blocked, fails[i])
			}
		}
		if len(slices.Compact(slices.Sorted(slices.Values(ended)))) != len(ended) {
			t.Error("something ran twice")
		}
	})
}

// TestWalkOrder has one worker: the lowest index that may run goes first.
func TestWalkOrder(t *testing.T) {
	var order []int
	walk(context.Background(), 5, 1, [][]int{{3}, nil, nil, nil, {0}}, func(_ context.Context, i int) error {
		order = append(order, i)
		return nil
	})
	if !slices.Equal(order, []int{1, 2, 3, 0, 4}) {
		t.Error(order)
	}
}

// TestWalkCancelled stops after the index during which ctx ends.
func TestWalkCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ran := 0
	_, skipped := walk(ctx, 5, 1, make([][]int, 5), func(context.Context, int) error {
		if ran++; ran == 2 {
			cancel()
		}
		return nil
	})
	left := 0
	for _, s := range skipped {
		if s {
			left++
		}
	}
	if ran != 2 || left != 3 {
		t.Errorf("%d ran, %d were skipped", ran, left)
	}
}
