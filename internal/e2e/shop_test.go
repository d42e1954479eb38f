package e2e

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// browserLike is an HTTP client that finds *.localhost names where browsers do.
func browserLike() *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}}}
}

// get returns status and body of one of the shop's pages.
func (l *local) get(t *testing.T, path string) string {
	t.Helper()
	page, err := l.tryGet(path)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func (l *local) tryGet(path string) (string, error) {
	r, err := browserLike().Get(strings.TrimSuffix(l.routes["storefront.public"], "/") + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var b strings.Builder
	b.WriteString(r.Status + "\n")
	_, err = copyTo(&b, r.Body)
	return b.String(), err
}

// settle waits until the shop answers.
func (l *local) settle(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		page, err := l.tryGet("/")
		if err == nil && strings.HasPrefix(page, "200") && strings.Contains(page, `name="product"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the shop does not answer with products: %v\n%s", err, page)
		}
	}
}

var orderPath = regexp.MustCompile(`^/orders/[0-9A-Za-z-]+$`)

// order places an order as a form without scripts does, and returns its path; empty
// where the shop did not take it.
func (l *local) order(client *http.Client, product string) string {
	form := url.Values{"product": {product}, "quantity": {"1"}, "key": {rand.Text()}}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := c.PostForm(strings.TrimSuffix(l.routes["storefront.public"], "/")+"/orders", form)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	u, err := r.Location()
	if err != nil || r.StatusCode != http.StatusSeeOther || !orderPath.MatchString(u.Path) {
		return ""
	}
	return u.Path
}

// shipped reports whether an order has been fulfilled.
func (l *local) shipped(client *http.Client, path string) bool {
	r, err := client.Get(strings.TrimSuffix(l.routes["storefront.public"], "/") + path + "/status")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	var b strings.Builder
	_, err = copyTo(&b, r.Body)
	return err == nil && strings.Contains(b.String(), "data-final")
}

// allShipped waits until every order has been fulfilled.
func (l *local) allShipped(t *testing.T, orders []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	client := browserLike()
	for ctx.Err() == nil {
		if orders = slices.DeleteFunc(orders, func(o string) bool { return l.shipped(client, o) }); len(orders) == 0 {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("%d orders were taken and not fulfilled: %v", len(orders), orders[:min(len(orders), 5)])
}

var productInput = regexp.MustCompile(`name="product" value="([^"]+)"`)

func firstProduct(t *testing.T, page string) string {
	t.Helper()
	m := productInput.FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("the page has no product:\n%s", page)
	}
	return m[1]
}
