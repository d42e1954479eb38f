package system

import (
	"sync"
	"testing"

	"example.com/acme/internal/testenv"
)

// No order is lost though everything that handles orders is killed while they come in:
// the programs, the broker, and the database.
func noOrderIsLost(t *testing.T, w *world) {
	var mu sync.Mutex
	var ids []string
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, product := range []string{"ceramic-mug", "oak-stool"} {
		customer := w.customer(t)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				// An order that the page did not confirm was not promised.
				if id, err := customer.order(product, n%20+1); err == nil {
					mu.Lock()
					ids = append(ids, id)
					mu.Unlock()
				}
			}
		})
	}
	more := func(what string) {
		t.Helper()
		mu.Lock()
		before := len(ids)
		mu.Unlock()
		testenv.Wait(t, what, func() error {
			mu.Lock()
			defer mu.Unlock()
			if len(ids) < before+5 {
				return errFew
			}
			return nil
		})
	}
	more("orders come in")
	w.programs["fulfilment"].process.Kill()
	more("orders are taken without fulfilment")
	w.s3.Down.Store(true)
	w.start(t, "fulfilment")
	more("orders are taken without object storage")
	w.mq.Kill()
	more("orders are taken without a broker")
	w.s3.Down.Store(false)
	w.programs["checkout"].process.Kill()
	w.start(t, "checkout")
	more("orders are taken after a crash of checkout, and still without a broker")
	w.mq.Start(t)
	more("orders are taken with the broker again")
	w.postgres.Kill()
	w.postgres.Start(t)
	more("orders are taken after a crash of the database")
	close(stop)
	wg.Wait()
	t.Logf("%d orders", len(ids))
	w.customer(t).shipped(t, ids...)

	labels := w.s3.Keys()
	if len(labels) < len(ids) {
		t.Errorf("%d labels for %d orders", len(labels), len(ids))
	}
}
