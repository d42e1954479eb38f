// Package manifest turns bytes into the model: it reads a repository, decodes
// each document strictly and knows where every value stands. It refuses what is
// malformed, oversized or outside the repository; whether documents fit together is package model's
// business.
package manifest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/diag"
)

// MaxFileSize is the largest YAML file that is read, in bytes. A Score file may
// carry files as content, and a ConfigMap holds one mebibyte.
const MaxFileSize = 2 << 20

// Rules of this package. Each has fixtures in testdata/rules.
const (
	RuleSyntax        = "yaml-syntax"
	RuleUnknownField  = "unknown-field"
	RuleWrongType     = "wrong-type"
	RuleMissingField  = "missing-field"
	RuleDuplicateKey  = "duplicate-key"
	RuleMultipleDocs  = "multiple-documents"
	RuleInvalidValue  = "invalid-value"
	RuleAliasBomb     = "alias-bomb"
	RuleFileTooLarge  = "file-too-large"
	RuleUnsafePath    = "unsafe-path"
	RuleMissingFile   = "missing-file"
	RuleNameMismatch  = "name-mismatch"
	RuleIgnoredFile   = "ignored-file"
	RuleUnreadable    = "unreadable-file"
	RuleMissingSource = "missing-source"
)

// parse reads the one YAML document in src. On failure it returns nil and adds
// to l what is wrong and where.
func parse(file string, src []byte, l *diag.List) *yaml.Node {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if i := firstInvalidUTF8(src); i >= 0 {
		d := l.Errorf(RuleSyntax, file, nil, "the file is not UTF-8 text")
		d.Range.Start = posAt(src, i)
		d.Remedy = "Save the file as UTF-8."
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(src))
	if err != nil {
		l.Errorf(RuleSyntax, file, nil, "cannot read YAML: %v", err)
		return nil
	}
	var doc, next yaml.Node
	if err := loader.Load(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			d := l.Errorf(RuleMissingField, file, nil, "the file is empty")
			d.Range.Start = diag.Pos{Line: 1, Column: 1}
			return nil
		}
		syntaxError(file, src, err, l)
		return nil
	}
	root := &doc
	if root.Kind == yaml.DocumentNode {
		if len(root.Content) == 0 {
			d := l.Errorf(RuleMissingField, file, nil, "the file is empty")
			d.Range.Start = diag.Pos{Line: 1, Column: 1}
			return nil
		}
		root = root.Content[0]
	}
	if err := loader.Load(&next); err == nil {
		at := &next
		if next.Kind == yaml.DocumentNode && len(next.Content) > 0 {
			at = next.Content[0]
		}
		d := l.Errorf(RuleMultipleDocs, file, nil, "the file holds more than one YAML document")
		d.Range.Start = diag.Pos{Line: at.Line, Column: at.Column}
		d.Remedy = "Put each document into a file of its own."
	} else if !errors.Is(err, io.EOF) {
		syntaxError(file, src, err, l)
		return nil
	}
	return root
}

func syntaxError(file string, src []byte, err error, l *diag.List) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		d := l.Errorf(RuleSyntax, file, nil, "invalid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		d.Range.Start = diag.Pos{Line: 1, Column: 1}
		return
	}
	d := l.Errorf(RuleSyntax, file, nil, "invalid YAML: %s", le.Message)
	if le.ContextMsg != "" {
		d.Detail = "This happened " + le.ContextMsg + "."
	}
	d.Range.Start = diag.Pos{Line: max(le.Mark.Line, 1), Column: max(le.Mark.Column, 1)}
	if i := bytes.IndexFunc(src, forbidden); i >= 0 && le.Mark.Line == 0 {
		d.Range.Start = posAt(src, i)
	}
	if strings.Contains(le.Message, "cannot start any token") {
		d.Remedy = "YAML is indented with spaces, never with tabs; a value that starts with @, ` or % needs quotes."
	}
}

// forbidden reports whether the parser refuses a character wherever it stands. It
// does not say where.
func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
}

func firstInvalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}

// posAt returns the place of byte offset i in src.
func posAt(src []byte, i int) diag.Pos {
	before := linesOf(src[:i])
	return diag.Pos{Line: len(before), Column: utf8.RuneCountInString(before[len(before)-1]) + 1}
}

// lineBreaks makes every line break that the parser counts a line feed.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

func linesOf(src []byte) []string {
	return strings.Split(lineBreaks.Replace(string(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")))), "\n")
}

// within keeps a range inside its text: the parser sees a line after a last line
// without an end, and the end of a scalar that is folded over several lines is not known.
func within(lines []string, r diag.Range) diag.Range {
	if last := len(lines); r.Start.Line > last {
		return diag.Range{Start: diag.Pos{Line: last, Column: utf8.RuneCountInString(lines[last-1]) + 1}}
	}
	if !r.End.IsZero() && r.End.Column > utf8.RuneCountInString(lines[r.End.Line-1])+1 {
		r.End = diag.Pos{}
	}
	return r
}

// rangeOf returns where node n stands. Only plain and quoted scalars on one
// line get an end; for the rest the start says enough.
func rangeOf(n *yaml.Node) diag.Range {
	r := diag.Range{Start: diag.Pos{Line: n.Line, Column: n.Column}}
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.ContainsAny(n.Value, "\n\\\"'") {
		return r
	}
	width := utf8.RuneCountInString(n.Value)
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return r
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		width += 2
	}
	r.End = diag.Pos{Line: n.Line, Column: n.Column + width}
	return r
}
