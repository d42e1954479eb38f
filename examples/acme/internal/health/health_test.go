package health

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, s *Set, path string) (int, string) {
	t.Helper()
	mux := http.NewServeMux()
	s.Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestReadiness(t *testing.T) {
	var database, cache error
	s := New(slog.New(slog.DiscardHandler))
	s.Require("database", func(context.Context) error { return database })
	s.Report("cache", func(context.Context) error { return cache })
	for _, c := range []struct {
		name            string
		database, cache error
		code            int
	}{
		{"all is well", nil, nil, 200},
		{"it copes without a cache", nil, errors.New("cache at 10.0.0.9 refused"), 200},
		{"it does not without a database", errors.New("no route"), nil, 503},
	} {
		database, cache = c.database, c.cache
		code, body := get(t, s, "/readyz")
		if code != c.code {
			t.Errorf("%s: %d %s", c.name, code, body)
		}
		if strings.Contains(body, "10.0.0.9") {
			t.Errorf("%s: the reason is told to anybody: %s", c.name, body)
		}
		if code, _ := get(t, s, "/healthz"); code != 200 {
			t.Errorf("%s: /healthz says %d", c.name, code)
		}
	}
	database = nil
	s.Drain()
	if code, _ := get(t, s, "/readyz"); code != 503 {
		t.Errorf("draining: %d", code)
	}
}
