// Package diag holds diagnostics: what Strata says about the user's text. They
// are plain values, collected many at once, sorted and de-duplicated, and
// rendered for people, as JSON and as SARIF. What a policy says about a model,
// a plan or an object is a finding and belongs to package policy; it is turned
// into a diagnostic only to be shown.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Severity says how bad a diagnostic is. Only errors stop a command.
type Severity int

// The severities, worst last so that they can be compared.
const (
	Warning Severity = iota + 1
	Error
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// MarshalText writes the String form.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Pos is a place in a text. Line and Column count from 1; Column counts
// characters, not bytes. The zero Pos means "unknown".
type Pos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// IsZero reports whether the place is unknown.
func (p Pos) IsZero() bool { return p.Line == 0 }

// Range is a stretch of a file: from Start up to, not including, End. An End
// that is zero means a single character.
type Range struct {
	Start Pos `json:"start"`
	End   Pos `json:"end,omitzero"`
}

// Path names a value inside a document: mapping keys as strings and sequence
// indexes as ints.
type Path []any

// P builds a Path from keys (string) and indexes (int).
func P(elems ...any) Path { return Path(elems) }

// With returns the path extended by elems, without touching p's memory.
func (p Path) With(elems ...any) Path {
	return append(slices.Clip(slices.Clone(p)), elems...)
}

// String returns the path as people write it: spec.nodePools[0].name; a key
// with other characters than a name's is quoted.
func (p Path) String() string {
	var b strings.Builder
	for _, e := range p {
		switch v := e.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(v) + "]")
		case string:
			if strings.ContainsAny(v, ".[]\" ") || v == "" || strings.ContainsFunc(v, notPrintable) {
				b.WriteString("[" + strconv.Quote(v) + "]")
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(v)
		default:
			fmt.Fprintf(&b, "[%v]", v)
		}
	}
	return b.String()
}

// notPrintable finds what would break the line that a path is printed on.
func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

// Diagnostic is one statement about the user's text.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	// Rule is the stable identifier of what was checked, such as
	// "unknown-field". Every rule is listed in Rules.
	Rule string `json:"rule"`
	// Summary says what is wrong in one line, without a full stop.
	Summary string `json:"summary"`
	// Detail says why, and Remedy what to do. Both may be empty.
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	// File is relative to the repository, with forward slashes; empty when
	// the diagnostic is about no file.
	File string `json:"file,omitempty"`
	// Path names the value within the file. OnKey says that the mapping key
	// itself is meant, not its value.
	Path  Path `json:"-"`
	OnKey bool `json:"-"`
	// Range is where in File; zero until located.
	Range Range `json:"range,omitzero"`
}

// String returns one line: "file:line:column: severity: summary [rule]".
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		if !d.Range.Start.IsZero() {
			fmt.Fprintf(&b, ":%d:%d", d.Range.Start.Line, d.Range.Start.Column)
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: %s [%s]", d.Severity, d.Summary, d.Rule)
	return b.String()
}

// List is a collection of diagnostics. The zero List is ready to use.
type List []Diagnostic

// Add appends diagnostics.
func (l *List) Add(ds ...Diagnostic) { *l = append(*l, ds...) }

// Errorf appends an error about the value at path in file.
func (l *List) Errorf(rule, file string, path Path, format string, args ...any) *Diagnostic {
	return l.add(Error, rule, file, path, format, args...)
}

// Warnf appends a warning about the value at path in file.
func (l *List) Warnf(rule, file string, path Path, format string, args ...any) *Diagnostic {
	return l.add(Warning, rule, file, path, format, args...)
}

func (l *List) add(s Severity, rule, file string, path Path, format string, args ...any) *Diagnostic {
	*l = append(*l, Diagnostic{Severity: s, Rule: rule, File: file, Path: path, Summary: fmt.Sprintf(format, args...)})
	return &(*l)[len(*l)-1]
}

// HasErrors reports whether any diagnostic is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Count returns the number of errors and of warnings.
func (l List) Count() (errors, warnings int) {
	for _, d := range l {
		if d.Severity == Error {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// Sorted returns a copy in the order of file, place, rule and summary, without
// duplicates. Diagnostics without a place come after those of their file.
func (l List) Sorted() List {
	out := slices.Clone(l)
	slices.SortStableFunc(out, func(a, b Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.File, b.File),
			comparePos(a.Range.Start, b.Range.Start),
			-cmp.Compare(a.Severity, b.Severity),
			strings.Compare(a.Rule, b.Rule),
			strings.Compare(a.Path.String(), b.Path.String()),
			strings.Compare(a.Summary, b.Summary),
			strings.Compare(a.Detail, b.Detail),
		)
	})
	return slices.CompactFunc(out, func(a, b Diagnostic) bool {
		return a.File == b.File && a.Range == b.Range && a.Rule == b.Rule && a.Summary == b.Summary && a.Detail == b.Detail
	})
}

func comparePos(a, b Pos) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}
