package main

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed baskets.txt
var baskets string

// model says for each product which others are bought with it, best first, and which
// products are bought most. The same baskets give the same model.
type model struct {
	Popular []string            `json:"popular"`
	Related map[string][]string `json:"related"`
}

// recommend returns up to limit products that go with one, filled up with those that
// most people like.
func (m *model) recommend(product string, limit int) []string {
	out := []string{}
	for _, id := range slices.Concat(m.Related[product], m.Popular) {
		if len(out) == limit {
			break
		}
		if id != product && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// train makes a model of baskets. Two products go together as far as the baskets with
// both are many, compared with those that have either (cosine similarity): what everybody
// buys would otherwise go with everything.
func train(text string) *model {
	count := map[string]int{}
	together := map[string]map[string]int{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		basket := strings.Fields(line)
		for _, a := range basket {
			count[a]++
			for _, b := range basket {
				if a == b {
					continue
				}
				if together[a] == nil {
					together[a] = map[string]int{}
				}
				together[a][b]++
			}
		}
	}
	m := &model{Related: map[string][]string{}}
	m.Popular = slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b))
	})
	for a, others := range together {
		score := func(b string) float64 { return float64(others[b]) / math.Sqrt(float64(count[a]*count[b])) }
		m.Related[a] = slices.SortedFunc(maps.Keys(others), func(b, c string) int {
			return cmp.Or(cmp.Compare(score(c), score(b)), strings.Compare(b, c))
		})
	}
	return m
}

// fetch puts the model into a folder, whole or not at all, and returns its file.
func fetch(dir string) (string, error) {
	data, err := json.Marshal(train(baskets))
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "model-*.part")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		f.Close()
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "model.json")
	return file, os.Rename(f.Name(), file)
}

func load(file string) (*model, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var m model
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(m.Popular) == 0 {
		return nil, fmt.Errorf("%s: it is no model: it knows no products", file)
	}
	return &m, nil
}
