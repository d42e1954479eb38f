package main

import (
	"context"
	"errors"
	"fmt"
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
	"sync"
	"testing"
	"time"

	"example.com/acme/internal/env"
	"example.com/acme/internal/httpx"
	"example.com/acme/internal/objects"
	"example.com/acme/internal/shop"
	"example.com/acme/internal/testenv"
)

var quiet = slog.New(slog.DiscardHandler)

const order = "ABCDEFGHIJKLMNOP"

// fixture is the backoffice with a real database, and a browser.
type fixture struct {
	store  *store
	bucket *objects.Bucket
	url    string
	http   *http.Client
	now    time.Time // of what is entered; no test begins on one day and ends on the next
	sales  shop.Checkout
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ca := testenv.NewCA(t)
	m := testenv.StartMySQL(t, ca)
	s, err := openStore(database{"localhost", fmt.Sprint(m.Port), "backoffice", "backoffice", "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	for range 2 { // the second time, there is nothing to do
		m.Until(t, "the database is up to date", func() error { return s.migrate(t.Context()) })
	}
	checkout := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/orders/"+order:
			httpx.JSON(w, 200, shop.Order{ID: order, Status: shop.Paid, Total: 2900, Currency: "EUR",
				Lines: []shop.Line{{Product: "mug", Name: "Mug <3", Quantity: 2, Price: 1450}}})
		case strings.HasPrefix(r.URL.Path, "/days/"):
			httpx.JSON(w, 200, shop.Day{Date: r.URL.Path[6:], Orders: 5, Revenue: 9900, Currency: "EUR"})
		default:
			httpx.Fail(w, 404, "none")
		}
	}))
	t.Cleanup(checkout.Close)
	f := &fixture{store: s, now: time.Now().UTC(), bucket: objects.FromEnv(env.From(testenv.StartS3(t, ca).Env("REPORTS")), "REPORTS")}
	u, err := url.Parse(checkout.URL)
	if err != nil {
		t.Fatal(err)
	}
	f.sales = shop.NewCheckout(u)
	site, err := newSite(quiet, &url.URL{Scheme: "http", Host: "backoffice.test"}, "help.test", sessions{[]byte("0123456789abcdef")}, s, f.sales, f.bucket)
	if err != nil {
		t.Fatal(err)
	}
	site.now = func() time.Time { return f.now }
	mux := http.NewServeMux()
	site.register(mux)
	front := httptest.NewServer(httpx.Wrap(quiet, mux))
	t.Cleanup(front.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.url, f.http = front.URL, &http.Client{Jar: jar}
	return f
}

func (f *fixture) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := f.http.Get(f.url + path)
	return answer(t, resp, err)
}

func (f *fixture) post(t *testing.T, path string, form url.Values) (int, string) {
	t.Helper()
	resp, err := f.http.PostForm(f.url+path, form)
	return answer(t, resp, err)
}

func answer(t *testing.T, resp *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestBackoffice(t *testing.T) {
	f := newFixture(t)
	if code, body := f.get(t, "/orders/"+order); code != 200 || !strings.Contains(body, "Sign in") || strings.Contains(body, "Mug") {
		t.Errorf("without signing in: %d\n%s", code, body)
	}
	if code, _ := f.post(t, "/session", url.Values{"name": {" "}}); code != 422 {
		t.Errorf("a nameless person: %d", code)
	}
	if code, body := f.post(t, "/session", url.Values{"name": {"Ada <b>"}}); code != 200 || !strings.Contains(body, "Ada &lt;b&gt;") {
		t.Errorf("signing in: %d\n%s", code, body)
	}
	if code, body := f.get(t, "/orders?id=abcd-efgh-ijkl-mnop"); code != 200 || !strings.Contains(body, "Mug &lt;3") || !strings.Contains(body, "29.00 EUR") {
		t.Errorf("looking up: %d\n%s", code, body)
	}
	if code, _ := f.get(t, "/orders?id=x"); code != 422 {
		t.Errorf("looking up what is no number: %d", code)
	}
	if code, _ := f.get(t, "/orders/AAAAAAAAAAAAAAAA"); code != 404 {
		t.Errorf("looking up another order: %d", code)
	}

	enter := func(amount, text, key string) (int, string) {
		return f.post(t, "/orders/"+order+"/entries", url.Values{"amount": {amount}, "text": {text}, "key": {key + "-0123456789abcdef"}})
	}
	for _, c := range []struct {
		amount, text, key string
		code              int
		says              string
	}{
		{"", "It arrived broken", "a", 200, "It arrived broken"},
		{"20", "Broken", "b", 200, "Refund of 20.00 EUR"},
		{"20", "Broken", "b", 200, "Refund of 20.00 EUR"}, // sent twice
		{"9.01", "More", "c", 422, "cannot be more than 29.00 EUR"},
		{"9,00", "The rest", "d", 200, "Refund of 9.00 EUR"},
		{"0", "Nothing", "e", 422, "An amount looks like"},
		{"-1", "Less", "f", 422, "An amount looks like"},
		{"1.234", "Odd", "g", 422, "An amount looks like"},
		{"", "x", "h", 422, "Please say why"},
	} {
		if code, body := enter(c.amount, c.text, c.key); code != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%+v: %d\n%s", c, code, body)
		}
	}
	all, err := f.store.of(t.Context(), order, 100)
	if err != nil || len(all) != 3 || all[0].Author != "Ada <b>" {
		t.Errorf("entries %+v, error %v", all, err)
	}

	if err := f.bucket.Put(t.Context(), "reports/2026-11-24.html", "text/html", []byte("<h1>Report</h1>")); err != nil {
		t.Fatal(err)
	}
	if _, body := f.get(t, "/"); !strings.Contains(body, `href="/reports/2026-11-24.html"`) || !strings.Contains(body, "The rest") {
		t.Errorf("home:\n%s", body)
	}
	if code, body := f.get(t, "/reports/2026-11-24.html"); code != 200 || body != "<h1>Report</h1>" {
		t.Errorf("report: %d %s", code, body)
	}
	if code, _ := f.get(t, "/reports/2026-11-24.json"); code != 404 {
		t.Errorf("what is no report: %d", code)
	}

	dir := t.TempDir()
	e := &exporter{quiet, f.store, f.sales, f.bucket, dir, map[string][32]byte{}}
	for range 2 {
		if err := e.export(t.Context(), f.now); err != nil {
			t.Fatal(err)
		}
	}
	date := f.now.Format(time.DateOnly)
	stored, err := f.bucket.Get(t.Context(), "exports/"+date+".json")
	if err != nil || !regexp.MustCompile(`"notes": 1,\s+"refunds": 2,\s+"refunded": 2900`).Match(stored) || !strings.Contains(string(stored), `"orders": 5`) {
		t.Errorf("export %s, error %v", stored, err)
	}
	if local, err := os.ReadFile(filepath.Join(dir, date+".json")); err != nil || string(local) != string(stored) {
		t.Errorf("the copy is another one: %v", err)
	}

	f.post(t, "/session/end", nil)
	if _, body := f.get(t, "/"); !strings.Contains(body, "Sign in") {
		t.Error("still signed in")
	}
}

// All at once, refunds do not come to more than the order's total.
func TestRefundsAtTheSameTime(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			err := f.store.add(t.Context(), fmt.Sprintf("key-0123456789-%d", i), entry{Order: order, Author: "Ada", Amount: 500, Currency: "EUR", Text: "why", At: f.now}, 2900)
			if err != nil && !errors.Is(err, errTooMuch) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, n, sum, err := f.store.day(t.Context(), f.now.Truncate(24*time.Hour)); err != nil || n != 5 || sum != 2500 {
		t.Errorf("%d refunds of %d, error %v", n, sum, err)
	}
}

func TestSessions(t *testing.T) {
	s := sessions{[]byte("0123456789abcdef")}
	now := time.Now()
	good := s.value("Ada|Lovelace", now)
	if got := s.name(good, now); got != "Ada|Lovelace" {
		t.Errorf("name %q", got)
	}
	other := sessions{[]byte("another key of 16")}.value("Ada", now)
	for what, value := range map[string]string{"another key": other, "cut": good[:len(good)-4], "nothing": "", "swapped": strings.Split(good, ".")[0] + "." + strings.Split(other, ".")[1]} {
		if got := s.name(value, now); got != "" {
			t.Errorf("%s: name %q", what, got)
		}
	}
	if got := s.name(good, now.Add(sessionTime)); got != "" {
		t.Errorf("expired: name %q", got)
	}
}

type brokenSales struct{}

func (brokenSales) Day(context.Context, string) (shop.Day, error) {
	return shop.Day{}, errors.New("down")
}

func TestNothingIsExportedThatIsNotKnown(t *testing.T) {
	e := &exporter{log: quiet, sales: brokenSales{}, dir: t.TempDir(), written: map[string][32]byte{}}
	if err := e.export(t.Context(), time.Now()); err == nil || len(e.written) != 0 {
		t.Errorf("error %v, written %v", err, e.written)
	}
}
