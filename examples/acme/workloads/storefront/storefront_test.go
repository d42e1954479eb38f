package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/testenv"
)

var quiet = slog.New(slog.DiscardHandler)

const orderID = "ABCDEFGHIJKLMNOP"

// fixture is the shop with stand-ins of what it calls, each of which a test can take away.
type fixture struct {
	catalogDown, checkoutDown, recommenderDown atomic.Bool
	catalogCalls                               atomic.Int32
	status                                     atomic.Value // of the order
	placed                                     chan []string
	redis                                      *miniredis.Miniredis
	site                                       *site
	cache                                      *cachedCatalog
	url                                        string
	http                                       *http.Client
}

func standIn(t *testing.T, down *atomic.Bool, h http.HandlerFunc) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			httpx.Fail(w, http.StatusServiceUnavailable, "down")
			return
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{placed: make(chan []string, 10)}
	f.status.Store(shop.Placed)
	f.redis = testenv.StartRedis(t, testenv.NewCA(t))
	products := []shop.Product{
		{ID: "mug", Name: `Mug <script>`, Description: "Holds tea", Category: "Kitchen", Price: 1450, Currency: "EUR"},
		{ID: "oak-stool", Name: "Oak stool", Description: "Three legs", Category: "Home", Price: 11905, Currency: "EUR"},
	}
	catalog := standIn(t, &f.catalogDown, func(w http.ResponseWriter, r *http.Request) {
		f.catalogCalls.Add(1)
		out := products
		if r.URL.Query().Get("q") != "" {
			out = products[1:]
		}
		httpx.JSON(w, 200, map[string]any{"products": out})
	})
	checkout := standIn(t, &f.checkoutDown, func(w http.ResponseWriter, r *http.Request) {
		at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
		o := shop.Order{ID: orderID, Status: f.status.Load().(shop.Status), Lines: []shop.Line{{Product: "mug", Name: "Mug", Quantity: 2, Price: 1450}},
			Total: 2900, Currency: "EUR", PlacedAt: at, PaidAt: &at, ShippedAt: &at, Tracking: "AC-1"}
		switch {
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			f.placed <- []string{r.Header.Get("Idempotency-Key"), string(body)}
			httpx.JSON(w, 201, o)
		case r.URL.Path == "/orders/"+orderID:
			httpx.JSON(w, 200, o)
		default:
			httpx.Fail(w, 404, "none")
		}
	})
	recommender := standIn(t, &f.recommenderDown, func(w http.ResponseWriter, _ *http.Request) {
		httpx.JSON(w, 200, map[string]any{"products": []string{"oak-stool", "gone"}})
	})
	store := newCache(quiet, "localhost:"+f.redis.Port(), "cache", "secret")
	t.Cleanup(store.close)
	f.cache = &cachedCatalog{quiet, shop.NewCatalog(catalog), store}
	var err error
	f.site, err = newSite(quiet, settings{"storefront", "EUR", "${amount} EUR"}, &url.URL{Scheme: "https", Host: "shop.test"},
		f.cache, shop.NewCheckout(checkout), shop.NewRecommender(recommender))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	f.site.register(mux)
	front := httptest.NewTLSServer(httpx.Wrap(quiet, mux))
	t.Cleanup(front.Close)
	f.url, f.http = front.URL, front.Client()
	if f.http.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	resp, err := f.http.Get(f.url + path)
	return read(t, resp, err)
}

func (f *fixture) post(t *testing.T, form url.Values, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/orders", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := f.http.Do(req)
	return read(t, resp, err)
}

func read(t *testing.T, resp *http.Response, err error) (*http.Response, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func expect(t *testing.T, what string, resp *http.Response, body string, code int, parts ...string) {
	t.Helper()
	if resp.StatusCode != code {
		t.Errorf("%s: %s", what, resp.Status)
	}
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("%s: %q is not in\n%s", what, part, body)
		}
	}
}

var formKey = regexp.MustCompile(`name="key" value="([A-Z2-7]{26})"`)

func TestPages(t *testing.T) {
	f := newFixture(t)
	resp, body := f.get(t, "/")
	expect(t, "home", resp, body, 200, "Mug &lt;script&gt;", "14.50 EUR", "119.05 EUR", "Loved by others", `<label class="hidden" for="n-mug">`)
	if strings.Contains(body, "<script>") {
		t.Error("a product's name is markup")
	}
	csp := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("headers %v", resp.Header)
	}
	resp, body = f.get(t, "/?q=stool")
	expect(t, "search", resp, body, 200, "1 product for")
	resp, body = f.get(t, "/?q="+strings.Repeat("x", 61))
	expect(t, "long search", resp, body, 200, "at most 60 characters")
	resp, body = f.get(t, "/products/mug")
	expect(t, "product", resp, body, 200, "Goes well with it", "Order now")
	for _, path := range []string{"/products/none", "/orders/AAAAAAAAAAAAAAAA", "/orders/x", "/none", "/assets/none"} {
		resp, body = f.get(t, path)
		expect(t, path, resp, body, 404, "Nothing here")
	}

	// Everything that the page names is there, and may be kept.
	found := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(found) == 0 {
		t.Errorf("the page names no assets:\n%s", body)
	}
	for _, m := range found {
		resp, _ := f.get(t, m[1])
		if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s %v", m[1], resp.Status, resp.Header)
		}
	}
}

func TestOrdering(t *testing.T) {
	f := newFixture(t)
	_, body := f.get(t, "/products/mug")
	key := formKey.FindStringSubmatch(body)
	if key == nil {
		t.Fatal("the form has no key")
	}
	form := func(quantity string) url.Values {
		return url.Values{"product": {"mug"}, "quantity": {quantity}, "key": {key[1]}}
	}
	for _, bad := range []string{"", "0", "-1", "21", "1.5", "many", "99999999999999999999"} {
		resp, body := f.post(t, form(bad), nil)
		expect(t, "quantity "+bad, resp, body, 422, "Please enter a quantity from 1 to 20.", `aria-describedby="problem"`)
	}
	// Another site makes the browser order.
	resp, body := f.post(t, form("2"), map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"})
	expect(t, "another site", resp, body, 403, "This came from another site")
	if len(f.placed) != 0 {
		t.Error("something was ordered")
	}

	resp, body = f.post(t, form("2"), map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "https://shop.test"})
	expect(t, "ordering", resp, body, 200, "Thank you", "ABCD-EFGH-IJKL-MNOP", "29.00 EUR", `<noscript><meta http-equiv="refresh"`)
	if got := <-f.placed; got[0] != key[1] || got[1] != `{"lines":[{"product":"mug","quantity":2}]}` {
		t.Errorf("placed %v", got)
	}
	if resp.Request.URL.Path != "/orders/"+orderID {
		t.Errorf("ordering ends at %s", resp.Request.URL)
	}
	for status, says := range map[shop.Status]string{shop.Placed: "wait for the payment", shop.Paid: "being packed", shop.Shipped: "on its way"} {
		f.status.Store(status)
		resp, body := f.get(t, "/orders/"+orderID+"/status")
		expect(t, string(status), resp, body, 200, says)
		if strings.Contains(body, "data-final") != (status == shop.Shipped) || strings.Contains(body, "<html") {
			t.Errorf("%s:\n%s", status, body)
		}
	}
	resp, body = f.get(t, "/orders")
	expect(t, "orders", resp, body, 200, "/orders/"+orderID, "2 × Mug")
	u, err := url.Parse(f.url)
	if err != nil {
		t.Fatal(err)
	}
	if c := f.http.Jar.Cookies(u); len(c) != 1 || c[0].Value != orderID {
		t.Errorf("cookies %v", c)
	}
}

func TestWhatIsDown(t *testing.T) {
	f := newFixture(t)
	f.get(t, "/")
	before := f.catalogCalls.Load()
	f.get(t, "/")
	if f.catalogCalls.Load() != before {
		t.Error("the list did not come from the cache")
	}

	f.recommenderDown.Store(true)
	resp, body := f.get(t, "/")
	expect(t, "no recommender", resp, body, 200, "Oak stool")
	if strings.Contains(body, "Loved by others") {
		t.Error("there are recommendations")
	}
	f.checkoutDown.Store(true)
	resp, body = f.post(t, url.Values{"product": {"mug"}, "quantity": {"1"}, "key": {"0123456789abcdef"}}, nil)
	expect(t, "no checkout", resp, body, 503, "Back in a moment")

	// An old list is better than none; without a cache, there is none.
	f.catalogDown.Store(true)
	old, err := f.redis.DB(0).Get(listKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.redis.DB(0).Set(listKey, regexp.MustCompile(`"at":"[^"]+"`).ReplaceAllString(old, `"at":"2026-01-01T00:00:00Z"`)); err != nil {
		t.Fatal(err)
	}
	resp, body = f.get(t, "/")
	expect(t, "no catalog", resp, body, 200, "Oak stool")
	resp, body = f.get(t, "/?q=OAK")
	expect(t, "no catalog, searching", resp, body, 200, "1 product for")
	f.redis.Close()
	resp, body = f.get(t, "/")
	expect(t, "no catalog and no cache", resp, body, 503, "Back in a moment")
	f.catalogDown.Store(false)
	resp, body = f.get(t, "/")
	expect(t, "no cache", resp, body, 200, "Oak stool")
}

func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	for text, ok := range map[string]bool{
		`{"workload": "storefront", "currency": "EUR", "priceFormat": "${amount} EUR"}`: true,
		`{"currency": "EUR", "priceFormat": "EUR"}`:                                     false,
		`?`: false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readSettings(file)
		if (err == nil) != ok {
			t.Errorf("%s: error %v", text, err)
		}
		if ok && (s.price(5, "EUR") != "0.05 EUR" || s.price(123456, "USD") != "1234.56 USD") {
			t.Errorf("%s %s", s.price(5, "EUR"), s.price(123456, "USD"))
		}
	}
	if _, err := readSettings(file + "x"); err == nil {
		t.Error("no error")
	}
}
