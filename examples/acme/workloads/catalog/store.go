package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/acme/internal/retry"
	"example.com/acme/internal/shop"
)

// assortment is what the shop sells when its database is new.
//
//go:embed assortment.json
var assortment []byte

var errNoProduct = errors.New("there is no such product")

type store struct{ pool *pgxpool.Pool }

const columns = `id, name, description, category, price, currency`

// seed adds products that the database does not have. Those that it has may have been
// changed since, and stay as they are.
func (s *store) seed(ctx context.Context, log *slog.Logger) error {
	var all []shop.Product
	if err := json.Unmarshal(assortment, &all); err != nil {
		return err
	}
	return retry.Do(ctx, log, "filling the catalog", func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			batch := &pgx.Batch{}
			for i, p := range all {
				batch.Queue(`INSERT INTO products (id, name, description, category, price, currency, position)
					VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`,
					p.ID, p.Name, p.Description, p.Category, p.Price, p.Currency, i)
			}
			return tx.SendBatch(ctx, batch).Close()
		})
	})
}

func (s *store) list(ctx context.Context) ([]shop.Product, error) {
	return s.query(ctx, `SELECT `+columns+` FROM products ORDER BY position, id`)
}

func (s *store) get(ctx context.Context, id string) (shop.Product, error) {
	found, err := s.query(ctx, `SELECT `+columns+` FROM products WHERE id = $1`, id)
	if err != nil {
		return shop.Product{}, err
	}
	if len(found) == 0 {
		return shop.Product{}, errNoProduct
	}
	return found[0], nil
}

// search finds products that contain the text. Where the database has pg_trgm, it also
// finds those that nearly do, so that "latern" finds the lantern.
func (s *store) search(ctx context.Context, text string) ([]shop.Product, error) {
	var similar bool
	if err := s.pool.QueryRow(ctx, `SELECT exists(SELECT FROM pg_extension WHERE extname = 'pg_trgm')`).Scan(&similar); err != nil {
		return nil, err
	}
	contains := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
	if !similar {
		return s.query(ctx, `SELECT `+columns+` FROM products
			WHERE name ILIKE $1 OR description ILIKE $1 OR category ILIKE $1 ORDER BY name ILIKE $1 DESC, position`, contains)
	}
	return s.query(ctx, `SELECT `+columns+` FROM products
		WHERE name ILIKE $1 OR description ILIKE $1 OR category ILIKE $1 OR word_similarity($2, name) > 0.4
		ORDER BY name ILIKE $1 DESC, word_similarity($2, name) DESC, position`, contains, text)
}

func (s *store) query(ctx context.Context, sql string, args ...any) ([]shop.Product, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[shop.Product])
}
