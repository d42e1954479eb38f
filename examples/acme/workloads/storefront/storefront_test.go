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
	// A busy machine must not make the cache rest: the tests say when it is down.
	store := newCache(quiet, "localhost:"+f.redis.Port(), "cache", "secret", 30*time.Second)
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

// answer is what a browser got.
type answer struct {
	code   int
	path   string
	header http.Header
	body   string
}

func (f *fixture) get(t *testing.T, path string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f.do(t, req)
}

func (f *fixture) post(t *testing.T, form url.Values, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/orders", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return f.do(t, req)
}

func (f *fixture) do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := f.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Request.URL.Path, resp.Header, string(body)}
}

func (a answer) expect(t *testing.T, what string, code int, parts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("%s: status %d", what, a.code)
	}
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			t.Errorf("%s: %q is not in\n%s", what, part, a.body)
		}
	}
}

var formKey = regexp.MustCompile(`name="key" value="([A-Z2-7]{26})"`)

func TestPages(t *testing.T) {
	f := newFixture(t)
	got := f.get(t, "/")
	got.expect(t, "home", 200, "Mug &lt;script&gt;", "14.50 EUR", "119.05 EUR", "Loved by others", `<label class="hidden" for="n-mug">`)
	if strings.Contains(got.body, "<script>") {
		t.Error("a product's name is markup")
	}
	csp := got.header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || got.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("headers %v", got.header)
	}
	got = f.get(t, "/?q=stool")
	got.expect(t, "search", 200, "1 product for")
	got = f.get(t, "/?q="+strings.Repeat("x", 61))
	got.expect(t, "long search", 200, "at most 60 characters")
	got = f.get(t, "/products/mug")
	got.expect(t, "product", 200, "Goes well with it", "Order now")
	for _, path := range []string{"/products/none", "/orders/AAAAAAAAAAAAAAAA", "/orders/x", "/none", "/assets/none"} {
		got = f.get(t, path)
		got.expect(t, path, 404, "Nothing here")
	}

	// Everything that the page names is there, and may be kept.
	found := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(got.body, -1)
	if len(found) == 0 {
		t.Errorf("the page names no assets:\n%s", got.body)
	}
	for _, m := range found {
		if file := f.get(t, m[1]); file.code != 200 || !strings.Contains(file.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", m[1], file.code, file.header)
		}
	}
}

func TestOrdering(t *testing.T) {
	f := newFixture(t)
	key := formKey.FindStringSubmatch(f.get(t, "/products/mug").body)
	if key == nil {
		t.Fatal("the form has no key")
	}
	form := func(quantity string) url.Values {
		return url.Values{"product": {"mug"}, "quantity": {quantity}, "key": {key[1]}}
	}
	for _, bad := range []string{"", "0", "-1", "21", "1.5", "many", "99999999999999999999"} {
		got := f.post(t, form(bad), nil)
		got.expect(t, "quantity "+bad, 422, "Please enter a quantity from 1 to 20.", `aria-describedby="problem"`)
	}
	// Another site makes the browser order.
	got := f.post(t, form("2"), map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"})
	got.expect(t, "another site", 403, "This came from another site")
	if len(f.placed) != 0 {
		t.Error("something was ordered")
	}

	got = f.post(t, form("2"), map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "https://shop.test"})
	got.expect(t, "ordering", 200, "Thank you", "ABCD-EFGH-IJKL-MNOP", "29.00 EUR", `<noscript><meta http-equiv="refresh"`)
	if o := <-f.placed; o[0] != key[1] || o[1] != `{"lines":[{"product":"mug","quantity":2}]}` {
		t.Errorf("placed %v", o)
	}
	if got.path != "/orders/"+orderID {
		t.Errorf("ordering ends at %s", got.path)
	}
	for status, says := range map[shop.Status]string{shop.Placed: "wait for the payment", shop.Paid: "being packed", shop.Shipped: "on its way"} {
		f.status.Store(status)
		got := f.get(t, "/orders/"+orderID+"/status")
		got.expect(t, string(status), 200, says)
		if strings.Contains(got.body, "data-final") != (status == shop.Shipped) || strings.Contains(got.body, "<html") {
			t.Errorf("%s:\n%s", status, got.body)
		}
	}
	got = f.get(t, "/orders")
	got.expect(t, "orders", 200, "/orders/"+orderID, "2 × Mug")
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
	got := f.get(t, "/")
	got.expect(t, "no recommender", 200, "Oak stool")
	if strings.Contains(got.body, "Loved by others") {
		t.Error("there are recommendations")
	}
	f.checkoutDown.Store(true)
	got = f.post(t, url.Values{"product": {"mug"}, "quantity": {"1"}, "key": {"0123456789abcdef"}}, nil)
	got.expect(t, "no checkout", 503, "Back in a moment")

	// An old list is better than none; without a cache, there is none.
	f.catalogDown.Store(true)
	old, err := f.redis.DB(0).Get(listKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.redis.DB(0).Set(listKey, regexp.MustCompile(`"at":"[^"]+"`).ReplaceAllString(old, `"at":"2026-01-01T00:00:00Z"`)); err != nil {
		t.Fatal(err)
	}
	got = f.get(t, "/")
	got.expect(t, "no catalog", 200, "Oak stool")
	got = f.get(t, "/?q=OAK")
	got.expect(t, "no catalog, searching", 200, "1 product for")
	f.redis.Close()
	got = f.get(t, "/")
	got.expect(t, "no catalog and no cache", 503, "Back in a moment")
	f.catalogDown.Store(false)
	got = f.get(t, "/")
	got.expect(t, "no cache", 200, "Oak stool")
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
