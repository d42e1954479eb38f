package manifest

import (
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/diag"
)

// Locate fills in the place of every diagnostic that names a file and a path
// but no place yet. read returns the content of a file of the repository, or
// nil. Where a path leads to nothing, the nearest value above it is named: a
// diagnostic about something missing points at what lacks it.
func Locate(l diag.List, read func(file string) []byte) {
	type text struct {
		root  *yaml.Node
		lines []string
	}
	texts := map[string]text{}
	for i := range l {
		d := &l[i]
		if d.File == "" || !d.Range.Start.IsZero() {
			continue
		}
		t, ok := texts[d.File]
		if !ok {
			var ignored diag.List
			if src := read(d.File); src != nil {
				t = text{parse(d.File, src, &ignored), linesOf(src)}
			}
			texts[d.File] = t
		}
		if t.root != nil {
			d.Range = within(t.lines, find(t.root, d.Path, d.OnKey))
		}
	}
}

func find(n *yaml.Node, path diag.Path, onKey bool) diag.Range {
	at := rangeOf(n)
	for i, elem := range path {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		key, val := child(n, elem)
		if val == nil {
			return at
		}
		n, at = val, rangeOf(val)
		// A block mapping or list starts a line below its key; the key is the
		// better place to point at.
		if key != nil && (onKey && i == len(path)-1 || val.Kind != yaml.ScalarNode && val.Line > key.Line) {
			at = rangeOf(key)
		}
	}
	return at
}

// child returns the key and value nodes of elem within n; key is nil in lists.
func child(n *yaml.Node, elem any) (key, val *yaml.Node) {
	switch e := elem.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && e < len(n.Content) {
			return nil, n.Content[e]
		}
	case string:
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == e {
					return n.Content[i], n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			return keyedItem(n, e)
		}
	}
	return nil, nil
}

// keyedItem finds, in the list form of a keyed list, the item that names
// itself e, or has the index e.
func keyedItem(n *yaml.Node, e string) (key, val *yaml.Node) {
	for _, item := range n.Content {
		if _, target := child(item, "target"); target != nil && target.Value == e {
			return nil, item
		}
	}
	if i, err := strconv.Atoi(e); err == nil && i >= 0 && i < len(n.Content) {
		return nil, n.Content[i]
	}
	return nil, nil
}
