package main

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
)

var errTooMuch = errors.New("more than the order's total would be refunded")

// database says where MySQL is.
type database struct{ host, port, name, user, password string }

// entry is what somebody has entered on an order: a note, or a refund with its amount.
type entry struct {
	Order    string
	Author   string
	Amount   int64
	Currency string
	Text     string
	At       time.Time
}

// store keeps entries in MySQL.
type store struct{ db *sql.DB }

func openStore(d database) (*store, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(d.host, d.port)
	cfg.DBName, cfg.User, cfg.Passwd = d.name, d.user, d.password
	cfg.ParseTime, cfg.Loc = true, time.UTC
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = 3*time.Second, 15*time.Second, 15*time.Second
	// As with Postgres: the server is checked where the platform says whom to trust. Its
	// certificate is of an authority of the cloud's own elsewhere.
	trusted := os.Getenv("SSL_CERT_DIR") != ""
	cfg.TLS = &tls.Config{ServerName: d.host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: !trusted}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(6)
	db.SetMaxIdleConns(2)
	db.SetConnMaxLifetime(5 * time.Minute)
	return &store{db}, nil
}

func (s *store) close() { _ = s.db.Close() }

// migrate makes the tables. Several replicas may do that at the same time.
func (s *store) migrate(ctx context.Context) error {
	for _, table := range []string{
		`CREATE TABLE IF NOT EXISTS entries (
			id          bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
			order_id    varchar(16) CHARACTER SET ascii NOT NULL,
			request_key varchar(64) CHARACTER SET ascii NOT NULL,
			author      varchar(60) NOT NULL,
			amount      bigint NOT NULL DEFAULT 0,
			currency    varchar(3) NOT NULL DEFAULT '',
			text        varchar(1000) NOT NULL,
			created_at  datetime(6) NOT NULL,
			UNIQUE KEY entries_once (request_key),
			KEY entries_by_order (order_id),
			KEY entries_by_day (created_at)
		) CHARACTER SET utf8mb4`,
		// One row an order, to be locked while a refund is entered.
		`CREATE TABLE IF NOT EXISTS refunded (
			order_id varchar(16) CHARACTER SET ascii NOT NULL PRIMARY KEY,
			amount   bigint NOT NULL
		)`,
	} {
		if _, err := s.db.ExecContext(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// add enters a note, or a refund if there is an amount. All refunds of an order together
// are at most its total. The same key enters it once.
func (s *store) add(ctx context.Context, key string, e entry, total int64) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit, it does nothing
	if e.Amount > 0 {
		if _, err := tx.ExecContext(ctx, `INSERT INTO refunded (order_id, amount) VALUES (?, 0) ON DUPLICATE KEY UPDATE amount = amount`, e.Order); err != nil {
			return err
		}
	}
	// Under the lock of the order, if there is one, a repetition sees what came first.
	var had int64
	if e.Amount > 0 {
		if err := tx.QueryRowContext(ctx, `SELECT amount FROM refunded WHERE order_id = ? FOR UPDATE`, e.Order).Scan(&had); err != nil {
			return err
		}
	}
	result, err := tx.ExecContext(ctx, `INSERT IGNORE INTO entries (order_id, request_key, author, amount, currency, text, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, e.Order, key, e.Author, e.Amount, e.Currency, e.Text, e.At.UTC())
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if e.Amount > 0 {
		if had+e.Amount > total {
			return errTooMuch
		}
		if _, err := tx.ExecContext(ctx, `UPDATE refunded SET amount = ? WHERE order_id = ?`, had+e.Amount, e.Order); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// of returns the entries of an order, latest first; those of all orders for the empty id.
func (s *store) of(ctx context.Context, order string, limit int) ([]entry, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT order_id, author, amount, currency, text, created_at FROM entries
		WHERE ? = '' OR order_id = ? ORDER BY id DESC LIMIT ?`, order, order, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []entry
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.Order, &e.Author, &e.Amount, &e.Currency, &e.Text, &e.At); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// day counts what was entered on a day (UTC).
func (s *store) day(ctx context.Context, date time.Time) (notes, refunds int, amount int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT count(CASE WHEN amount = 0 THEN 1 END), count(CASE WHEN amount > 0 THEN 1 END),
		coalesce(sum(amount), 0) FROM entries WHERE created_at >= ? AND created_at < ?`, date.UTC(), date.UTC().AddDate(0, 0, 1)).
		Scan(&notes, &refunds, &amount)
	if err != nil {
		err = fmt.Errorf("counting entries: %w", err)
	}
	return notes, refunds, amount, err
}
