package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/acme/internal/broker"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/telemetry"
)

var (
	errNoOrder     = errors.New("there is no such order")
	errOtherOrder  = errors.New("this Idempotency-Key was used for another order")
	errWrongAmount = errors.New("the amount is not that of the order")
)

// resend is the time after which a paid order that has not been shipped is sent again.
// The queue does not lose messages, but a broker can lose its disk.
const resend = 15 * time.Minute

type store struct {
	pool *pgxpool.Pool
	// wake says that the outbox has something new.
	wake chan struct{}
}

// check says whether the database can be used: it answers and has been migrated.
func (s *store) check(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `SELECT FROM orders LIMIT 0`)
	return err
}

// byKey returns the order that was placed with the key; errNoOrder where none was.
func (s *store) byKey(ctx context.Context, key string, digest []byte) (shop.Order, error) {
	var id string
	var had []byte
	err := s.pool.QueryRow(ctx, `SELECT id, request_digest FROM orders WHERE idempotency_key = $1`, key).Scan(&id, &had)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return shop.Order{}, errNoOrder
	case err != nil:
		return shop.Order{}, err
	case !bytes.Equal(had, digest):
		return shop.Order{}, errOtherOrder
	}
	return s.get(ctx, id)
}

// place stores a new order, unless the key has placed one already.
func (s *store) place(ctx context.Context, key string, digest []byte, o shop.Order) (shop.Order, error) {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO orders (id, idempotency_key, request_digest, total, currency, trace)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (idempotency_key) DO NOTHING`,
			o.ID, key, digest, o.Total, o.Currency, telemetry.Inject(ctx))
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		for i, l := range o.Lines {
			if _, err := tx.Exec(ctx, `INSERT INTO order_lines (order_id, position, product, name, quantity, price)
				VALUES ($1, $2, $3, $4, $5, $6)`, o.ID, i, l.Product, l.Name, l.Quantity, l.Price); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return shop.Order{}, err
	}
	return s.byKey(ctx, key, digest)
}

func (s *store) get(ctx context.Context, id string) (shop.Order, error) { return get(ctx, s.pool, id) }

// queryer is a pool or a transaction.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func get(ctx context.Context, q queryer, id string) (shop.Order, error) {
	o := shop.Order{ID: id}
	err := q.QueryRow(ctx, `SELECT status, total, currency, coalesce(tracking, ''), placed_at, paid_at, shipped_at
		FROM orders WHERE id = $1`, id).Scan(&o.Status, &o.Total, &o.Currency, &o.Tracking, &o.PlacedAt, &o.PaidAt, &o.ShippedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, errNoOrder
	}
	if err != nil {
		return o, err
	}
	rows, err := q.Query(ctx, `SELECT product, name, quantity, price FROM order_lines WHERE order_id = $1 ORDER BY position`, id)
	if err != nil {
		return o, err
	}
	o.Lines, err = pgx.CollectRows(rows, pgx.RowToStructByPos[shop.Line])
	return o, err
}

// pay marks an order as paid and, in the same transaction, writes the message that has
// it shipped. Paying twice changes nothing.
func (s *store) pay(ctx context.Context, id string, amount int64, currency, reference string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var total int64
		var status shop.Status
		var unit string
		err := tx.QueryRow(ctx, `SELECT status, total, currency FROM orders WHERE id = $1 FOR UPDATE`, id).Scan(&status, &total, &unit)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return errNoOrder
		case err != nil:
			return err
		case amount != total || currency != unit:
			return errWrongAmount
		case status != shop.Placed:
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE orders SET status = 'paid', paid_at = now(), payment_reference = $2 WHERE id = $1`, id, reference); err != nil {
			return err
		}
		return enqueue(ctx, tx, id)
	})
	if err != nil {
		return err
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// enqueue writes the message of a paid order to the outbox.
func enqueue(ctx context.Context, tx pgx.Tx, id string) error {
	o, err := get(ctx, tx, id)
	if err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO outbox (message_id, body, headers) SELECT id, $2, trace FROM orders WHERE id = $1`, id, body); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE orders SET sent_at = now() WHERE id = $1`, id)
	return err
}

// again sends paid orders anew that nobody has shipped for long.
func (s *store) again(ctx context.Context, after time.Duration) (int, error) {
	n := 0
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM orders WHERE status = 'paid' AND sent_at < now() - $1::interval
			ORDER BY sent_at LIMIT 100 FOR UPDATE SKIP LOCKED`, after)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := enqueue(ctx, tx, id); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	return n, err
}

// drain hands messages of the outbox to send, and forgets them once it has returned
// nil. It returns how many there were. Several replicas may drain at the same time.
func (s *store) drain(ctx context.Context, limit int, send func([]broker.Message) error) (int, error) {
	n := 0
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, message_id, body, headers FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`, limit)
		if err != nil {
			return err
		}
		var ids []int64
		var messages []broker.Message
		var id int64
		var m broker.Message
		if _, err := pgx.ForEachRow(rows, []any{&id, &m.ID, &m.Body, &m.Headers}, func() error {
			ids = append(ids, id)
			messages = append(messages, m)
			m = broker.Message{}
			return nil
		}); err != nil {
			return err
		}
		if n = len(ids); n == 0 {
			return nil
		}
		if err := send(messages); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM outbox WHERE id = ANY($1)`, ids)
		return err
	})
	return n, err
}

// ship marks an order as shipped. A parcel that has left has left, whatever is known of
// its payment; doing it twice changes nothing.
func (s *store) ship(ctx context.Context, p shop.Shipment) error {
	tag, err := s.pool.Exec(ctx, `UPDATE orders SET status = 'shipped', tracking = $2, shipped_at = $3
		WHERE id = $1 AND status <> 'shipped'`, p.Order, p.Tracking, p.At)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	_, err = s.get(ctx, p.Order)
	return err
}

// unpaid returns orders that have waited for their payment for a moment.
func (s *store) unpaid(ctx context.Context, after time.Duration) ([]payment, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, 'paid', total, currency, 'sandbox-' || lower(id) FROM orders
		WHERE status = 'placed' AND placed_at < now() - $1::interval ORDER BY placed_at LIMIT 100`, after)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[payment])
}

// day sums up the orders that were placed on a day (UTC). Only what is paid is revenue.
func (s *store) day(ctx context.Context, date time.Time) (shop.Day, error) {
	d := shop.Day{Date: date.Format(time.DateOnly)}
	err := s.pool.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE status = 'shipped'),
		coalesce(sum(total) FILTER (WHERE status <> 'placed'), 0), coalesce(max(currency), 'EUR')
		FROM orders WHERE placed_at >= $1 AND placed_at < $2`, date, date.AddDate(0, 0, 1)).
		Scan(&d.Orders, &d.Shipped, &d.Revenue, &d.Currency)
	return d, err
}
