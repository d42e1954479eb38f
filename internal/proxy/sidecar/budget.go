package sidecar

import (
	"sync"
	"time"
)

// A request is tried on this many endpoints at most, and those tries that are repetitions
// come out of a budget, so that a service which is down is not asked a multiple of the time.
const (
	attempts = 3
	// budgetShare of the requests may be repeated, and budgetRate a second besides.
	budgetShare = 0.2
	budgetRate  = 1.0
	// budgetMost is what can be saved up.
	budgetMost = 20.0
)

// budget counts what may be repeated. The zero value is not for use.
type budget struct {
	now func() time.Time

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

func newBudget(now func() time.Time) *budget {
	return &budget{now: now, tokens: budgetMost / 2, filled: now()}
}

// request adds the share of one request.
func (b *budget) request() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(budgetMost, b.tokens+budgetShare)
}

// retry says whether one repetition is in the budget, and takes it out.
func (b *budget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.tokens = min(budgetMost, b.tokens+now.Sub(b.filled).Seconds()*budgetRate)
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
