package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"example.com/acme/internal/broker"
	"example.com/acme/internal/httpx"
	"example.com/acme/internal/postgres"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/testenv"
)

var quiet = slog.New(slog.DiscardHandler)

const token = "0123456789abcdef"

// fixture is checkout with a real database, and a catalog of two products that a test can
// take away.
type fixture struct {
	store    *store
	url      string
	checkout shop.Checkout
	catalog  *httptest.Server
}

func newFixture(t *testing.T, server *testenv.Postgres) *fixture {
	t.Helper()
	database := server.Database(t, t.Name())
	pool, err := postgres.Open(t.Context(), database, "checkout")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, there is nothing to do
		if err := postgres.Migrate(t.Context(), quiet, pool, files); err != nil {
			t.Fatal(err)
		}
	}
	f := &fixture{store: &store{pool: pool, wake: make(chan struct{}, 1)}}
	f.catalog = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		prices := map[string]int64{"/products/mug": 1450, "/products/lamp": 6900}
		if p, ok := prices[r.URL.Path]; ok {
			httpx.JSON(w, 200, shop.Product{ID: r.URL.Path[len("/products/"):], Name: "A thing", Price: p, Currency: "EUR"})
			return
		}
		httpx.Fail(w, http.StatusNotFound, "none")
	}))
	t.Cleanup(f.catalog.Close)
	mux := http.NewServeMux()
	routes(mux, quiet, f.store, shop.NewCatalog(parse(t, f.catalog.URL)))
	mux.Handle("POST /webhooks/payment", paymentHandler(quiet, []byte(token), f.store))
	front := httptest.NewServer(httpx.Wrap(quiet, mux))
	t.Cleanup(front.Close)
	f.url, f.checkout = front.URL, shop.NewCheckout(parse(t, front.URL))
	return f
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// notify reports a payment and returns the status of the answer.
func (f *fixture) notify(t *testing.T, p payment, key string, at time.Time) int {
	t.Helper()
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/webhooks/payment", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(signatureHeader, sign([]byte(key), body, at))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// outbox takes everything out of the outbox.
func (f *fixture) outbox(t *testing.T) []broker.Message {
	t.Helper()
	var out []broker.Message
	if _, err := f.store.drain(t.Context(), 1000, func(m []broker.Message) error { out = m; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCheckout(t *testing.T) {
	server := testenv.StartPostgres(t, testenv.NewCA(t))
	for name, test := range map[string]func(*testing.T, *fixture){
		"an order is placed once": placedOnce, "orders that are refused": refused, "payment": paid, "shipping": shipped,
	} {
		t.Run(name, func(t *testing.T) { test(t, newFixture(t, server)) })
	}
}

func placedOnce(t *testing.T, f *fixture) {
	lines := []shop.Line{{Product: "mug", Quantity: 2}, {Product: "lamp", Quantity: 1}}
	var mu sync.Mutex
	ids := map[string]bool{}
	var at time.Time
	var wg sync.WaitGroup
	for range 8 { // an impatient customer
		wg.Go(func() {
			o, err := f.checkout.Place(t.Context(), "key-key-key-key-1", lines)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || o.Status != shop.Placed || o.Total != 2*1450+6900 || len(o.Lines) != 2 || o.Lines[0].Price != 1450 {
				t.Errorf("order %+v, error %v", o, err)
			}
			ids[o.ID], at = true, o.PlacedAt
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("orders %v", ids)
	}
	if _, err := f.checkout.Place(t.Context(), "key-key-key-key-1", lines[:1]); !httpx.IsCode(err, http.StatusConflict) {
		t.Errorf("another order with the same key: %v", err)
	}
	day, err := f.checkout.Day(t.Context(), at.UTC().Format(time.DateOnly))
	if err != nil || day.Orders != 1 || day.Revenue != 0 {
		t.Errorf("day %+v, error %v", day, err)
	}
	// What was placed is there again though the catalog is not.
	f.catalog.Close()
	if o, err := f.checkout.Place(t.Context(), "key-key-key-key-1", lines); err != nil || !ids[o.ID] {
		t.Errorf("order %+v, error %v", o, err)
	}
	if _, err := f.checkout.Place(t.Context(), "key-key-key-key-2", lines); !httpx.IsCode(err, http.StatusServiceUnavailable) {
		t.Errorf("without a catalog: %v", err)
	}
}

func refused(t *testing.T, f *fixture) {
	for name, lines := range map[string][]shop.Line{
		"nothing":      nil,
		"none of it":   {{Product: "mug", Quantity: 0}},
		"negative":     {{Product: "mug", Quantity: -1}},
		"too many":     {{Product: "mug", Quantity: shop.MaxQuantity + 1}},
		"unknown":      {{Product: "yacht", Quantity: 1}},
		"no id":        {{Product: "../days", Quantity: 1}},
		"twice":        {{Product: "mug", Quantity: 1}, {Product: "mug", Quantity: 1}},
		"its own idea": {{Product: "mug", Quantity: 1, Price: 1}},
	} {
		if _, err := f.checkout.Place(t.Context(), "key-key-key-key-1", lines); !httpx.IsCode(err, http.StatusUnprocessableEntity) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.checkout.Place(t.Context(), "short", []shop.Line{{Product: "mug", Quantity: 1}}); !httpx.IsCode(err, http.StatusBadRequest) {
		t.Errorf("no key: %v", err)
	}
	for _, id := range []string{"AAAAAAAAAAAAAAAA", "1"} {
		if _, err := f.checkout.Order(t.Context(), id); !httpx.IsCode(err, http.StatusNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func paid(t *testing.T, f *fixture) {
	o, err := f.checkout.Place(t.Context(), "key-key-key-key-1", []shop.Line{{Product: "mug", Quantity: 1}})
	if err != nil {
		t.Fatal(err)
	}
	good := payment{o.ID, "paid", 1450, "EUR", "ref-1"}
	wrong, unknown, failed := good, good, good
	wrong.Amount, unknown.Order, failed.Status = 1, "AAAAAAAAAAAAAAAA", "failed"
	for _, c := range []struct {
		name string
		p    payment
		key  string
		at   time.Time
		code int
		paid bool
	}{
		{"signed by somebody else", good, "another-token-of-16", time.Now(), 401, false},
		{"overheard long ago", good, token, time.Now().Add(-time.Hour), 401, false},
		{"another amount", wrong, token, time.Now(), 409, false},
		{"another order", unknown, token, time.Now(), 404, false},
		{"a failed payment", failed, token, time.Now(), 204, false},
		{"the payment", good, token, time.Now(), 204, true},
		{"the payment again", good, token, time.Now(), 204, true},
	} {
		if code := f.notify(t, c.p, c.key, c.at); code != c.code {
			t.Errorf("%s: status %d, not %d", c.name, code, c.code)
		}
		if got, err := f.checkout.Order(t.Context(), o.ID); err != nil || (got.Status == shop.Paid) != c.paid {
			t.Errorf("%s: order %+v, error %v", c.name, got, err)
		}
	}

	// The message stays in the outbox until it is sent, and is there once.
	_, err = f.store.drain(t.Context(), 10, func([]broker.Message) error { return errors.New("the broker is down") })
	if err == nil {
		t.Error("no error")
	}
	messages := f.outbox(t)
	if len(messages) != 1 || messages[0].ID != o.ID {
		t.Fatalf("messages %v", messages)
	}
	var sent shop.Order
	if err := json.Unmarshal(messages[0].Body, &sent); err != nil || sent.ID != o.ID || sent.Status != shop.Paid || len(sent.Lines) != 1 {
		t.Errorf("sent %+v, error %v", sent, err)
	}
	if left := f.outbox(t); len(left) != 0 {
		t.Errorf("left in the outbox: %v", left)
	}
}

func shipped(t *testing.T, f *fixture) {
	o, err := f.checkout.Place(t.Context(), "key-key-key-key-1", []shop.Line{{Product: "lamp", Quantity: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if code := f.notify(t, payment{o.ID, "paid", 6900, "EUR", "ref"}, token, time.Now()); code != 204 {
		t.Fatal(code)
	}
	f.outbox(t)
	// The broker has lost the message with its disk: it comes again, but not at once.
	if n, err := f.store.again(t.Context(), time.Hour); err != nil || n != 0 {
		t.Errorf("%d orders sent again, error %v", n, err)
	}
	if n, err := f.store.again(t.Context(), 0); err != nil || n != 1 || len(f.outbox(t)) != 1 {
		t.Errorf("%d orders sent again, error %v", n, err)
	}

	w := &worker{log: quiet, store: f.store, queue: "orders"}
	answer, err := json.Marshal(shop.Shipment{Order: o.ID, Tracking: "AC-1", At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.shipped(t.Context(), broker.Message{Body: answer}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := f.checkout.Order(t.Context(), o.ID); err != nil || got.Status != shop.Shipped || got.Tracking != "AC-1" || got.ShippedAt == nil {
		t.Errorf("order %+v, error %v", got, err)
	}
	if n, err := f.store.again(t.Context(), 0); err != nil || n != 0 {
		t.Errorf("%d shipped orders sent again, error %v", n, err)
	}
	for _, bad := range []string{`?`, `{}`, `{"order":"AAAAAAAAAAAAAAAA","tracking":"x","at":"2026-11-25T00:00:00Z"}`} {
		if err := w.shipped(t.Context(), broker.Message{Body: []byte(bad)}); !broker.IsUnreadable(err) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}
