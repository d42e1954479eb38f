package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/diag"
)

// Bounds of a file of foreign Kubernetes objects.
const (
	// maxObjectsFile bounds the file's size.
	maxObjectsFile = 32 << 20
	// maxDepth bounds how deep values nest.
	maxDepth = 128
	// maxAliased bounds how many values aliases may add to a file: a few lines
	// of YAML can otherwise stand for more values than memory holds.
	maxAliased = 100_000
)

// DecodeObjects reads Kubernetes objects from YAML (or JSON): any number of
// documents, with a List's items as objects of their own. Each object keeps the
// line on which it begins. Objects that could be read are returned even when
// there are diagnostics.
func DecodeObjects(data []byte, filename string) ([]Object, diag.List) {
	d := &objectDecoder{file: filename, left: maxAliased}
	if len(data) > maxObjectsFile {
		d.diags.Errorf("objects-size", filename, nil, "the file has %d bytes; at most %d are read", len(data), maxObjectsFile)
		return nil, d.diags
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return d.objects, d.diags
		}
		if err != nil {
			d.syntax(err)
			return d.objects, d.diags
		}
		if len(doc.Content) == 1 {
			d.document(doc.Content[0])
		}
	}
}

type objectDecoder struct {
	file    string
	objects []Object
	diags   diag.List
	left    int // values that aliases may still add
}

func (d *objectDecoder) errorf(n *yaml.Node, rule, format string, args ...any) {
	d.diags.Errorf(rule, d.file, nil, format, args...).Range.Start = diag.Pos{Line: n.Line, Column: n.Column}
}

func (d *objectDecoder) syntax(err error) {
	item := d.diags.Errorf("objects-syntax", d.file, nil, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	var le *yaml.LoadError
	if errors.As(err, &le) && le.Mark.Line > 0 {
		item.Range.Start = diag.Pos{Line: le.Mark.Line, Column: max(le.Mark.Column, 1)}
	}
}

func (d *objectDecoder) document(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" { // an empty document
		return
	}
	v, ok := d.value(n, 0, false)
	if !ok {
		return
	}
	d.object(n, v, 0)
}

func (d *objectDecoder) object(n *yaml.Node, v any, depth int) {
	m, ok := v.(map[string]any)
	if !ok {
		d.errorf(n, "objects-shape", "a Kubernetes object is a mapping")
		return
	}
	kind, _ := m["kind"].(string)
	if kind == "" {
		d.errorf(n, "objects-shape", "the object has no kind")
		return
	}
	items, ok := m["items"].([]any)
	if !ok || !strings.HasSuffix(kind, "List") || depth > 0 {
		d.objects = append(d.objects, Object{Value: m, Line: n.Line})
		return
	}
	at := n
	var nodes []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "items" {
			nodes = resolve(n.Content[i+1]).Content
		}
	}
	for i, item := range items {
		if i < len(nodes) {
			at = resolve(nodes[i])
		}
		d.object(at, item, depth+1)
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// value converts a node to decoded JSON. It reports false after a diagnostic.
func (d *objectDecoder) value(n *yaml.Node, depth int, aliased bool) (any, bool) {
	if depth > maxDepth {
		d.errorf(n, "objects-depth", "values nest deeper than %d levels", maxDepth)
		return nil, false
	}
	if aliased {
		if d.left--; d.left == 0 {
			d.errorf(n, "objects-aliases", "aliases stand for more than %d values", maxAliased)
		}
		if d.left <= 0 {
			return nil, false
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		if n.Alias == nil {
			d.errorf(n, "objects-syntax", "unknown alias %q", n.Value)
			return nil, false
		}
		return d.value(n.Alias, depth+1, true)
	case yaml.MappingNode:
		return d.mapping(n, depth, aliased)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, ok := d.value(c, depth+1, aliased)
			if !ok {
				return nil, false
			}
			out = append(out, v)
		}
		return out, true
	case yaml.ScalarNode:
		return d.scalar(n)
	}
	d.errorf(n, "objects-syntax", "unexpected YAML")
	return nil, false
}

func (d *objectDecoder) mapping(n *yaml.Node, depth int, aliased bool) (any, bool) {
	out := make(map[string]any, len(n.Content)/2)
	merged := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := resolve(n.Content[i])
		if k.Kind != yaml.ScalarNode {
			d.errorf(k, "objects-shape", "a key must be a text")
			return nil, false
		}
		v, ok := d.value(n.Content[i+1], depth+1, aliased)
		if !ok {
			return nil, false
		}
		if k.ShortTag() == "!!merge" {
			if !mergeInto(merged, v) {
				d.errorf(k, "objects-shape", "<< needs a mapping, or a list of mappings")
				return nil, false
			}
			continue
		}
		if _, twice := out[k.Value]; twice {
			d.errorf(k, "objects-duplicate", "key %q is there twice", k.Value)
			return nil, false
		}
		out[k.Value] = v
	}
	for k, v := range merged {
		if _, own := out[k]; !own {
			out[k] = v
		}
	}
	return out, true
}

// mergeInto adds what << names; what was named earlier wins.
func mergeInto(out map[string]any, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if _, have := out[k]; !have {
				out[k] = e
			}
		}
		return true
	case []any:
		for _, e := range v {
			m, ok := e.(map[string]any)
			if !ok {
				return false
			}
			mergeInto(out, m)
		}
		return true
	}
	return false
}

// oldBooleans are words that kubectl, which reads YAML 1.1, takes for booleans.
// A pod with `privileged: yes` must be judged as the cluster would run it.
var oldBooleans = map[string]bool{
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false,
}

func (d *objectDecoder) scalar(n *yaml.Node) (any, bool) {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			d.errorf(n, "objects-syntax", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
			return nil, false
		}
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			d.errorf(n, "objects-shape", "%s is no number of JSON", n.Value)
			return nil, false
		}
		switch v.(type) {
		case bool, string:
			return v, true
		}
		raw, err := json.Marshal(v)
		if err != nil {
			d.errorf(n, "objects-shape", "%v", fmt.Errorf("number %s: %w", n.Value, err))
			return nil, false
		}
		return json.Number(raw), true
	case "!!str":
		if b, ok := oldBooleans[n.Value]; ok && n.Style&quoted == 0 {
			return b, true
		}
	}
	return n.Value, true // timestamps and other tags are texts to Kubernetes
}
