// Storefront is the shop that customers see. It needs the catalog and checkout to be of
// use, copes without its cache and the recommender, and stays up whatever is down, since a
// page that says so is better than none.
package main

import (
	"context"
	"net/http"
	"os"

	"example.com/acme/internal/app"
	"example.com/acme/internal/shop"
)

func main() { os.Exit(app.Main("storefront", run)) }

func run(ctx context.Context, a *app.App) error {
	address := a.Address()
	public := a.Env.URL("PUBLIC_URL", "https", "http")
	catalogURL := a.Env.URL("CATALOG_URL", "http", "https")
	checkoutURL := a.Env.URL("CHECKOUT_URL", "http", "https")
	recommenderURL := a.Env.URL("RECOMMENDER_URL", "http", "https")
	cacheAddr, cacheUser, cachePassword := a.Env.String("CACHE_ADDR"), a.Env.String("CACHE_USERNAME"), a.Env.String("CACHE_PASSWORD")
	settingsFile := a.Env.Optional("CONFIG_FILE", "/etc/storefront/config.json")
	if err := a.Env.Err(); err != nil {
		return err
	}
	settings, err := readSettings(settingsFile)
	if err != nil {
		return err
	}
	store := newCache(a.Log, cacheAddr, cacheUser, cachePassword, cacheTimeout)
	defer store.close()
	catalog, checkout, recommender := shop.NewCatalog(catalogURL), shop.NewCheckout(checkoutURL), shop.NewRecommender(recommenderURL)
	a.Health.Report("cache", store.check)
	a.Health.Report("catalog", catalog.Ping)
	a.Health.Report("checkout", checkout.Ping)
	a.Health.Report("recommender", recommender.Ping)

	site, err := newSite(a.Log, settings, public, &cachedCatalog{log: a.Log, catalog: catalog, cache: store}, checkout, recommender)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	site.register(mux)
	return a.Serve(ctx, address, mux)
}
