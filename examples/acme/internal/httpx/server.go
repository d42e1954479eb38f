// Package httpx has what servers and clients of HTTP share here: traces, one log line a
// request, JSON with limits, and errors that cross the wire.
package httpx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// maxBody is the size of a request that is read; ours are forms and small documents.
const maxBody = 256 << 10

// Wrap adds what every server has: trace and metrics of each request, a log line, and
// an answer when a handler panics.
func Wrap(log *slog.Logger, next http.Handler) http.Handler {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // the value itself is what net/http looks for
					panic(p)
				}
				log.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if rec.code == 0 {
					Fail(rec, http.StatusInternalServerError, "something went wrong here")
				}
			}
			level := slog.LevelInfo
			if rec.code >= 500 {
				level = slog.LevelWarn
			}
			// The pattern and not the path, which may hold what opens an order.
			log.Log(r.Context(), level, "request", "method", r.Method, "route", r.Pattern, "status", rec.code,
				"ms", float64(time.Since(start).Microseconds())/1000)
		}()
		next.ServeHTTP(rec, r)
	})
	traced := otelhttp.NewHandler(h, "http")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Probes come every few seconds: they are neither logged nor traced.
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		traced.ServeHTTP(w, r)
	})
}

type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the writer.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// JSON answers with a document.
func JSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// Fail answers with a message for whoever called.
func Fail(w http.ResponseWriter, code int, message string) {
	JSON(w, code, map[string]string{"error": message})
}

// Read decodes a request strictly.
func Read(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("the request is not the JSON that is expected: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the request has something after its JSON document")
	}
	return nil
}
