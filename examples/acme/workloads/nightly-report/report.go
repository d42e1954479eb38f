package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/acme/internal/objects"
	"example.com/acme/internal/report"
	"example.com/acme/internal/retry"
)

// window is how many days a report looks back.
const window = 30

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"money": func(amount int64, currency string) string {
		return fmt.Sprintf("%d.%02d %s", amount/100, amount%100, currency)
	},
}).Parse(pageText))

// row is a day in the warehouse.
type row struct {
	Date     time.Time `json:"-"`
	Day      string    `json:"date"`
	Orders   int       `json:"orders"`
	Shipped  int       `json:"shipped"`
	Revenue  int64     `json:"revenue"`
	Currency string    `json:"currency"`
	Notes    int       `json:"notes"`
	Refunds  int       `json:"refunds"`
	Refunded int64     `json:"refunded"`
}

// summary is a report.
type summary struct {
	For string `json:"for"`
	// Day is nil where nothing is known of the day.
	Day      *row  `json:"day"`
	Last     []row `json:"last"`
	Orders   int   `json:"orders"`
	Revenue  int64 `json:"revenue"`
	Refunded int64 `json:"refunded"`
	// Currency is that of the sums.
	Currency string `json:"currency"`
}

type reporter struct {
	log       *slog.Logger
	warehouse *pgxpool.Pool
	bucket    *objects.Bucket
}

// run makes the report of a day and returns it as HTML. Run again, it replaces it.
func (r *reporter) run(ctx context.Context, day time.Time) ([]byte, error) {
	started := time.Now()
	loaded, err := r.load(ctx, day)
	if err != nil {
		return nil, fmt.Errorf("loading exports: %w", err)
	}
	s, err := r.sum(ctx, day)
	if err != nil {
		return nil, fmt.Errorf("summing up: %w", err)
	}
	var html bytes.Buffer
	if err := page.Execute(&html, s); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	for ext, file := range map[string]struct {
		kind string
		body []byte
	}{".html": {"text/html; charset=utf-8", html.Bytes()}, ".json": {"application/json", data}} {
		key := report.Reports + s.For + ext
		if err := retry.Do(ctx, r.log, "storing the report", func(ctx context.Context) error {
			return r.bucket.Put(ctx, key, file.kind, file.body)
		}); err != nil {
			return nil, err
		}
	}
	if _, err := r.warehouse.Exec(ctx, `INSERT INTO runs (report_for, days, started_at) VALUES ($1, $2, $3)`, day, loaded, started); err != nil {
		return nil, err
	}
	r.log.InfoContext(ctx, "report stored", "for", s.For, "days_loaded", loaded, "orders", s.Orders)
	return html.Bytes(), nil
}

// load copies the exports that a report looks at into the warehouse. They may have
// changed since they were last copied.
func (r *reporter) load(ctx context.Context, day time.Time) (int, error) {
	var found []objects.Object
	if err := retry.Do(ctx, r.log, "listing exports", func(ctx context.Context) (err error) {
		found, err = r.bucket.List(ctx, report.Exports)
		return err
	}); err != nil {
		return 0, err
	}
	first := day.AddDate(0, 0, 1-window).Format(time.DateOnly)
	n := 0
	for _, o := range found {
		date, ok := report.DateOf(strings.TrimPrefix(o.Key, report.Exports))
		if !ok || date < first {
			continue
		}
		body, err := r.bucket.Get(ctx, o.Key)
		if err != nil {
			return n, err
		}
		var e report.Export
		if err := json.Unmarshal(body, &e); err != nil || e.Date != date {
			// One broken file shall not cost the report of all other days.
			r.log.ErrorContext(ctx, "an export cannot be read and is left out", "key", o.Key)
			continue
		}
		if _, err := r.warehouse.Exec(ctx, `INSERT INTO days (date, orders, shipped, revenue, currency, notes, refunds, refunded)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (date) DO UPDATE SET orders = excluded.orders, shipped = excluded.shipped, revenue = excluded.revenue,
				currency = excluded.currency, notes = excluded.notes, refunds = excluded.refunds, refunded = excluded.refunded, loaded_at = now()`,
			date, e.Sales.Orders, e.Sales.Shipped, e.Sales.Revenue, e.Sales.Currency, e.Notes, e.Refunds, e.Refunded); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (r *reporter) sum(ctx context.Context, day time.Time) (summary, error) {
	s := summary{For: day.Format(time.DateOnly), Currency: "EUR", Last: []row{}}
	rows, err := r.warehouse.Query(ctx, `SELECT date, to_char(date, 'YYYY-MM-DD'), orders, shipped, revenue, currency, notes, refunds, refunded
		FROM days WHERE date <= $1 AND date > $2 ORDER BY date DESC`, day, day.AddDate(0, 0, -window))
	if err != nil {
		return s, err
	}
	if s.Last, err = pgx.CollectRows(rows, pgx.RowToStructByPos[row]); err != nil {
		return s, err
	}
	for i := range s.Last {
		d := &s.Last[i]
		if d.Day == s.For {
			s.Day = d
		}
		s.Currency = d.Currency
		s.Orders += d.Orders
		s.Revenue += d.Revenue
		s.Refunded += d.Refunded
	}
	return s, nil
}
