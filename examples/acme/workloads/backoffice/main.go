// Backoffice is where support staff look up orders, note what customers say and enter
// refunds. What they enter is in MySQL; orders are checkout's to know. It exports both,
// day by day, for the nightly report, and shows the reports.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync/atomic"

	"example.com/acme/internal/app"
	"example.com/acme/internal/objects"
	"example.com/acme/internal/retry"
	"example.com/acme/internal/shop"
)

func main() { os.Exit(app.Main("backoffice", run)) }

func run(ctx context.Context, a *app.App) error {
	address := a.Address()
	public := a.Env.URL("PUBLIC_URL", "https", "http")
	help := a.Env.String("HELP_HOST")
	checkoutURL := a.Env.URL("CHECKOUT_URL", "http", "https")
	db := database{
		host: a.Env.String("DATABASE_HOST"), port: a.Env.String("DATABASE_PORT"), name: a.Env.String("DATABASE_NAME"),
		user: a.Env.String("DATABASE_USER"), password: a.Env.String("DATABASE_PASSWORD"),
	}
	key := a.Env.Key("SESSION_KEY")
	bucket := objects.FromEnv(a.Env, "REPORTS")
	dir := a.Env.Optional("EXPORT_DIR", "/var/lib/backoffice")
	if err := a.Env.Err(); err != nil {
		return err
	}
	store, err := openStore(db)
	if err != nil {
		return err
	}
	defer store.close()
	checkout := shop.NewCheckout(checkoutURL)
	var migrated atomic.Bool
	a.Health.Require("database", func(ctx context.Context) error {
		if !migrated.Load() {
			return errors.New("the database is not up to date yet")
		}
		return store.db.PingContext(ctx)
	})
	a.Health.Report("checkout", checkout.Ping)
	a.Health.Report("reports", bucket.Check)

	s, err := newSite(a.Log, public, help, sessions{key: []byte(key)}, store, checkout, bucket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	s.register(mux)
	e := &exporter{log: a.Log, store: store, sales: checkout, bucket: bucket, dir: dir, written: map[string][32]byte{}}
	return a.Serve(ctx, address, mux, func(ctx context.Context) error {
		if err := retry.Do(ctx, a.Log, "bringing the database up to date", store.migrate); err != nil {
			return err
		}
		migrated.Store(true)
		return e.run(ctx)
	})
}
