// Package report says what backoffice and nightly-report leave for each other in the
// bucket that they share.
package report

import (
	"regexp"
	"time"

	"example.com/acme/internal/shop"
)

// Where things lie in the bucket.
const (
	// Exports has one JSON document a day, an Export, from backoffice.
	Exports = "exports/"
	// Reports has what nightly-report makes of them, as HTML and as JSON.
	Reports = "reports/"
)

// Export is what is known of a day (UTC).
type Export struct {
	Date string `json:"date"`
	// Sales is what checkout says of the orders of the day.
	Sales shop.Day `json:"sales"`
	// Notes and Refunds count what support staff have entered on that day; Refunded is
	// the sum of the refunds.
	Notes    int   `json:"notes"`
	Refunds  int   `json:"refunds"`
	Refunded int64 `json:"refunded"`
}

// ExportKey is where the export of a day lies.
func ExportKey(date string) string { return Exports + date + ".json" }

var name = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})\.(json|html)$`)

// DateOf returns the day of a file name such as 2026-11-25.json.
func DateOf(file string) (string, bool) {
	m := name.FindStringSubmatch(file)
	if m == nil {
		return "", false
	}
	_, err := time.Parse(time.DateOnly, m[1])
	return m[1], err == nil
}
