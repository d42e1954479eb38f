package diag

import (
	"encoding/json"
	"io"
)

// JSONVersion is the version of the document that JSON writes. Fields may be
// added to a version; a change of meaning makes a new one.
const JSONVersion = "1"

// jsonDiagnostic adds to a diagnostic what its Go form keeps typed.
type jsonDiagnostic struct {
	Diagnostic
	Path string `json:"path,omitempty"`
}

type jsonDocument struct {
	Version     string           `json:"version"`
	Diagnostics []jsonDiagnostic `json:"diagnostics"`
	Errors      int              `json:"errors"`
	Warnings    int              `json:"warnings"`
}

// JSON writes diagnostics, in their sorted order, as one JSON document with the
// numbers of errors and warnings.
func JSON(w io.Writer, l List) error {
	l = l.Sorted()
	doc := jsonDocument{Version: JSONVersion, Diagnostics: make([]jsonDiagnostic, len(l))}
	doc.Errors, doc.Warnings = l.Count()
	for i, d := range l {
		doc.Diagnostics[i] = jsonDiagnostic{d, d.Path.String()}
	}
	return encode(w, doc)
}

// encode writes indented JSON with <, > and & as they are: no browser reads it.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
