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
		syntaxError(file, err, l)
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
		syntaxError(file, err, l)
		return nil
	}
	return root
}

func syntaxError(file string, err error, l *diag.List) {
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
	if strings.Contains(le.Message, "cannot start any token") {
		d.Remedy = "YAML is indented with spaces, never with tabs; a value that starts with @, ` or % needs quotes."
	}
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
	before := src[:i]
	line := bytes.Count(before, []byte("\n")) + 1
	if j := bytes.LastIndexByte(before, '\n'); j >= 0 {
		before = before[j+1:]
	}
	return diag.Pos{Line: line, Column: utf8.RuneCount(before) + 1}
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
