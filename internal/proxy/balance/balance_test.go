package balance_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/proxy/balance"
)

// clock is a clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func pool(n int) (*balance.Pool, *clock) {
	c := &clock{now: time.Unix(1e9, 0)}
	p := &balance.Pool{Now: c.Now}
	var addresses []string
	for i := range n {
		addresses = append(addresses, fmt.Sprintf("10.0.0.%d:80", i+1))
	}
	p.Set(addresses)
	return p, c
}

// counts picks n times, each over at once, and returns how often each was picked.
func counts(p *balance.Pool, n int) map[string]int {
	got := map[string]int{}
	for range n {
		e := p.Pick(nil)
		got[e.Address]++
		e.Cancel()
	}
	return got
}

// fail makes all requests to an address fail until it has been picked n times.
func fail(p *balance.Pool, address string, n int) {
	for n > 0 {
		e := p.Pick(func(e *balance.Endpoint) bool { return e.Address != address })
		if e.Address == address {
			n--
			e.Done(false)
		} else {
			e.Cancel()
		}
	}
}

func TestEmpty(t *testing.T) {
	var p balance.Pool
	if e := p.Pick(nil); e != nil || p.Len() != 0 {
		t.Errorf("an empty pool gives %v", e)
	}
}

func TestSpreads(t *testing.T) {
	p, _ := pool(4)
	for a, n := range counts(p, 4000) {
		if n < 700 || n > 1300 {
			t.Errorf("%s got %d of 4000", a, n)
		}
	}
}

func TestLeastOutstanding(t *testing.T) {
	p, _ := pool(2)
	busy := p.Pick(nil)
	for range 100 {
		e := p.Pick(nil)
		if e == busy {
			t.Fatal("the busy one is picked although another has nothing to do")
		}
		e.Done(true)
	}
	busy.Done(true)
}

func TestAvoid(t *testing.T) {
	p, _ := pool(3)
	first := p.Pick(nil)
	for range 100 {
		if e := p.Pick(func(e *balance.Endpoint) bool { return e == first }); e == first {
			t.Fatal("picked what is to be avoided")
		}
	}
	if e := p.Pick(func(*balance.Endpoint) bool { return true }); e == nil {
		t.Error("nothing is picked when all are to be avoided")
	}
}

func TestEjection(t *testing.T) {
	p, c := pool(4)
	var told []string
	p.Ejected = func(a string) { told = append(told, a) }
	const bad = "10.0.0.2:80"
	fail(p, bad, balance.Failures-1)
	if n := counts(p, 1000)[bad]; n == 0 {
		t.Error("ejected too early")
	}
	fail(p, bad, 1)
	if n := counts(p, 1000)[bad]; n != 0 || len(told) != 1 || told[0] != bad {
		t.Errorf("picked %d times, told of %v", n, told)
	}
	c.Add(balance.Ejection)
	if n := counts(p, 1000)[bad]; n == 0 {
		t.Error("does not come back")
	}
	// The second time takes twice as long.
	fail(p, bad, balance.Failures)
	c.Add(balance.Ejection)
	if n := counts(p, 1000)[bad]; n != 0 {
		t.Error("comes back too early")
	}
	c.Add(balance.Ejection)
	for p.Pick(nil).Address != bad {
		continue
	}
}

func TestHalfStaysIn(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 3: 2, 5: 3} {
		p, _ := pool(n)
		for range 20 * n * balance.Failures {
			p.Pick(nil).Done(false)
		}
		if got := len(counts(p, 2000)); got != want {
			t.Errorf("%d of %d endpoints are left, want %d", got, n, want)
		}
	}
}

// TestOneStaysIn lets no endpoint be reached.
func TestOneStaysIn(t *testing.T) {
	for n := 1; n < 6; n++ {
		p, _ := pool(n)
		for range 20 * n * balance.Unreachables {
			p.Pick(nil).Unreachable()
		}
		if got := len(counts(p, 2000)); got != 1 || p.Out() != n-1 {
			t.Errorf("%d of %d endpoints are left, %d are out", got, n, p.Out())
		}
	}
}

func TestSuccessResets(t *testing.T) {
	p, _ := pool(2)
	const bad = "10.0.0.1:80"
	for range 10 {
		fail(p, bad, balance.Failures-1)
		for {
			e := p.Pick(nil)
			e.Done(true)
			if e.Address == bad {
				break
			}
		}
	}
	if n := counts(p, 1000)[bad]; n == 0 {
		t.Error("ejected although it succeeds now and then")
	}
}

func TestSetKeepsWhatIsKnown(t *testing.T) {
	p, _ := pool(4)
	const bad = "10.0.0.1:80"
	fail(p, bad, balance.Failures)
	p.Set([]string{bad, "10.0.0.9:80", "10.0.0.9:80", "10.0.0.8:80"})
	got := counts(p, 1000)
	if got[bad] != 0 || got["10.0.0.9:80"] == 0 || got["10.0.0.2:80"] != 0 {
		t.Errorf("picked %v", got)
	}
	p.Set(nil)
	if p.Pick(nil) != nil {
		t.Error("an emptied pool gives something")
	}
}

func TestConcurrent(t *testing.T) {
	p, _ := pool(3)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 2000 {
				e := p.Pick(nil)
				if (i+j)%5 == 0 {
					e.Unreachable()
				} else {
					e.Done((i+j)%3 != 0)
				}
				if j%100 == 0 {
					p.Set([]string{"10.0.0.1:80", "10.0.0.2:80", fmt.Sprintf("10.0.1.%d:80", j/100)})
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkPick(b *testing.B) {
	p, _ := pool(10)
	p.Now = nil
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Pick(nil).Done(true)
		}
	})
}
