// Catalog serves products and prices from Postgres. It brings its database up to date
// and fills it by itself.
package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"example.com/acme/internal/app"
	"example.com/acme/internal/httpx"
	"example.com/acme/internal/postgres"
	"example.com/acme/internal/shop"
)

//go:embed migrations/*.sql
var migrations embed.FS

func main() { os.Exit(app.Main("catalog", run)) }

func run(ctx context.Context, a *app.App) error {
	address := a.Address()
	database := a.Env.URL("DATABASE_URL", "postgres", "postgresql")
	if err := a.Env.Err(); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, database.String(), "catalog")
	if err != nil {
		return err
	}
	defer pool.Close()
	var migrated atomic.Bool
	a.Health.Require("database", func(ctx context.Context) error {
		if !migrated.Load() {
			return errors.New("the database is not up to date yet")
		}
		return pool.Ping(ctx)
	})
	s := &store{pool}
	mux := http.NewServeMux()
	routes(mux, a, s)
	return a.Serve(ctx, address, mux, func(ctx context.Context) error {
		files, err := fs.Sub(migrations, "migrations")
		if err != nil {
			return err
		}
		if err := postgres.Migrate(ctx, a.Log, pool, files); err != nil {
			return err
		}
		if err := s.seed(ctx, a.Log); err != nil {
			return err
		}
		migrated.Store(true)
		return nil
	})
}

// maxSearch bounds a search, in characters.
const maxSearch = 60

// products is what the handlers need of a store.
type products interface {
	list(ctx context.Context) ([]shop.Product, error)
	search(ctx context.Context, text string) ([]shop.Product, error)
	get(ctx context.Context, id string) (shop.Product, error)
}

func routes(mux *http.ServeMux, a *app.App, p products) {
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		if errors.Is(err, errNoProduct) {
			httpx.Fail(w, http.StatusNotFound, err.Error())
			return
		}
		a.Log.ErrorContext(r.Context(), "request failed", "error", err.Error())
		httpx.Fail(w, http.StatusServiceUnavailable, "the catalog cannot be read at the moment")
	}
	mux.HandleFunc("GET /products", func(w http.ResponseWriter, r *http.Request) {
		text := strings.TrimSpace(r.URL.Query().Get("q"))
		if utf8.RuneCountInString(text) > maxSearch || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			httpx.Fail(w, http.StatusBadRequest, "a search has at most 60 characters")
			return
		}
		var found []shop.Product
		var err error
		if text == "" {
			found, err = p.list(r.Context())
		} else {
			found, err = p.search(r.Context(), text)
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		httpx.JSON(w, http.StatusOK, map[string][]shop.Product{"products": found})
	})
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !shop.ValidProductID(id) {
			fail(w, r, errNoProduct)
			return
		}
		found, err := p.get(r.Context(), id)
		if err != nil {
			fail(w, r, err)
			return
		}
		httpx.JSON(w, http.StatusOK, found)
	})
}
