package sidecar

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Waiting is limited, which is not what this is about: its clock stands still.
func TestGate(t *testing.T) { synctest.Test(t, testGate) }

func testGate(t *testing.T) {
	var g gate
	var inside, most, refused, through atomic.Int32
	release := make(chan struct{})
	var wait sync.WaitGroup
	var traces []*httptrace.ClientTrace
	const requests = 50
	for range requests {
		ctx := whileWanted(t.Context())
		trace := httptrace.ContextClientTrace(ctx)
		trace.GetConn("a")
		traces = append(traces, trace)
		wait.Go(func() {
			leave, err := g.enter(ctx, "a")
			if err != nil {
				if !errors.Is(err, errNotWanted) {
					t.Error(err)
				}
				refused.Add(1)
				return
			}
			n := inside.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-release
			inside.Add(-1)
			through.Add(1)
			leave()
		})
	}
	synctest.Wait()
	// Another address has a gate of its own.
	if leave, err := g.enter(t.Context(), "b"); err != nil {
		t.Error(err)
	} else {
		leave()
	}
	// The first connection serves all.
	for _, trace := range traces {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	close(release)
	wait.Wait()
	if most.Load() != gateSlots || through.Load() != gateSlots || refused.Load() != requests-gateSlots {
		t.Errorf("%d at most, %d went through, %d were refused", most.Load(), through.Load(), refused.Load())
	}
	if len(g.doors) != 0 {
		t.Errorf("%d doors are left", len(g.doors))
	}
}

// TestGateIsCrowded has connections that take too long.
func TestGateIsCrowded(t *testing.T) { synctest.Test(t, testGateIsCrowded) }

func testGateIsCrowded(t *testing.T) {
	var g gate
	for range gateSlots {
		leave, err := g.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := g.enter(t.Context(), "a"); !errors.Is(err, errCrowd) {
		t.Errorf("got %v", err)
	}
}
