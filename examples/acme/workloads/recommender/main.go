// Recommender says which products go together. At its start it puts its model into
// MODEL_DIR, as larger models are fetched, and serves what the file says.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"example.com/acme/internal/app"
	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
)

func main() { os.Exit(app.Main("recommender", run)) }

func run(ctx context.Context, a *app.App) error {
	address := a.Address()
	dir := a.Env.String("MODEL_DIR")
	if err := a.Env.Err(); err != nil {
		return err
	}
	var loaded atomic.Pointer[model]
	a.Health.Require("model", func(context.Context) error {
		if loaded.Load() == nil {
			return errors.New("the model is not loaded yet")
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("GET /recommendations", handler(&loaded))
	return a.Serve(ctx, address, mux, func(ctx context.Context) error {
		file, err := fetch(dir)
		if err != nil {
			return fmt.Errorf("the model cannot be put into MODEL_DIR: %w", err)
		}
		m, err := load(file)
		if err != nil {
			return err
		}
		loaded.Store(m)
		a.Log.InfoContext(ctx, "model loaded", "file", file, "products", len(m.Related))
		return nil
	})
}

// handler answers with ids of products: ?product=... for those that go with it, none for
// those that most people like.
func handler(loaded *atomic.Pointer[model]) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := loaded.Load()
		if m == nil {
			httpx.Fail(w, http.StatusServiceUnavailable, "the model is not loaded yet")
			return
		}
		q := r.URL.Query()
		limit := 4
		if q.Has("limit") {
			n, err := strconv.Atoi(q.Get("limit"))
			if err != nil || n < 1 || n > 20 {
				httpx.Fail(w, http.StatusBadRequest, "limit must be a number from 1 to 20")
				return
			}
			limit = n
		}
		product := q.Get("product")
		if product != "" && !shop.ValidProductID(product) {
			httpx.Fail(w, http.StatusBadRequest, "product must be the id of a product")
			return
		}
		httpx.JSON(w, http.StatusOK, map[string][]string{"products": m.recommend(product, limit)})
	})
}
