package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/objects"
	"example.com/acme/internal/report"
	"example.com/acme/internal/shop"
)

//go:embed page.html.tmpl style.css
var files embed.FS

// entries is what the pages need of a store.
type entries interface {
	add(ctx context.Context, key string, e entry, total int64) error
	of(ctx context.Context, order string, limit int) ([]entry, error)
}

type bucketReader interface {
	List(ctx context.Context, prefix string) ([]objects.Object, error)
	Get(ctx context.Context, key string) ([]byte, error)
}

// site answers what browsers ask for.
type site struct {
	log      *slog.Logger
	page     *template.Template
	style    []byte
	origins  *http.CrossOriginProtection
	secure   bool
	help     string
	sessions sessions
	store    entries
	checkout shop.Checkout
	bucket   bucketReader
	now      func() time.Time
}

// view is what the page shows.
type view struct {
	Title, Who, Help, Problem, Key string
	Order                          *shop.Order
	Entries                        []entry
	Reports                        []string
	Home                           bool
}

func newSite(log *slog.Logger, public *url.URL, help string, s sessions, store entries, checkout shop.Checkout, bucket bucketReader) (*site, error) {
	page, err := template.New("page.html.tmpl").Funcs(template.FuncMap{"money": money, "when": when}).ParseFS(files, "page.html.tmpl")
	if err != nil {
		return nil, err
	}
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	origins := http.NewCrossOriginProtection()
	if err := origins.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
		return nil, err
	}
	return &site{log, page, style, origins, public.Scheme == "https", help, s, store, checkout, bucket, time.Now}, nil
}

func money(amount int64, currency string) string {
	return fmt.Sprintf("%d.%02d %s", amount/100, amount%100, currency)
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func (s *site) register(mux *http.ServeMux) {
	open := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, s.guard(h)) }
	staff := func(pattern string, h func(http.ResponseWriter, *http.Request, string)) {
		open(pattern, func(w http.ResponseWriter, r *http.Request) {
			who := s.sessions.who(r)
			if who == "" {
				http.Redirect(w, r, "/", http.StatusSeeOther)
				return
			}
			h(w, r, who)
		})
	}
	open("GET /style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(s.style)
	})
	open("GET /{$}", s.home)
	open("POST /session", s.signIn)
	open("POST /session/end", s.signOut)
	staff("GET /orders", s.find)
	staff("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request, who string) { s.order(w, r, http.StatusOK, who, "") })
	staff("POST /orders/{id}/entries", s.add)
	staff("GET /reports/{file}", s.report)
}

func (s *site) guard(next http.Handler) http.Handler {
	next = s.origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	v := view{Title: "Backoffice", Who: s.sessions.who(r), Home: true}
	if v.Who != "" {
		s.fill(r.Context(), &v)
	}
	s.show(w, r, http.StatusOK, v)
}

// fill adds latest entries and reports; the page is of use without either.
func (s *site) fill(ctx context.Context, v *view) {
	var err error
	if v.Entries, err = s.store.of(ctx, "", 10); err != nil {
		s.log.ErrorContext(ctx, "entries not shown", "error", err.Error())
		v.Problem = "The latest entries cannot be read at the moment."
	}
	found, err := s.bucket.List(ctx, report.Reports)
	if err != nil {
		s.log.ErrorContext(ctx, "reports not shown", "error", err.Error())
		v.Problem = strings.TrimSpace(v.Problem + " The reports cannot be read at the moment.")
	}
	for _, o := range found {
		if file := strings.TrimPrefix(o.Key, report.Reports); strings.HasSuffix(file, ".html") {
			if _, ok := report.DateOf(file); ok {
				v.Reports = append(v.Reports, strings.TrimSuffix(file, ".html"))
			}
		}
	}
	slices.Reverse(v.Reports)
	v.Reports = v.Reports[:min(len(v.Reports), 31)]
}

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSpace(r.PostFormValue("name"))
	if n := utf8.RuneCountInString(name); n < 2 || n > 40 || !utf8.ValidString(name) {
		s.show(w, r, http.StatusUnprocessableEntity, view{Title: "Backoffice", Home: true, Problem: "Please enter your name, with 2 to 40 characters."})
		return
	}
	http.SetCookie(w, s.cookie(s.sessions.value(name, time.Now()), int(sessionTime.Seconds())))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, s.cookie("", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *site) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteStrictMode}
}

// orderID reads an id as people write it.
func orderID(text string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(text))
}

func (s *site) find(w http.ResponseWriter, r *http.Request, who string) {
	id := orderID(r.URL.Query().Get("id"))
	if !shop.ValidOrderID(id) {
		v := view{Title: "Backoffice", Who: who, Home: true}
		s.fill(r.Context(), &v)
		v.Problem = "An order's number has 16 letters and digits."
		s.show(w, r, http.StatusUnprocessableEntity, v)
		return
	}
	http.Redirect(w, r, "/orders/"+id, http.StatusSeeOther)
}

func (s *site) order(w http.ResponseWriter, r *http.Request, code int, who, problem string) {
	id := orderID(r.PathValue("id"))
	v := view{Title: "Order " + id, Who: who, Problem: problem, Key: rand.Text()}
	o, err := s.lookUp(r, id)
	if err != nil {
		s.failed(w, r, v, err)
		return
	}
	if v.Entries, err = s.store.of(r.Context(), id, 100); err != nil {
		s.failed(w, r, v, err)
		return
	}
	v.Order = &o
	s.show(w, r, code, v)
}

func (s *site) lookUp(r *http.Request, id string) (shop.Order, error) {
	if !shop.ValidOrderID(id) {
		return shop.Order{}, &httpx.Error{Code: http.StatusNotFound}
	}
	return s.checkout.Order(r.Context(), id)
}

// add enters a note, or a refund where the form has an amount.
func (s *site) add(w http.ResponseWriter, r *http.Request, who string) {
	o, err := s.lookUp(r, orderID(r.PathValue("id")))
	if err != nil {
		s.failed(w, r, view{Title: "Order", Who: who}, err)
		return
	}
	e := entry{Order: o.ID, Author: who, Currency: o.Currency, Text: strings.TrimSpace(r.PostFormValue("text")), At: s.now()}
	amount := strings.TrimSpace(r.PostFormValue("amount"))
	key := r.PostFormValue("key")
	var problem string
	switch n := utf8.RuneCountInString(e.Text); {
	case n < 3 || n > 1000 || !utf8.ValidString(e.Text):
		problem = "Please say why, with 3 to 1000 characters."
	case len(key) < 16 || len(key) > 64:
		problem = "The form is incomplete; please enter it once more."
	case amount != "":
		if e.Amount, err = parseAmount(amount); err != nil {
			problem = err.Error()
		} else if o.Status == shop.Placed {
			problem = "The order is not paid, so there is nothing to refund."
		}
	}
	if problem == "" {
		err := s.store.add(r.Context(), key, e, o.Total)
		switch {
		case errors.Is(err, errTooMuch):
			problem = "All refunds together cannot be more than " + money(o.Total, o.Currency) + "."
		case err != nil:
			s.failed(w, r, view{Title: "Order", Who: who}, err)
			return
		}
	}
	if problem != "" {
		s.order(w, r, http.StatusUnprocessableEntity, who, problem)
		return
	}
	s.log.InfoContext(r.Context(), "entered", "order", o.ID, "author", who, "amount", e.Amount)
	http.Redirect(w, r, "/orders/"+o.ID, http.StatusSeeOther)
}

// errAmount is read by people, on the page.
var errAmount = errors.New("An amount looks like 12.50, and is more than nothing.")

// parseAmount reads 12, 12.5 or 12,50.
func parseAmount(text string) (int64, error) {
	whole, cents, _ := strings.Cut(strings.ReplaceAll(text, ",", "."), ".")
	if len(cents) > 2 || len(whole) > 9 || strings.ContainsAny(text, "+-") {
		return 0, errAmount
	}
	n, err := strconv.ParseInt(whole+(cents + "00")[:2], 10, 64)
	if err != nil || n <= 0 || whole == "" {
		return 0, errAmount
	}
	return n, nil
}

func (s *site) report(w http.ResponseWriter, r *http.Request, who string) {
	file := r.PathValue("file")
	if _, ok := report.DateOf(file); !ok || !strings.HasSuffix(file, ".html") {
		s.failed(w, r, view{Title: "Report", Who: who}, objects.ErrNotFound)
		return
	}
	body, err := s.bucket.Get(r.Context(), report.Reports+file)
	if err != nil {
		s.failed(w, r, view{Title: "Report", Who: who}, err)
		return
	}
	// It comes from a bucket that others write to: nothing in it runs.
	w.Header().Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body)
}

func (s *site) failed(w http.ResponseWriter, r *http.Request, v view, err error) {
	if httpx.IsCode(err, http.StatusNotFound) || errors.Is(err, objects.ErrNotFound) {
		v.Problem = "There is nothing of that name."
		s.show(w, r, http.StatusNotFound, v)
		return
	}
	s.log.ErrorContext(r.Context(), "page not shown", "error", err.Error())
	v.Problem = "Something that this page needs cannot be reached. Please try again shortly."
	s.show(w, r, http.StatusServiceUnavailable, v)
}

func (s *site) show(w http.ResponseWriter, r *http.Request, code int, v view) {
	v.Help = s.help
	var out bytes.Buffer
	if err := s.page.Execute(&out, v); err != nil {
		s.log.ErrorContext(r.Context(), "page not shown", "error", err.Error())
		http.Error(w, "something went wrong here", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = out.WriteTo(w)
}
