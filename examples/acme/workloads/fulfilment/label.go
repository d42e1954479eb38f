package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base32"
	"html/template"

	"example.com/acme/internal/shop"
)

//go:embed label.svg.tmpl
var labelText string

var labelTemplate = template.Must(template.New("label").Parse(labelText))

// trackingNumber is the same for an order whenever it is asked for.
func trackingNumber(order string) string {
	sum := sha256.Sum256([]byte("shipment of " + order))
	n := base32.StdEncoding.EncodeToString(sum[:])
	return "AC-" + n[:4] + "-" + n[4:8]
}

// bar is a line of the label's code: one of two widths for each bit of a number.
type bar struct{ X, Width int }

// drawLabel returns the label as an SVG image. It depends on the order alone.
func drawLabel(o shop.Order, number string) ([]byte, error) {
	var bars []bar
	x := 24
	for _, c := range []byte(number) {
		for bit := range 7 {
			w := 1
			if c>>bit&1 == 1 {
				w = 3
			}
			bars = append(bars, bar{x, w})
			x += w + 2
		}
	}
	items := 0
	for _, l := range o.Lines {
		items += l.Quantity
	}
	var out bytes.Buffer
	err := labelTemplate.Execute(&out, map[string]any{"Order": o, "Number": number, "Bars": bars, "Items": items, "Width": x + 24})
	return out.Bytes(), err
}
