package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/acme/internal/shop"
)

//go:embed assets
var assetFiles embed.FS

//go:embed templates
var templateFiles embed.FS

// page is what templates show.
type page struct {
	Title       string
	Search      string
	Problem     string
	Text        string
	Refresh     bool
	Cards       []card
	Recommended []card
	Product     shop.Product
	Key         string
	Quantity    string
	Order       shop.Order
	Orders      []shop.Order
}

// card is a product in a list.
type card struct {
	Product shop.Product
	// Key makes an order of this card one order, however often it is sent.
	Key   string
	Small bool
}

// view renders pages.
type view struct {
	pages  map[string]*template.Template
	assets string
}

func newView(s settings) (*view, error) {
	v := &view{pages: map[string]*template.Template{}}
	// Assets are cached for ever under a name that changes with what is in them.
	sum := sha256.New()
	err := fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assetFiles.ReadFile(name)
		fmt.Fprintf(sum, "%s %x\n", name, sha256.Sum256(data))
		return err
	})
	if err != nil {
		return nil, err
	}
	v.assets = "/assets/" + hex.EncodeToString(sum.Sum(nil))[:12] + "/"

	steps := []shop.Status{shop.Placed, shop.Paid, shop.Shipped}
	funcs := template.FuncMap{
		"asset": func(name string) string { return v.assets + name },
		"art":   v.art,
		"kind":  func(category string) string { return strings.ToLower(category) },
		"price": s.price,
		"times": func(price int64, n int) int64 { return price * int64(n) },
		"most":  func() int { return shop.MaxQuantity },
		"group": group,
		"clock": func(t any) string {
			switch t := t.(type) {
			case time.Time:
				return t.UTC().Format("15:04:05 UTC")
			case *time.Time:
				return t.UTC().Format("15:04:05 UTC")
			}
			return ""
		},
		"reached": func(o shop.Order, status string) bool {
			return slices.Index(steps, o.Status) >= slices.Index(steps, shop.Status(status))
		},
	}
	for _, name := range []string{"home", "product", "order", "orders", "message"} {
		t, err := template.New(name).Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		v.pages[name] = t
	}
	return v, nil
}

// art returns the picture of a product, or of a parcel for one that has none.
func (v *view) art(id string) string {
	if _, err := fs.Stat(assetFiles, "assets/art/"+id+".svg"); err != nil {
		id = "parcel"
	}
	return v.assets + "art/" + id + ".svg"
}

// group makes an order's id easier to read out.
func group(id string) string {
	var parts []string
	for part := range slices.Chunk([]byte(id), 4) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, "-")
}

// render answers with a page, or with a part of one.
func (v *view) render(w http.ResponseWriter, code int, name, part string, data any) error {
	var out bytes.Buffer
	if err := v.pages[name].ExecuteTemplate(&out, part, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// Pages show orders, and forms carry keys that serve once.
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, err := out.WriteTo(w)
	return err
}

// register serves the assets.
func (v *view) register(mux *http.ServeMux) error {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		return err
	}
	serve := http.StripPrefix(v.assets, http.FileServerFS(files))
	mux.HandleFunc("GET "+v.assets+"{file...}", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		serve.ServeHTTP(w, r)
	})
	return nil
}
