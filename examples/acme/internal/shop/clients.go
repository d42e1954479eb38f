package shop

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"example.com/acme/internal/httpx"
)

// callTimeout bounds a call to another program: a page that comes late is worth little.
const callTimeout = 5 * time.Second

// Catalog is the client of the catalog.
type Catalog struct{ api }

// Checkout is the client of checkout.
type Checkout struct{ api }

// Recommender is the client of the recommender.
type Recommender struct{ api }

type api struct {
	base string
	http *http.Client
}

func newAPI(u *url.URL, timeout time.Duration) api {
	return api{strings.TrimSuffix(u.String(), "/"), httpx.NewClient(timeout)}
}

// NewCatalog returns a client of the catalog at a URL.
func NewCatalog(u *url.URL) Catalog { return Catalog{newAPI(u, callTimeout)} }

// NewCheckout returns a client of checkout at a URL.
func NewCheckout(u *url.URL) Checkout { return Checkout{newAPI(u, callTimeout)} }

// NewRecommender returns a client of the recommender at a URL. It waits less than
// others: a page goes without recommendations rather than being late.
func NewRecommender(u *url.URL) Recommender { return Recommender{newAPI(u, time.Second)} }

func (a api) call(ctx context.Context, method, path string, header map[string]string, in, out any) error {
	return httpx.Call(ctx, a.http, method, a.base+path, header, in, out)
}

// Ping says whether the program answers.
func (a api) Ping(ctx context.Context) error {
	return a.call(ctx, http.MethodGet, "/healthz", nil, nil, nil)
}

// Products returns all products, or those that match a search.
func (c Catalog) Products(ctx context.Context, search string) ([]Product, error) {
	var out struct {
		Products []Product `json:"products"`
	}
	path := "/products"
	if search != "" {
		path += "?" + url.Values{"q": {search}}.Encode()
	}
	err := c.call(ctx, http.MethodGet, path, nil, nil, &out)
	return out.Products, err
}

// Product returns one product. An unknown one is an httpx.Error with status 404.
func (c Catalog) Product(ctx context.Context, id string) (Product, error) {
	var out Product
	err := c.call(ctx, http.MethodGet, "/products/"+url.PathEscape(id), nil, nil, &out)
	return out, err
}

// Place places an order. The same key places it once, however often it is sent.
func (c Checkout) Place(ctx context.Context, key string, lines []Line) (Order, error) {
	var out Order
	err := c.call(ctx, http.MethodPost, "/orders", map[string]string{"Idempotency-Key": key}, map[string]any{"lines": lines}, &out)
	return out, err
}

// Order returns an order. An unknown one is an httpx.Error with status 404.
func (c Checkout) Order(ctx context.Context, id string) (Order, error) {
	var out Order
	err := c.call(ctx, http.MethodGet, "/orders/"+url.PathEscape(id), nil, nil, &out)
	return out, err
}

// Day returns the sum of a day's orders; the date has the form 2006-01-02.
func (c Checkout) Day(ctx context.Context, date string) (Day, error) {
	var out Day
	err := c.call(ctx, http.MethodGet, "/days/"+url.PathEscape(date), nil, nil, &out)
	return out, err
}

// For returns ids of products that go with the given one, best first; with the empty id,
// those that most people like.
func (c Recommender) For(ctx context.Context, product string, limit int) ([]string, error) {
	var out struct {
		Products []string `json:"products"`
	}
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if product != "" {
		q.Set("product", product)
	}
	err := c.call(ctx, http.MethodGet, "/recommendations?"+q.Encode(), nil, nil, &out)
	return out.Products, err
}
