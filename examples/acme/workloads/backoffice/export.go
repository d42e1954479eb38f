package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"example.com/acme/internal/report"
	"example.com/acme/internal/shop"
)

// exportEvery is how often the day's export is brought up to date.
const exportEvery = 5 * time.Minute

type counter interface {
	day(ctx context.Context, date time.Time) (notes, refunds int, amount int64, err error)
}

type seller interface {
	Day(ctx context.Context, date string) (shop.Day, error)
}

type bucketWriter interface {
	Put(ctx context.Context, key, contentType string, body []byte) error
}

// exporter writes what is known of a day into the bucket, for the nightly report.
type exporter struct {
	log    *slog.Logger
	store  counter
	sales  seller
	bucket bucketWriter
	// dir has a copy of each export, which support staff can look at with the pod's tools.
	dir string
	// written has the digest of what is in the bucket: every version of an object is kept
	// for long, so nothing is written that is there already.
	written map[string][32]byte
}

// run exports until the context ends.
func (e *exporter) run(ctx context.Context) error {
	for {
		now := time.Now().UTC()
		// Yesterday's orders may have been shipped since.
		for _, day := range []time.Time{now.AddDate(0, 0, -1), now} {
			if err := e.export(ctx, day); err != nil && ctx.Err() == nil {
				e.log.WarnContext(ctx, "the export is left to the next time", "day", day.Format(time.DateOnly), "error", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(exportEvery):
		}
	}
}

func (e *exporter) export(ctx context.Context, day time.Time) error {
	day = day.Truncate(24 * time.Hour)
	x := report.Export{Date: day.Format(time.DateOnly)}
	var err error
	if x.Sales, err = e.sales.Day(ctx, x.Date); err != nil {
		return err
	}
	if x.Notes, x.Refunds, x.Refunded, err = e.store.day(ctx, day); err != nil {
		return err
	}
	data, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if e.written[x.Date] == sum {
		return nil
	}
	if err := os.WriteFile(filepath.Join(e.dir, x.Date+".json"), data, 0o600); err != nil {
		return err
	}
	if err := e.bucket.Put(ctx, report.ExportKey(x.Date), "application/json", data); err != nil {
		return err
	}
	e.written[x.Date] = sum
	e.log.InfoContext(ctx, "exported", "day", x.Date, "orders", x.Sales.Orders)
	return nil
}
