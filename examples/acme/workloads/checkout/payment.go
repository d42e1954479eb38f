package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
)

const (
	// signatureHeader holds t=<unix time>,v1=<hex HMAC-SHA256 of "<time>.<body>">.
	signatureHeader = "X-Payment-Signature"
	// tolerance is how old a notification may be: an overheard one is soon worth nothing.
	tolerance = 5 * time.Minute
)

// payment is what the payment provider reports.
type payment struct {
	Order     string `json:"order"`
	Status    string `json:"status"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	Reference string `json:"reference"`
}

func sign(token, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(token, t, body))
}

func mac(token []byte, t string, body []byte) []byte {
	h := hmac.New(sha256.New, token)
	fmt.Fprintf(h, "%s.", t)
	h.Write(body)
	return h.Sum(nil)
}

// verify says whether a notification was signed with the token, and lately.
func verify(token, body []byte, signature string, now time.Time) error {
	var t, v1 string
	for part := range strings.SplitSeq(signature, ",") {
		switch k, v, _ := strings.Cut(part, "="); k {
		case "t":
			t = v
		case "v1":
			v1 = v
		}
	}
	at, err := strconv.ParseInt(t, 10, 64)
	if err != nil {
		return errors.New("the signature has no time")
	}
	got, err := hex.DecodeString(v1)
	if err != nil || !hmac.Equal(got, mac(token, t, body)) {
		return errors.New("the signature is wrong")
	}
	if age := now.Sub(time.Unix(at, 0)); age > tolerance || age < -tolerance {
		return errors.New("the signature is too old")
	}
	return nil
}

type payer interface {
	pay(ctx context.Context, id string, amount int64, currency, reference string) error
}

func paymentHandler(log *slog.Logger, token []byte, p payer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			httpx.Fail(w, http.StatusRequestEntityTooLarge, "the notification is too large")
			return
		}
		if err := verify(token, body, r.Header.Get(signatureHeader), time.Now()); err != nil {
			log.WarnContext(r.Context(), "payment notification refused", "error", err.Error())
			httpx.Fail(w, http.StatusUnauthorized, err.Error())
			return
		}
		var n payment
		if err := json.Unmarshal(body, &n); err != nil || !shop.ValidOrderID(n.Order) {
			httpx.Fail(w, http.StatusBadRequest, "the notification names no order")
			return
		}
		if n.Status != "paid" {
			// Nothing else changes an order; the provider need not send it again.
			log.InfoContext(r.Context(), "payment notification without effect", "status", n.Status)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		err = p.pay(r.Context(), n.Order, n.Amount, n.Currency, n.Reference)
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.Is(err, errNoOrder):
			httpx.Fail(w, http.StatusNotFound, err.Error())
		case errors.Is(err, errWrongAmount):
			log.ErrorContext(r.Context(), "payment of another amount than the order's", "amount", n.Amount, "currency", n.Currency)
			httpx.Fail(w, http.StatusConflict, err.Error())
		default:
			// The provider sends it again.
			log.ErrorContext(r.Context(), "payment not recorded", "error", err.Error())
			httpx.Fail(w, http.StatusServiceUnavailable, "the payment cannot be recorded at the moment")
		}
	})
}

// sandbox plays a payment provider that accepts every payment: it reports them to the
// webhook, signed and over HTTP, as a real one would.
type sandbox struct {
	log   *slog.Logger
	store *store
	token []byte
	url   string
	http  *http.Client
}

func newSandbox(log *slog.Logger, s *store, token []byte, address string) *sandbox {
	host, port, _ := net.SplitHostPort(address) // the program made it itself
	if host == "" {
		host = "127.0.0.1"
	}
	return &sandbox{log, s, token, "http://" + net.JoinHostPort(host, port) + "/webhooks/payment", httpx.NewClient(5 * time.Second)}
}

func (b *sandbox) run(ctx context.Context) error {
	// A moment passes before an order is paid, as people take one.
	const delay = time.Second
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay / 2):
		}
		due, err := b.store.unpaid(ctx, delay)
		for _, p := range due {
			err = errors.Join(err, b.report(ctx, p))
		}
		if err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "payment sandbox", "error", err.Error())
		}
	}
}

func (b *sandbox) report(ctx context.Context, p payment) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set(signatureHeader, sign(b.token, body, time.Now()))
	resp, err := b.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %s", resp.Status)
	}
	return nil
}
