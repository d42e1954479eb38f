package manifest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/schema"
)

// subject names the value at path in a sentence.
func subject(path diag.Path) string {
	if len(path) == 0 {
		return "the document"
	}
	return path.String()
}

// describe names what a node is in a sentence.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "the boolean " + n.Value
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!str", "!!timestamp":
		return "the text " + strconv.Quote(shorten(n.Value))
	}
	return "a value tagged " + strconv.Quote(shorten(n.ShortTag()))
}

func shorten(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	if stem, ok := strings.CutSuffix(word, "y"); ok {
		return stem + "ies"
	}
	return word + "s"
}

func quoteAll(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = strconv.Quote(n)
	}
	return strings.Join(q, ", ")
}

func oneOf(names []string) string {
	if len(names) == 1 {
		return strconv.Quote(names[0])
	}
	return "one of " + strings.Join(names, ", ")
}

func bounds(f *schema.Field) string {
	switch {
	case f.Min != nil && f.Max != nil:
		return fmt.Sprintf("from %d to %d", *f.Min, *f.Max)
	case f.Min != nil:
		return fmt.Sprintf("at least %d", *f.Min)
	}
	return fmt.Sprintf("at most %d", *f.Max)
}
