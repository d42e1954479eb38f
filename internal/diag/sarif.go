package diag

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// RuleInfo describes a rule to tools that show results by rule.
type RuleInfo struct {
	// ID is what Diagnostic.Rule holds.
	ID string
	// Summary says in one line what the rule asks for.
	Summary string
	// Help says more; it may be empty.
	Help string
	// Severity is what the rule's diagnostics usually have.
	Severity Severity
}

const (
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifVersion = "2.1.0"
	// sarifRoot names the base that file addresses are relative to: the repository.
	sarifRoot = "SRCROOT"
	// sarifPrint names our way of telling results apart; the number is its version.
	sarifPrint = "strataDiagnostic/v1"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool      `json:"tool"`
		ColumnKind string         `json:"columnKind"`
		BaseIDs    map[string]any `json:"originalUriBaseIds"`
		Results    []sarifResult  `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID       string       `json:"id"`
		Short    sarifText    `json:"shortDescription"`
		Help     *sarifText   `json:"help,omitempty"`
		Defaults sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level Severity `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string            `json:"ruleId"`
		RuleIndex int               `json:"ruleIndex"`
		Level     Severity          `json:"level"`
		Message   sarifText         `json:"message"`
		Locations []sarifLocation   `json:"locations,omitempty"`
		Prints    map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
)

// SARIF writes diagnostics, in their sorted order, as a SARIF 2.1.0 log, which
// code hosts show beside the lines that they are about. rules describes the rules
// that may occur; one that occurs without being described is listed by its
// identifier alone.
func SARIF(w io.Writer, l List, toolVersion string, rules []RuleInfo) error {
	l = l.Sorted()
	driver := sarifDriver{Name: "strata", Version: toolVersion, Rules: sarifRules(l, rules)}
	index := map[string]int{}
	for i, r := range driver.Rules {
		index[r.ID] = i
	}
	run := sarifRun{
		Tool:       sarifTool{driver},
		ColumnKind: "unicodeCodePoints",
		BaseIDs:    map[string]any{sarifRoot: map[string]any{"description": sarifText{"Root of the repository."}}},
		Results:    make([]sarifResult, len(l)),
	}
	seen := map[string]int{}
	for i, d := range l {
		id := fingerprint(d)
		// Equal results in one file are told apart by their order.
		seen[id]++
		run.Results[i] = sarifResult{
			RuleID: d.Rule, RuleIndex: index[d.Rule], Level: d.Severity,
			Message:   sarifText{message(d)},
			Locations: locations(d),
			Prints:    map[string]string{sarifPrint: id + ":" + strconv.Itoa(seen[id])},
		}
	}
	return encode(w, sarifLog{Schema: sarifSchema, Version: sarifVersion, Runs: []sarifRun{run}})
}

// sarifRules returns the described rules and those that occur, sorted, each once.
func sarifRules(l List, rules []RuleInfo) []sarifRule {
	out := []sarifRule{}
	known := map[string]bool{}
	add := func(r RuleInfo) {
		if known[r.ID] {
			return
		}
		known[r.ID] = true
		sr := sarifRule{ID: r.ID, Short: sarifText{r.Summary}, Defaults: sarifDefault{max(r.Severity, Warning)}}
		if sr.Short.Text == "" {
			sr.Short.Text = r.ID
		}
		if r.Help != "" {
			sr.Help = &sarifText{r.Help}
		}
		out = append(out, sr)
	}
	for _, r := range rules {
		add(r)
	}
	for _, d := range l {
		add(RuleInfo{ID: d.Rule, Severity: d.Severity})
	}
	slices.SortFunc(out, func(a, b sarifRule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func message(d Diagnostic) string {
	parts := []string{d.Summary}
	for _, s := range []string{d.Detail, d.Remedy} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "\n")
}

func locations(d Diagnostic) []sarifLocation {
	if d.File == "" {
		return nil
	}
	loc := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{fileURI(d.File), sarifRoot}}}
	if len(d.Path) > 0 {
		loc.Logical = []sarifLogical{{d.Path.String()}}
	}
	if s, e := d.Range.Start, d.Range.End; !s.IsZero() {
		if e.IsZero() {
			e = Pos{s.Line, s.Column + 1}
		}
		loc.Physical.Region = &sarifRegion{s.Line, s.Column, e.Line, e.Column}
	}
	return []sarifLocation{loc}
}

// fileURI writes a relative path as a relative URI reference.
func fileURI(file string) string {
	segs := strings.Split(file, "/")
	for i, s := range segs {
		segs[i] = url.PathEscape(s)
	}
	// A colon in the first segment would read as a scheme.
	segs[0] = strings.ReplaceAll(segs[0], ":", "%3A")
	return strings.Join(segs, "/")
}

// fingerprint tells results apart across versions of a file: it holds what is
// said and about which value, not the line, which moves.
func fingerprint(d Diagnostic) string {
	h := sha256.New()
	for _, s := range []string{d.Rule, d.File, d.Path.String(), d.Summary} {
		// Writing to a hash cannot fail.
		_, _ = h.Write([]byte(strconv.Quote(s)))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
