package view

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/stratahq/strata/internal/plan"
)

// PlanOptions is temporary.
type PlanOptions struct {
	Color bool
	Width int
	Full  bool
	Read  func(string) []byte
}

// Plan is temporary.
func Plan(w io.Writer, f *plan.File, _ PlanOptions) error {
	for _, u := range f.Plan.Units {
		fmt.Fprintln(w, u.Addr, u.Status, u.Counts, u.Provisional, u.Waits)
	}
	for _, x := range f.Plan.Findings {
		fmt.Fprintln(w, x.Rule, x.Unit, x.Resource, x.Summary, x.Denies, x.Excepted)
	}
	fmt.Fprintln(w, f.Plan.Counts(), len(f.Plan.Units), f.Path())
	return nil
}

// PlanJSON is temporary.
func PlanJSON(w io.Writer, f *plan.File) error { return json.NewEncoder(w).Encode(f.Plan) }
