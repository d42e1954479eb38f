// Nightly-report loads what backoffice has exported into the warehouse, sums it up, and
// puts the report of a day into the bucket, where backoffice shows it. It runs once and
// ends. The day is the argument (2006-01-02), or yesterday; days are those of UTC.
//
// It knows of orders and refunds what the exports say, and nothing else: it may not reach
// the databases of other programs.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"example.com/acme/internal/app"
	"example.com/acme/internal/objects"
	"example.com/acme/internal/postgres"
	"example.com/acme/internal/telemetry"
)

//go:embed migrations/*.sql
var migrations embed.FS

// limit is shorter than the deadline of the schedule, so that the log says what hung.
const limit = 50 * time.Minute

func main() { os.Exit(app.Main("nightly-report", run)) }

func run(ctx context.Context, a *app.App) error {
	database := a.Env.URL("DATABASE_URL", "postgres", "postgresql")
	bucket := objects.FromEnv(a.Env, "REPORTS")
	post := mail{password: a.Env.String("SMTP_PASSWORD"), host: a.Env.Optional("SMTP_HOST", "")}
	if post.host != "" {
		post.port = a.Env.Optional("SMTP_PORT", "587")
		post.user, post.from, post.to = a.Env.String("SMTP_USERNAME"), a.Env.String("SMTP_FROM"), a.Env.String("SMTP_TO")
	}
	if err := a.Env.Err(); err != nil {
		return err
	}
	day := time.Now().UTC().AddDate(0, 0, -1).Truncate(24 * time.Hour)
	if len(a.Args) > 0 {
		var err error
		if day, err = time.Parse(time.DateOnly, a.Args[0]); err != nil || len(a.Args) > 1 {
			return errors.New("usage: nightly-report [2006-01-02]")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx, span := telemetry.Tracer().Start(ctx, "nightly report")
	defer span.End()

	pool, err := postgres.Open(ctx, database.String(), "nightly-report")
	if err != nil {
		return err
	}
	defer pool.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, a.Log, pool, files); err != nil {
		return fmt.Errorf("the warehouse cannot be brought up to date: %w", err)
	}
	r := &reporter{log: a.Log, warehouse: pool, bucket: bucket}
	html, err := r.run(ctx, day)
	if err != nil {
		return err
	}
	if post.host == "" {
		a.Log.InfoContext(ctx, "the report is not mailed: SMTP_HOST is not set")
		return nil
	}
	if err := post.send(net.JoinHostPort(post.host, post.port), "Report for "+day.Format(time.DateOnly), html); err != nil {
		return fmt.Errorf("the report is in the bucket, but could not be mailed: %w", err)
	}
	return nil
}
