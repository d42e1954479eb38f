package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
)

const (
	ordersCookie = "orders"
	// recent bounds how many orders a browser remembers.
	recent    = 10
	maxSearch = 60
)

// site answers what browsers ask for.
type site struct {
	log         *slog.Logger
	view        *view
	secure      bool
	origins     *http.CrossOriginProtection
	catalog     *cachedCatalog
	checkout    shop.Checkout
	recommender shop.Recommender
}

func newSite(log *slog.Logger, s settings, public *url.URL, catalog *cachedCatalog, checkout shop.Checkout, recommender shop.Recommender) (*site, error) {
	v, err := newView(s)
	if err != nil {
		return nil, err
	}
	origins := http.NewCrossOriginProtection()
	if err := origins.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, err
	}
	t := &site{log, v, public.Scheme == "https", origins, catalog, checkout, recommender}
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.message(w, r, http.StatusForbidden, "This came from another site", "Orders are placed on the pages of this shop only.")
	}))
	return t, nil
}

func (s *site) register(mux *http.ServeMux) {
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, s.guard(h)) }
	handle("GET /{$}", s.home)
	handle("GET /products/{id}", s.product)
	handle("POST /orders", s.place)
	handle("GET /orders", s.orders)
	handle("GET /orders/{id}", s.order)
	handle("GET /orders/{id}/status", s.status)
	handle("GET /", func(w http.ResponseWriter, r *http.Request) {
		s.message(w, r, http.StatusNotFound, "Nothing here", "The page does not exist, or not any more.")
	})
	if err := s.view.register(mux); err != nil {
		panic(err) // the assets are in the program
	}
}

// guard refuses requests that other sites make, and tells browsers what pages may do.
func (s *site) guard(next http.Handler) http.Handler {
	next = s.origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if s.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "Good things", Search: strings.TrimSpace(r.URL.Query().Get("q"))}
	var found []shop.Product
	var err error
	switch {
	case !utf8.ValidString(p.Search) || utf8.RuneCountInString(p.Search) > maxSearch:
		p.Search, p.Problem = "", "A search has at most 60 characters."
		found, err = s.catalog.products(r.Context())
	case p.Search != "":
		p.Title = p.Search
		found, err = s.catalog.search(r.Context(), p.Search)
	default:
		found, err = s.catalog.products(r.Context())
	}
	if err != nil {
		s.failed(w, r, err)
		return
	}
	for _, f := range found {
		p.Cards = append(p.Cards, card{Product: f, Key: rand.Text()})
	}
	if p.Search == "" {
		p.Recommended = s.recommended(r.Context(), "")
	}
	s.show(w, r, http.StatusOK, "home", p)
}

// recommended returns what the recommender says, or nothing.
func (s *site) recommended(ctx context.Context, product string) []card {
	ids, err := s.recommender.For(ctx, product, 4)
	if err != nil {
		s.log.WarnContext(ctx, "no recommendations", "error", err.Error())
		return nil
	}
	var out []card
	for _, id := range ids {
		if p, err := s.catalog.product(ctx, id); err == nil {
			out = append(out, card{Product: p, Small: true})
		}
	}
	return out
}

func (s *site) product(w http.ResponseWriter, r *http.Request) {
	s.showProduct(w, r, http.StatusOK, r.PathValue("id"), "1", "")
}

func (s *site) showProduct(w http.ResponseWriter, r *http.Request, code int, id, quantity, problem string) {
	found, err := s.catalog.product(r.Context(), id)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	s.show(w, r, code, "product", page{Title: found.Name, Product: found, Key: rand.Text(), Quantity: quantity, Problem: problem,
		Recommended: s.recommended(r.Context(), id)})
}

func (s *site) place(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusBadRequest, "That was no order", "The form could not be read.")
		return
	}
	id, quantity, key := r.PostForm.Get("product"), strings.TrimSpace(r.PostForm.Get("quantity")), r.PostForm.Get("key")
	n, err := strconv.Atoi(quantity)
	if err != nil || n < 1 || n > shop.MaxQuantity {
		s.showProduct(w, r, http.StatusUnprocessableEntity, id, quantity, "Please enter a quantity from 1 to "+strconv.Itoa(shop.MaxQuantity)+".")
		return
	}
	o, err := s.checkout.Place(r.Context(), key, []shop.Line{{Product: id, Quantity: n}})
	if e, ok := errors.AsType[*httpx.Error](err); ok && e.Code/100 == 4 {
		s.log.InfoContext(r.Context(), "order refused", "error", e.Message)
		s.showProduct(w, r, http.StatusUnprocessableEntity, id, quantity, "This order was not taken. Please try once more.")
		return
	}
	if err != nil {
		s.failed(w, r, err)
		return
	}
	s.remember(w, r, o.ID)
	http.Redirect(w, r, "/orders/"+o.ID, http.StatusSeeOther)
}

// remember adds an order to those of the browser.
func (s *site) remember(w http.ResponseWriter, r *http.Request, id string) {
	ids := append([]string{id}, slices.DeleteFunc(remembered(r), func(have string) bool { return have == id })...)
	http.SetCookie(w, &http.Cookie{
		Name: ordersCookie, Value: strings.Join(ids[:min(len(ids), recent)], "."), Path: "/", MaxAge: 30 * 24 * 3600,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
	})
}

// remembered returns the orders of the browser, latest first.
func remembered(r *http.Request) []string {
	c, err := r.Cookie(ordersCookie)
	if err != nil {
		return nil
	}
	ids := slices.DeleteFunc(strings.Split(c.Value, "."), func(id string) bool { return !shop.ValidOrderID(id) })
	return ids[:min(len(ids), recent)]
}

func (s *site) order(w http.ResponseWriter, r *http.Request) {
	if o, ok := s.find(w, r); ok {
		s.show(w, r, http.StatusOK, "order", page{Title: "Order " + group(o.ID), Order: o, Refresh: o.Status != shop.Shipped})
	}
}

// status is the part of an order's page that changes.
func (s *site) status(w http.ResponseWriter, r *http.Request) {
	o, ok := s.find(w, r)
	if !ok {
		return
	}
	if err := s.view.render(w, http.StatusOK, "order", "status", o); err != nil {
		s.log.ErrorContext(r.Context(), "status not shown", "error", err.Error())
	}
}

// find returns the order that a request names. Otherwise it has answered.
func (s *site) find(w http.ResponseWriter, r *http.Request) (shop.Order, bool) {
	id := strings.ToUpper(strings.ReplaceAll(r.PathValue("id"), "-", ""))
	if !shop.ValidOrderID(id) {
		s.failed(w, r, &httpx.Error{Code: http.StatusNotFound})
		return shop.Order{}, false
	}
	o, err := s.checkout.Order(r.Context(), id)
	if err != nil {
		s.failed(w, r, err)
		return o, false
	}
	return o, true
}

func (s *site) orders(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "Your orders"}
	for _, id := range remembered(r) {
		o, err := s.checkout.Order(r.Context(), id)
		if httpx.IsCode(err, http.StatusNotFound) {
			continue
		}
		if err != nil {
			s.failed(w, r, err)
			return
		}
		p.Orders = append(p.Orders, o)
	}
	s.show(w, r, http.StatusOK, "orders", p)
}

// failed answers with what a customer can make of an error.
func (s *site) failed(w http.ResponseWriter, r *http.Request, err error) {
	if httpx.IsCode(err, http.StatusNotFound) {
		s.message(w, r, http.StatusNotFound, "Nothing here", "The page does not exist, or not any more.")
		return
	}
	s.log.ErrorContext(r.Context(), "page not shown", "error", err.Error())
	w.Header().Set("Retry-After", "5")
	s.message(w, r, http.StatusServiceUnavailable, "Back in a moment",
		"A part of the shop cannot be reached. Please try again shortly: nothing is ordered twice, and no order is lost.")
}

func (s *site) message(w http.ResponseWriter, r *http.Request, code int, title, text string) {
	s.show(w, r, code, "message", page{Title: title, Text: text})
}

func (s *site) show(w http.ResponseWriter, r *http.Request, code int, name string, p page) {
	if err := s.view.render(w, code, name, "layout", p); err != nil {
		s.log.ErrorContext(r.Context(), "page not shown", "page", name, "error", err.Error())
		http.Error(w, "something went wrong here", http.StatusInternalServerError)
	}
}
