package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stratahq/strata/internal/yamlout"
)

// Object is a typed Kubernetes object. Its apiVersion and kind are always set.
type Object interface {
	runtime.Object
	metav1.Object
}

// MarshalJSON returns the object as JSON without what its Go type adds and
// nobody wrote: the status, nulls, and empty structs. apiVersion comes first.
func MarshalJSON(obj Object) ([]byte, error) {
	var buf bytes.Buffer
	return appendJSON(nil, &buf, obj)
}

// MarshalYAML returns the objects as a stream of YAML documents in the order
// given, each preceded by "---".
func MarshalYAML(objs []Object) ([]byte, error) {
	var (
		buf  bytes.Buffer
		docs = make([][]byte, len(objs))
		err  error
	)
	for i, obj := range objs {
		if docs[i], err = appendJSON(nil, &buf, obj); err != nil {
			return nil, err
		}
	}
	return YAML(docs)
}

// YAML returns objects that MarshalJSON has returned as MarshalYAML does. Who
// needs both forms saves most of the work by calling it.
func YAML(docs [][]byte) ([]byte, error) {
	size := 0
	for _, doc := range docs {
		size += 2 * len(doc) // indentation makes YAML longer
	}
	out := make([]byte, 0, size)
	for _, doc := range docs {
		var err error
		out = append(out, "---\n"...)
		if out, err = yamlout.Append(out, doc); err != nil {
			return nil, fmt.Errorf("writing YAML: %w", err)
		}
	}
	return out, nil
}

func appendJSON(dst []byte, buf *bytes.Buffer, obj Object) ([]byte, error) {
	apiVersion, kind := obj.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	buf.Reset()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false) // half as long where files hold markup
	if err := enc.Encode(obj); err != nil {
		return dst, fmt.Errorf("%s %s: %w", kind, obj.GetName(), err)
	}
	dst = slices.Grow(dst, buf.Len()+32)
	dst = append(dst, `{"apiVersion":"`...)
	dst = append(dst, apiVersion...)
	dst = append(dst, `","kind":"`...)
	dst = append(dst, kind...)
	dst = append(dst, '"')
	p := pruner{src: buf.Bytes(), out: dst}
	p.pos++ // {
	p.members(true, true)
	return p.out, nil
}

// pruner copies JSON that encoding/json has written, so it is valid and has no
// white space, and leaves out noise.
type pruner struct {
	src []byte
	pos int
	out []byte
}

// value copies the next value.
func (p *pruner) value() {
	switch p.src[p.pos] {
	case '{':
		p.pos++
		p.out = append(p.out, '{')
		p.members(false, false)
	case '[':
		p.pos++
		p.out = append(p.out, '[')
		for p.src[p.pos] != ']' {
			p.value()
			if p.src[p.pos] == ',' {
				p.pos++
				p.out = append(p.out, ',')
			}
		}
		p.pos++
		p.out = append(p.out, ']')
	default:
		start := p.pos
		p.skip()
		p.out = append(p.out, p.src[start:p.pos]...)
	}
}

// members copies the members of an object up to and including its "}". At the
// top, apiVersion and kind are there already and the status is left out.
func (p *pruner) members(top, comma bool) {
	for p.src[p.pos] != '}' {
		if p.src[p.pos] == ',' {
			p.pos++
		}
		start := p.pos
		p.skip()
		key := p.src[start+1 : p.pos-1]
		p.pos++ // :
		if noise(key, p.src[p.pos:], top) {
			p.skip()
			continue
		}
		if comma {
			p.out = append(p.out, ',')
		}
		comma = true
		p.out = append(p.out, p.src[start:p.pos]...)
		p.value()
	}
	p.pos++
	p.out = append(p.out, '}')
}

// noise reports whether a member says nothing. Most empty objects do say
// something, such as podSelector: {}, so only those that Go types add are
// listed.
func noise(key, value []byte, top bool) bool {
	if value[0] == 'n' {
		return true // null
	}
	switch string(key) {
	case "apiVersion", "kind", "status":
		return top
	case "resources", "strategy", "metadata", "spec":
		return value[0] == '{' && value[1] == '}'
	}
	return false
}

// skip moves behind the next value.
func (p *pruner) skip() {
	depth := 0
	for {
		switch p.src[p.pos] {
		case '"':
			for p.pos++; p.src[p.pos] != '"'; p.pos++ {
				if p.src[p.pos] == '\\' {
					p.pos++
				}
			}
			p.pos++
		case '{', '[':
			depth++
			p.pos++
			continue
		case '}', ']':
			depth--
			p.pos++
		case ',', ':':
			p.pos++
			continue
		default: // a number, true, false or null
			for {
				c := p.src[p.pos]
				if c == ',' || c == '}' || c == ']' || c == '\n' {
					break
				}
				p.pos++
			}
		}
		if depth == 0 {
			return
		}
	}
}
