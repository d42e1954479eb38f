package standin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Schema is what a provider's schema says of the types that are in use. Its JSON is
// the compact form that `strata schema pull` writes: an attribute is one string, its
// type followed by any of required, optional, computed and sensitive, as in
// "list(string) optional computed".
type Schema struct {
	// Generated says which command wrote the file.
	Generated string `json:"generated"`
	// Source is the provider's address, Version its version.
	Source  string `json:"source"`
	Version string `json:"version"`
	// Config is the provider's own configuration.
	Config Block `json:"config"`
	// Resources and Data are the managed resources and the data sources, by type.
	Resources map[string]Block `json:"resources"`
	Data      map[string]Block `json:"data"`
}

// Block is a set of attributes and nested blocks.
type Block struct {
	Attributes map[string]Attribute   `json:"attributes,omitempty"`
	Blocks     map[string]NestedBlock `json:"blocks,omitempty"`
}

// NestedBlock is a block within a block.
type NestedBlock struct {
	// Nesting is single, group, list, set or map.
	Nesting string `json:"nesting"`
	Min     int64  `json:"min,omitempty"`
	Max     int64  `json:"max,omitempty"`
	Block
}

// Attribute is one attribute. Either Type or Nested says what it holds.
type Attribute struct {
	Type                                    tftypes.Type
	Required, Optional, Computed, Sensitive bool
	Nested                                  *NestedAttribute
}

// NestedAttribute is an attribute whose value is an object with attributes of its
// own, or a collection of such.
type NestedAttribute struct {
	// Nesting is single, list, set or map.
	Nesting    string
	Attributes map[string]Attribute
}

type nestedJSON struct {
	Nesting    string               `json:"nesting"`
	Flags      string               `json:"flags,omitempty"`
	Attributes map[string]Attribute `json:"attributes"`
}

var flagNames = []string{"required", "optional", "computed", "sensitive"}

func (a *Attribute) flags() []*bool {
	return []*bool{&a.Required, &a.Optional, &a.Computed, &a.Sensitive}
}

func (a *Attribute) flagText() string {
	var out []string
	for i, f := range a.flags() {
		if *f {
			out = append(out, flagNames[i])
		}
	}
	return strings.Join(out, " ")
}

func (a *Attribute) setFlags(words []string) error {
	flags := a.flags()
	for _, w := range words {
		i := slices.Index(flagNames, w)
		if i < 0 {
			return fmt.Errorf("%q is none of %s", w, strings.Join(flagNames, ", "))
		}
		*flags[i] = true
	}
	return nil
}

// MarshalJSON writes the compact form.
func (a Attribute) MarshalJSON() ([]byte, error) {
	if a.Nested != nil {
		return json.Marshal(nestedJSON{a.Nested.Nesting, a.flagText(), a.Nested.Attributes})
	}
	return json.Marshal(strings.TrimSpace(typeText(a.Type) + " " + a.flagText()))
}

// UnmarshalJSON reads the compact form.
func (a *Attribute) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var n nestedJSON
		if err := json.Unmarshal(b, &n); err != nil {
			return err
		}
		if !slices.Contains([]string{"single", "list", "set", "map"}, n.Nesting) {
			return fmt.Errorf("nesting %q is none of single, list, set, map", n.Nesting)
		}
		a.Nested = &NestedAttribute{n.Nesting, n.Attributes}
		return a.setFlags(strings.Fields(n.Flags))
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	t, rest, err := parseType(s, 0)
	if err != nil {
		return fmt.Errorf("attribute %q: %w", s, err)
	}
	a.Type = t
	return a.setFlags(strings.Fields(rest))
}

// maxDepth bounds how deep types and blocks nest; no real provider comes near.
const maxDepth = 40

var errType = errors.New("not a type")

var primitives = map[string]tftypes.Type{
	"string": tftypes.String, "number": tftypes.Number, "bool": tftypes.Bool, "dynamic": tftypes.DynamicPseudoType,
}

// parseType reads a type from the beginning of s and returns what follows it.
func parseType(s string, depth int) (tftypes.Type, string, error) {
	if depth > maxDepth {
		return nil, "", fmt.Errorf("%w: it nests too deep", errType)
	}
	end := strings.IndexFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
	if end < 0 {
		end = len(s)
	}
	word, rest := s[:end], s[end:]
	if t, ok := primitives[word]; ok {
		return t, rest, nil
	}
	if word == "object" {
		return parseObject(rest, depth)
	}
	if !strings.HasPrefix(rest, "(") {
		return nil, "", fmt.Errorf("%w: %q", errType, s)
	}
	of, rest, err := parseType(rest[1:], depth+1)
	if err != nil {
		return nil, "", err
	}
	rest, ok := strings.CutPrefix(rest, ")")
	if !ok {
		return nil, "", fmt.Errorf("%w: a parenthesis is missing", errType)
	}
	switch word {
	case "list":
		return tftypes.List{ElementType: of}, rest, nil
	case "set":
		return tftypes.Set{ElementType: of}, rest, nil
	case "map":
		return tftypes.Map{ElementType: of}, rest, nil
	}
	return nil, "", fmt.Errorf("%w: %q", errType, word)
}

func parseObject(s string, depth int) (tftypes.Type, string, error) {
	s, ok := strings.CutPrefix(s, "({")
	if !ok {
		return nil, "", fmt.Errorf("%w: an object begins with ({", errType)
	}
	attrs := map[string]tftypes.Type{}
	for !strings.HasPrefix(s, "})") {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, "", fmt.Errorf("%w: an attribute of an object is NAME=TYPE", errType)
		}
		t, rest, err := parseType(rest, depth+1)
		if err != nil {
			return nil, "", err
		}
		attrs[name] = t
		s = strings.TrimPrefix(rest, ",")
		if s == rest && !strings.HasPrefix(s, "})") {
			return nil, "", fmt.Errorf("%w: a comma or }) is missing", errType)
		}
	}
	return tftypes.Object{AttributeTypes: attrs}, s[2:], nil
}

func typeText(t tftypes.Type) string {
	switch t := t.(type) {
	case tftypes.List:
		return "list(" + typeText(t.ElementType) + ")"
	case tftypes.Set:
		return "set(" + typeText(t.ElementType) + ")"
	case tftypes.Map:
		return "map(" + typeText(t.ElementType) + ")"
	case tftypes.Object:
		parts := make([]string, 0, len(t.AttributeTypes))
		for name, at := range t.AttributeTypes {
			parts = append(parts, name+"="+typeText(at))
		}
		slices.Sort(parts)
		return "object({" + strings.Join(parts, ",") + "})"
	}
	for name, p := range primitives {
		if t != nil && t.Is(p) {
			return name
		}
	}
	return "dynamic"
}

// Decode reads a schema in the compact form.
func Decode(data []byte) (*Schema, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var s Schema
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("provider schema: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("provider schema: there is more after the document")
	}
	if s.Source == "" || s.Version == "" {
		return nil, errors.New("provider schema: source or version is missing")
	}
	for _, set := range []map[string]Block{{"the provider": s.Config}, s.Resources, s.Data} {
		for name, b := range set {
			if err := b.check(0); err != nil {
				return nil, fmt.Errorf("provider schema: %s: %w", name, err)
			}
		}
	}
	return &s, nil
}

func (b Block) check(depth int) error {
	if depth > maxDepth {
		return errors.New("blocks nest too deep")
	}
	for name, n := range b.Blocks {
		if !slices.Contains([]string{"single", "group", "list", "set", "map"}, n.Nesting) {
			return fmt.Errorf("block %s: nesting %q is none of single, group, list, set, map", name, n.Nesting)
		}
		if _, twice := b.Attributes[name]; twice {
			return fmt.Errorf("%s is an attribute and a block", name)
		}
		if err := n.check(depth + 1); err != nil {
			return err
		}
	}
	return nil
}

// object is the type of a value of the block.
func (b Block) object() tftypes.Object {
	attrs := make(map[string]tftypes.Type, len(b.Attributes)+len(b.Blocks))
	for name, a := range b.Attributes {
		attrs[name] = a.typ()
	}
	for name, n := range b.Blocks {
		attrs[name] = collection(n.Nesting, n.object())
	}
	return tftypes.Object{AttributeTypes: attrs}
}

func (a Attribute) typ() tftypes.Type {
	if a.Nested == nil {
		return a.Type
	}
	return collection(a.Nested.Nesting, Block{Attributes: a.Nested.Attributes}.object())
}

func collection(nesting string, of tftypes.Type) tftypes.Type {
	switch nesting {
	case "list":
		return tftypes.List{ElementType: of}
	case "set":
		return tftypes.Set{ElementType: of}
	case "map":
		return tftypes.Map{ElementType: of}
	}
	return of
}
