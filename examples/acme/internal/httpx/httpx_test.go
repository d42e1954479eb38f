package httpx

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCallAndAnswer(t *testing.T) {
	type doc struct {
		N int `json:"n"`
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /double", func(w http.ResponseWriter, r *http.Request) {
		var d doc
		if err := Read(r, &d); err != nil {
			Fail(w, http.StatusBadRequest, err.Error())
			return
		}
		JSON(w, http.StatusOK, doc{2 * d.N})
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("oh") })
	var log bytes.Buffer
	s := httptest.NewServer(Wrap(slog.New(slog.NewJSONHandler(&log, nil)), mux))
	c := NewClient(5 * time.Second)

	var got doc
	if err := Call(t.Context(), c, http.MethodPost, s.URL+"/double", nil, doc{21}, &got); err != nil || got.N != 42 {
		t.Errorf("got %v, error %v", got, err)
	}
	for _, bad := range []any{map[string]int{"m": 1}, "text", strings.Repeat("x", maxBody)} {
		if err := Call(t.Context(), c, http.MethodPost, s.URL+"/double", nil, bad, &got); !IsCode(err, http.StatusBadRequest) {
			t.Errorf("error %v", err)
		}
	}
	if err := Call(t.Context(), c, http.MethodGet, s.URL+"/panic", nil, nil, nil); !IsCode(err, http.StatusInternalServerError) {
		t.Errorf("error %v", err)
	}
	s.Close()
	for _, want := range []string{`"route":"POST /double"`, `"panic":"oh"`, `"status":500`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, log.String())
		}
	}
}
