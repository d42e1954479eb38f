package model

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// TemplatePart is a piece of a text with placeholders: either Text or a
// reference such as ["resources", "db", "host"].
type TemplatePart struct {
	Text string
	Ref  []string
}

// TemplateError says what is wrong with a placeholder. Offset counts
// characters from the start of the text.
type TemplateError struct {
	Offset  int
	Message string
}

// Error returns the message.
func (e *TemplateError) Error() string { return e.Message }

// ParseTemplate splits a text into literal parts and placeholders, after the
// Score specification: ${path.to.value} is a placeholder, $$ is a literal
// dollar sign, a backslash keeps a dot within a path segment, and any other
// dollar sign stands for itself. The error is a *TemplateError.
func ParseTemplate(s string) ([]TemplatePart, error) {
	if !strings.Contains(s, "$") {
		if s == "" {
			return nil, nil
		}
		return []TemplatePart{{Text: s}}, nil
	}
	var parts []TemplatePart
	var text strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$$"):
			text.WriteByte('$')
			i += 2
		case strings.HasPrefix(s[i:], "${"):
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, templateError(s, i, "the placeholder that starts with \"${\" has no closing \"}\"; write $${ for the characters themselves")
			}
			ref, err := splitRef(s[i+2 : i+end])
			if err != nil {
				return nil, templateError(s, i, err.Error())
			}
			if text.Len() > 0 {
				parts = append(parts, TemplatePart{Text: text.String()})
				text.Reset()
			}
			parts = append(parts, TemplatePart{Ref: ref})
			i += end + 1
		default:
			text.WriteByte(s[i])
			i++
		}
	}
	if text.Len() > 0 {
		parts = append(parts, TemplatePart{Text: text.String()})
	}
	return parts, nil
}

func templateError(s string, i int, msg string) error {
	return &TemplateError{Offset: utf8.RuneCountInString(s[:i]), Message: msg}
}

func splitRef(s string) ([]string, error) {
	var segs []string
	var seg strings.Builder
	flush := func() error {
		if seg.Len() == 0 {
			return fmt.Errorf("placeholder ${%s} has an empty segment; write $${%s} for the characters themselves", s, s)
		}
		segs = append(segs, seg.String())
		seg.Reset()
		return nil
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '.':
			seg.WriteByte('.')
			i++
		case s[i] == '.':
			if err := flush(); err != nil {
				return nil, err
			}
		case s[i] == ' ' || s[i] == '$' || s[i] == '{' || s[i] == '\n' || s[i] == ':':
			return nil, fmt.Errorf("placeholder ${%s} is not a path such as resources.db.host; write $${ for the characters themselves", s)
		default:
			seg.WriteByte(s[i])
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return segs, nil
}

// Lookup resolves a placeholder that starts with "metadata" to text.
func (m WorkloadMetadata) Lookup(path []string) (string, bool) {
	if len(path) == 0 {
		return "", false
	}
	switch path[0] {
	case "name":
		return m.Name, len(path) == 1
	case "team":
		return m.Team, len(path) == 1
	case "annotations":
		if len(path) == 2 {
			v, ok := m.Annotations[path[1]]
			return v, ok
		}
		return "", false
	}
	var v any = m.Extra
	for _, seg := range path {
		mm, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		if v, ok = mm[seg]; !ok {
			return "", false
		}
	}
	switch x := v.(type) {
	case string:
		return x, true
	case int64, float64, bool:
		return fmt.Sprint(x), true
	}
	return "", false
}
