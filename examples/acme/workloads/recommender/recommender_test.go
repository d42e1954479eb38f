package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/acme/internal/httpx"
	"example.com/acme/internal/shop"
)

func TestTrain(t *testing.T) {
	m := train("# a comment\nbread butter\nbread butter\nbread jam\nbread tea\ntea\ntea milk\n")
	for product, want := range map[string]string{
		"butter": "bread tea jam milk", // what goes with it, then what is popular
		"milk":   "tea bread butter jam",
		"":       "bread tea butter jam",
		"pepper": "bread tea butter jam",
	} {
		if got := strings.Join(m.recommend(product, 4), " "); got != want {
			t.Errorf("%q: %s, not %s", product, got, want)
		}
	}
	if got := m.recommend("bread", 1); len(got) != 1 || got[0] != "butter" {
		t.Errorf("got %v", got)
	}
}

// The model knows what the shop sells, and nothing else.
func TestModelAndAssortment(t *testing.T) {
	data, err := os.ReadFile("../catalog/assortment.json")
	if err != nil {
		t.Fatal(err)
	}
	var products []shop.Product
	if err := json.Unmarshal(data, &products); err != nil {
		t.Fatal(err)
	}
	m := train(baskets)
	var sold []string
	for _, p := range products {
		sold = append(sold, p.ID)
		if len(m.Related[p.ID]) == 0 {
			t.Errorf("nothing goes with %s", p.ID)
		}
	}
	for _, id := range m.Popular {
		if !slices.Contains(sold, id) {
			t.Errorf("%s is not sold", id)
		}
	}
}

func TestServesItsFile(t *testing.T) {
	dir := t.TempDir()
	file, err := fetch(dir)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files %v", left)
	}
	var loaded atomic.Pointer[model]
	s := httptest.NewServer(handler(&loaded))
	defer s.Close()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := shop.NewRecommender(u)
	if _, err := c.For(t.Context(), "", 3); !httpx.IsCode(err, http.StatusServiceUnavailable) {
		t.Errorf("error %v", err)
	}
	m, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	loaded.Store(m)
	first, err := c.For(t.Context(), "ceramic-mug", 3)
	if err != nil || len(first) != 3 || first[0] != "enamel-kettle" {
		t.Errorf("got %v, error %v", first, err)
	}
	if _, err := c.For(t.Context(), "../x", 3); !httpx.IsCode(err, http.StatusBadRequest) {
		t.Errorf("error %v", err)
	}
	if _, err := c.For(t.Context(), "", 21); !httpx.IsCode(err, http.StatusBadRequest) {
		t.Errorf("error %v", err)
	}
}

func TestFilesThatAreNoModel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "model.json")
	for _, text := range []string{"", "{}", "[]"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}
