package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"example.com/acme/internal/app"
	"example.com/acme/internal/health"
	"example.com/acme/internal/httpx"
	"example.com/acme/internal/postgres"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/testenv"
)

var quiet = slog.New(slog.DiscardHandler)

func serve(t *testing.T, p products) shop.Catalog {
	t.Helper()
	mux := http.NewServeMux()
	routes(mux, &app.App{Log: quiet, Health: health.New(quiet)}, p)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return shop.NewCatalog(u)
}

func TestCatalogInPostgres(t *testing.T) {
	url := testenv.StartPostgres(t, testenv.NewCA(t)).Database(t, "catalog")
	pool, err := postgres.Open(t.Context(), url, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	s := &store{pool}
	// Several replicas start at the same time.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := errors.Join(postgres.Migrate(t.Context(), quiet, pool, files), s.seed(t.Context(), quiet)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()

	c := serve(t, s)
	all, err := c.Products(t.Context(), "")
	if err != nil || len(all) != 12 || all[0].ID != "desk-lamp" {
		t.Fatalf("%d products, error %v", len(all), err)
	}
	one, err := c.Product(t.Context(), "oak-stool")
	if err != nil || one.Price != 11900 || one.Currency != "EUR" {
		t.Errorf("product %+v, error %v", one, err)
	}

	// What was changed since is not undone by another start.
	if _, err := pool.Exec(t.Context(), `UPDATE products SET price = 9900 WHERE id = 'oak-stool'`); err != nil {
		t.Fatal(err)
	}
	if err := s.seed(t.Context(), quiet); err != nil {
		t.Fatal(err)
	}
	if one, err = c.Product(t.Context(), "oak-stool"); err != nil || one.Price != 9900 {
		t.Errorf("product %+v, error %v", one, err)
	}

	find := func(text, want string) {
		t.Helper()
		found, err := c.Products(t.Context(), text)
		var ids []string
		for _, p := range found {
			ids = append(ids, p.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != want {
			t.Errorf("%q finds %q, not %q; error %v", text, got, want, err)
		}
	}
	find("latern", "") // without pg_trgm, only what is spelt right
	find("LANTERN", "storm-lantern")
	find("%", "")
	if _, err := pool.Exec(t.Context(), `CREATE EXTENSION pg_trgm`); err != nil {
		t.Fatal(err)
	}
	find("latern", "storm-lantern")
	find("honey", "beeswax-candle")
	find(`\`, "")
}

type broken struct{}

func (broken) list(context.Context) ([]shop.Product, error) {
	return nil, errors.New("no route to 10.0.0.9")
}
func (broken) search(context.Context, string) ([]shop.Product, error) {
	return nil, errors.New("no route to 10.0.0.9")
}
func (broken) get(context.Context, string) (shop.Product, error) { return shop.Product{}, errNoProduct }

func TestFailures(t *testing.T) {
	c := serve(t, broken{})
	_, err := c.Products(t.Context(), "")
	if !httpx.IsCode(err, http.StatusServiceUnavailable) || strings.Contains(err.Error(), "10.0.0.9") {
		t.Errorf("error %v", err)
	}
	if _, err := c.Products(t.Context(), strings.Repeat("x", 61)); !httpx.IsCode(err, http.StatusBadRequest) {
		t.Errorf("error %v", err)
	}
	for _, id := range []string{"no-such", "..", "Desk Lamp"} {
		if _, err := c.Product(t.Context(), id); !httpx.IsCode(err, http.StatusNotFound) {
			t.Errorf("%s: error %v", id, err)
		}
	}
}
