// Checkout takes orders and payments. An order that it has accepted is in Postgres; a
// paid one goes to the queue of fulfilment through an outbox in the same database, and so
// survives the loss of any program, connection or broker. Fulfilment answers through a
// queue too.
//
// "checkout migrate" brings the database up to date, "checkout serve" does the rest.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"

	"example.com/acme/internal/app"
	"example.com/acme/internal/broker"
	"example.com/acme/internal/postgres"
	"example.com/acme/internal/shop"
)

//go:embed migrations/*.sql
var migrations embed.FS

func main() { os.Exit(app.Main("checkout", run)) }

func run(ctx context.Context, a *app.App) error {
	if len(a.Args) != 1 {
		return errors.New("usage: checkout migrate | checkout serve")
	}
	switch a.Args[0] {
	case "migrate":
		return migrate(ctx, a)
	case "serve":
		return serve(ctx, a)
	}
	return fmt.Errorf("there is no command %q: usage: checkout migrate | checkout serve", a.Args[0])
}

func migrate(ctx context.Context, a *app.App) error {
	database := a.Env.URL("DATABASE_URL", "postgres", "postgresql")
	if err := a.Env.Err(); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, database.String(), "checkout")
	if err != nil {
		return err
	}
	defer pool.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return postgres.Migrate(ctx, a.Log, pool, files)
}

func serve(ctx context.Context, a *app.App) error {
	address := a.Address()
	database := a.Env.URL("DATABASE_URL", "postgres", "postgresql")
	queueURL := a.Env.URL("ORDERS_URL", "amqps", "amqp")
	queue := a.Env.String("ORDERS_QUEUE")
	catalogURL := a.Env.URL("CATALOG_URL", "http", "https")
	token := []byte(a.Env.Key("PAYMENT_TOKEN"))
	webhook := a.Env.String("WEBHOOK_URL")
	// The sandbox pays every order. It is for environments without a payment provider, and
	// has to be asked for.
	provider := a.Env.OneOf("PAYMENT_PROVIDER", "webhook", "sandbox")
	if err := a.Env.Err(); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, database.String(), "checkout")
	if err != nil {
		return err
	}
	defer pool.Close()

	s := &store{pool: pool, wake: make(chan struct{}, 1)}
	link := broker.NewLink(queueURL, "checkout", a.Log)
	// Orders are taken while the broker is away: they wait in the outbox.
	a.Health.Require("database", s.check)
	a.Health.Report("broker", link.Check)

	mux := http.NewServeMux()
	routes(mux, a.Log, s, shop.NewCatalog(catalogURL))
	mux.Handle("POST /webhooks/payment", paymentHandler(a.Log, token, s))
	a.Log.Info("payments", "provider", provider, "reported_to", webhook)

	w := &worker{log: a.Log, store: s, queue: queue}
	tasks := []func(context.Context) error{func(ctx context.Context) error { return link.Run(ctx, w.session) }}
	if provider == "sandbox" {
		box := newSandbox(a.Log, s, token, address)
		tasks = append(tasks, box.run)
	}
	return a.Serve(ctx, address, mux, tasks...)
}
