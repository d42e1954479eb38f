package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/term"
)

// PlanFormat is the format of the document that PlanJSON writes. Fields may be added
// to a format; a change of meaning makes a new one.
const PlanFormat = "strata/plan/v1"

// PlanJSON writes a plan as one JSON document: with its seal and approvals where it is
// saved, and with what is missing where somebody asked (verdict is nil otherwise). The
// error is the writer's, or about a value that JSON cannot express.
func PlanJSON(w io.Writer, f *plan.File, verdict *plan.Verdict) error {
	doc := struct {
		Format    string          `json:"format"`
		Seal      plan.Seal       `json:"seal,omitempty"`
		Summary   string          `json:"summary"`
		Counts    plan.Counts     `json:"counts"`
		Denied    bool            `json:"denied"`
		Approvals []plan.Approval `json:"approvals"`
		Verdict   *plan.Verdict   `json:"verdict,omitempty"`
		Plan      *plan.Plan      `json:"plan"`
	}{PlanFormat, f.Seal, PlanSummary(f.Plan), f.Plan.Counts(), f.Plan.Denied(), f.Approvals, verdict, f.Plan}
	if doc.Approvals == nil {
		doc.Approvals = []plan.Approval{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := w.Write(visible(b.Bytes()))
	return err
}

// visible escapes what JSON allows in strings but a terminal would obey: C1 controls
// and characters that reorder text. The document means the same.
func visible(doc []byte) []byte {
	if !bytes.ContainsFunc(doc, func(r rune) bool { return r != '\n' && term.Hostile(r) }) {
		return doc
	}
	var out bytes.Buffer
	for _, r := range string(doc) {
		switch {
		case r == '\n' || !term.Hostile(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}
