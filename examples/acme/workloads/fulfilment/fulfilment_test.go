package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/acme/internal/broker"
	"example.com/acme/internal/shop"
)

// world is everything that fulfilment writes to. Each part fails as often as it is told.
type world struct {
	failures int
	labels   map[string]string
	events   []string
	answers  []string
}

func (w *world) fail() error {
	if w.failures > 0 {
		w.failures--
		return errors.New("down")
	}
	return nil
}

func (w *world) Put(_ context.Context, key, _ string, body []byte) error {
	if err := w.fail(); err != nil {
		return err
	}
	w.labels[key] = string(body)
	return nil
}

func (w *world) Append(_ context.Context, key string, _ []byte) error {
	if err := w.fail(); err != nil {
		return err
	}
	w.events = append(w.events, key)
	return nil
}

func (w *world) Publish(_ context.Context, queue string, messages ...broker.Message) error {
	if err := w.fail(); err != nil {
		return err
	}
	w.answers = append(w.answers, queue+" "+string(messages[0].Body))
	return nil
}

func message(t *testing.T) broker.Message {
	t.Helper()
	body, err := json.Marshal(shop.Order{
		ID: "ABCDEFGHIJKLMNOP", Status: shop.Paid, Total: 2900, Currency: "EUR", PlacedAt: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC),
		Lines: []shop.Line{{Product: "mug", Name: `<b>"Mug" & more</b>`, Quantity: 2, Price: 1450}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return broker.Message{ID: "ABCDEFGHIJKLMNOP", Body: body}
}

func newShipper(w *world) *shipper {
	return &shipper{log: slog.New(slog.DiscardHandler), queue: "orders", labels: w, events: w}
}

func TestShipTriesUntilAllIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{failures: 30, labels: map[string]string{}}
		if err := newShipper(w).ship(t.Context(), w, message(t)); err != nil {
			t.Fatal(err)
		}
		label := w.labels["labels/2026/11/25/ABCDEFGHIJKLMNOP.svg"]
		if len(w.labels) != 1 || !strings.Contains(label, trackingNumber("ABCDEFGHIJKLMNOP")) || !strings.Contains(label, "2 item(s)") {
			t.Errorf("labels %v", w.labels)
		}
		if len(w.events) != 1 || len(w.answers) != 1 || !strings.HasPrefix(w.answers[0], `orders-shipped {"order":"ABCDEFGHIJKLMNOP"`) {
			t.Errorf("events %v, answers %v", w.events, w.answers)
		}
		// The order comes again: the same label, under the same key.
		if err := newShipper(w).ship(t.Context(), w, message(t)); err != nil || len(w.labels) != 1 || w.labels["labels/2026/11/25/ABCDEFGHIJKLMNOP.svg"] != label {
			t.Errorf("labels %v, error %v", w.labels, err)
		}
	})
}

func TestShipGivesUpOnlyWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		w := &world{failures: 1 << 30, labels: map[string]string{}}
		err := newShipper(w).ship(ctx, w, message(t))
		if !errors.Is(err, context.DeadlineExceeded) || broker.IsUnreadable(err) || len(w.answers) != 0 {
			t.Errorf("error %v, answers %v", err, w.answers)
		}
	})
}

func TestWhatIsNoOrder(t *testing.T) {
	w := &world{labels: map[string]string{}}
	for _, bad := range []string{`?`, `{}`, `{"id":"ABCDEFGHIJKLMNOP"}`, `{"id":"../../x","lines":[{"product":"mug","quantity":1}]}`} {
		if err := newShipper(w).ship(t.Context(), w, broker.Message{Body: []byte(bad)}); !broker.IsUnreadable(err) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func TestLabelIsXML(t *testing.T) {
	var o shop.Order
	if err := json.Unmarshal(message(t).Body, &o); err != nil {
		t.Fatal(err)
	}
	label, err := drawLabel(o, trackingNumber(o.ID))
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(string(label)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in:\n%s", err, label)
		}
	}
}
