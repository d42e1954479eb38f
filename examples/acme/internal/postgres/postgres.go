// Package postgres opens databases and brings their schemas up to date.
package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/acme/internal/retry"
)

// Open prepares connections to a database. It does not connect yet, and the pool
// connects again whenever the server comes back.
func Open(ctx context.Context, url, program string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The error of the parser may show the password.
		return nil, errors.New("DATABASE_URL is not a URL of a Postgres database")
	}
	// Small: every replica of every program has a pool, and a server of the smallest size
	// has a hundred connections.
	cfg.MaxConns, cfg.MinConns = 8, 0
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.HealthCheckPeriod = 15 * time.Second
	cfg.ConnConfig.ConnectTimeout = 3 * time.Second
	cfg.ConnConfig.RuntimeParams["application_name"] = program
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "15000"
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "30000"
	cfg.ConnConfig.Tracer = tracer{}
	verify(cfg.ConnConfig, os.Getenv)
	return pgxpool.NewWithConfig(ctx, cfg)
}

// verify makes sslmode=require check the server's certificate where the platform says
// whom to trust besides the well-known authorities (SSL_CERT_DIR). A cloud whose databases
// have certificates of an authority of its own does not say so, and there the connection
// is encrypted alone, as sslmode=require promises.
func verify(cfg *pgx.ConnConfig, getenv func(string) string) {
	if cfg.TLSConfig == nil || getenv("SSL_CERT_DIR") == "" {
		return
	}
	cfg.TLSConfig = &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}
}

// Migrate runs the files of a folder that the database has not seen, in the order of
// their names (0001_orders.sql), each in a transaction. Only one program at a time does
// that to a database; others wait. It tries until the database answers.
func Migrate(ctx context.Context, log *slog.Logger, pool *pgxpool.Pool, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	return retry.Do(ctx, log, "migration", func(ctx context.Context) error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		// The lock goes with the connection, should the program be killed.
		const lock = `hashtext('migrations of ' || current_database())`
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(`+lock+`)`); err != nil {
			return err
		}
		defer func() {
			_, _ = conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(`+lock+`)`)
		}()
		return migrate(ctx, log, conn.Conn(), files, names)
	})
}

func migrate(ctx context.Context, log *slog.Logger, conn *pgx.Conn, files fs.FS, names []string) error {
	_, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`)
	if err != nil {
		return err
	}
	var have int
	if err := conn.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM schema_migrations`).Scan(&have); err != nil {
		return err
	}
	for _, name := range names {
		digits, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(digits)
		if err != nil {
			return retry.Permanent(fmt.Errorf("%s: a migration's name starts with its number", name))
		}
		if version <= have {
			continue
		}
		sql, err := fs.ReadFile(files, name)
		if err != nil {
			return retry.Permanent(err)
		}
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, string(sql)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO schema_migrations (version, name) VALUES ($1, $2)`, version, path.Base(name))
			return err
		})
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			if wrong(err) {
				return retry.Permanent(err)
			}
			return err
		}
		log.InfoContext(ctx, "migrated", "migration", path.Base(name))
	}
	return nil
}

// wrong says whether the server refused the text of a migration, which it would do again.
func wrong(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code[:2] {
	case "08", "40", "53", "55", "57", "58": // connection, conflict, resources, in use, shutdown, system
		return false
	}
	return true
}
