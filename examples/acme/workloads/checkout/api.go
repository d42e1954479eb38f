package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
)

// maxLines bounds an order.
const maxLines = 20

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

func routes(mux *http.ServeMux, log *slog.Logger, s *store, catalog shop.Catalog) {
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		switch {
		case errors.Is(err, errNoOrder):
			httpx.Fail(w, http.StatusNotFound, err.Error())
		case errors.Is(err, errOtherOrder):
			httpx.Fail(w, http.StatusConflict, err.Error())
		default:
			if e, ok := errors.AsType[*httpx.Error](err); ok && e.Code == http.StatusUnprocessableEntity {
				httpx.Fail(w, e.Code, e.Message)
				return
			}
			log.ErrorContext(r.Context(), "request failed", "error", err.Error())
			httpx.Fail(w, http.StatusServiceUnavailable, "orders cannot be processed at the moment")
		}
	}

	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		if !keyForm.MatchString(key) {
			httpx.Fail(w, http.StatusBadRequest, "the header Idempotency-Key must have 16 to 64 letters, digits, '-' or '_'")
			return
		}
		var in struct {
			Lines []shop.Line `json:"lines"`
		}
		if err := httpx.Read(r, &in); err != nil {
			httpx.Fail(w, http.StatusBadRequest, err.Error())
			return
		}
		if err := checkLines(in.Lines); err != nil {
			fail(w, r, err)
			return
		}
		digest := digestOf(in.Lines)
		o, err := s.byKey(r.Context(), key, digest)
		if err == nil {
			httpx.JSON(w, http.StatusOK, o)
			return
		}
		if !errors.Is(err, errNoOrder) {
			fail(w, r, err)
			return
		}
		o, err = price(r, catalog, in.Lines)
		if err == nil {
			o, err = s.place(r.Context(), key, digest, o)
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		log.InfoContext(r.Context(), "order placed", "lines", len(o.Lines), "total", o.Total, "currency", o.Currency)
		httpx.JSON(w, http.StatusCreated, o)
	})

	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !shop.ValidOrderID(id) {
			fail(w, r, errNoOrder)
			return
		}
		o, err := s.get(r.Context(), id)
		if err != nil {
			fail(w, r, err)
			return
		}
		httpx.JSON(w, http.StatusOK, o)
	})

	mux.HandleFunc("GET /days/{date}", func(w http.ResponseWriter, r *http.Request) {
		date, err := time.Parse(time.DateOnly, r.PathValue("date"))
		if err != nil {
			httpx.Fail(w, http.StatusBadRequest, "a day has the form 2006-01-02")
			return
		}
		d, err := s.day(r.Context(), date)
		if err != nil {
			fail(w, r, err)
			return
		}
		httpx.JSON(w, http.StatusOK, d)
	})
}

func refuse(format string, args ...any) error {
	return &httpx.Error{Code: http.StatusUnprocessableEntity, Message: fmt.Sprintf(format, args...)}
}

func checkLines(lines []shop.Line) error {
	if len(lines) == 0 || len(lines) > maxLines {
		return refuse("an order has 1 to %d lines", maxLines)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		switch {
		case !shop.ValidProductID(l.Product):
			return refuse("there is no product %q", l.Product)
		case l.Quantity < 1 || l.Quantity > shop.MaxQuantity:
			return refuse("the quantity of %s must be 1 to %d", l.Product, shop.MaxQuantity)
		case l.Price != 0 || l.Name != "":
			return refuse("name and price of %s are the catalog's to say", l.Product)
		case seen[l.Product]:
			return refuse("the product %s is in more than one line", l.Product)
		}
		seen[l.Product] = true
	}
	return nil
}

func digestOf(lines []shop.Line) []byte {
	b, _ := json.Marshal(lines) // texts and numbers always become JSON
	sum := sha256.Sum256(b)
	return sum[:]
}

// price makes an order of its lines, with the names and prices that the catalog has now.
func price(r *http.Request, catalog shop.Catalog, lines []shop.Line) (shop.Order, error) {
	o := shop.Order{ID: rand.Text()[:16]}
	for _, l := range lines {
		p, err := catalog.Product(r.Context(), l.Product)
		if httpx.IsCode(err, http.StatusNotFound) {
			return o, refuse("there is no product %q", l.Product)
		}
		if err != nil {
			return o, fmt.Errorf("catalog: %w", err)
		}
		if o.Currency != "" && o.Currency != p.Currency {
			return o, refuse("an order has one currency")
		}
		o.Currency = p.Currency
		o.Total += int64(l.Quantity) * p.Price
		o.Lines = append(o.Lines, shop.Line{Product: p.ID, Name: p.Name, Quantity: l.Quantity, Price: p.Price})
	}
	return o, nil
}
