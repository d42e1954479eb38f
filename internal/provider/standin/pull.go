package standin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/suggest"
)

// full is the document of `tofu providers schema -json`.
type full struct {
	Schemas map[string]struct {
		Provider  fullBlockOf            `json:"provider"`
		Resources map[string]fullBlockOf `json:"resource_schemas"`
		Data      map[string]fullBlockOf `json:"data_source_schemas"`
	} `json:"provider_schemas"`
}

type fullBlockOf struct {
	Block fullBlock `json:"block"`
}

type fullBlock struct {
	Attributes map[string]fullAttribute `json:"attributes"`
	Blocks     map[string]struct {
		Nesting string    `json:"nesting_mode"`
		Block   fullBlock `json:"block"`
		Min     int64     `json:"min_items"`
		Max     int64     `json:"max_items"`
	} `json:"block_types"`
}

type fullAttribute struct {
	Type      json.RawMessage `json:"type"`
	Required  bool            `json:"required"`
	Optional  bool            `json:"optional"`
	Computed  bool            `json:"computed"`
	Sensitive bool            `json:"sensitive"`
	Nested    *struct {
		Nesting    string                   `json:"nesting_mode"`
		Attributes map[string]fullAttribute `json:"attributes"`
	} `json:"nested_type"`
}

// Pull makes the compact schema of one provider, with the given types only, from
// the document of `tofu providers schema -json`. A type that the provider does not
// have is an error with the nearest right spelling.
func Pull(document []byte, provider, version string, resources, data []string) (*Schema, error) {
	var doc full
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("read the provider schemas: %w", err)
	}
	var have []string
	for source, p := range doc.Schemas {
		have = append(have, source)
		if source != provider && !strings.HasSuffix(source, "/"+provider) {
			continue
		}
		// The stand-in is installed under the name that OpenTofu asks for.
		parts := strings.Split(source, "/")
		s := &Schema{Source: "registry.opentofu.org/" + strings.Join(parts[max(0, len(parts)-2):], "/"), Version: version, Resources: map[string]Block{}, Data: map[string]Block{}}
		var err error
		if s.Config, err = p.Provider.Block.compact(); err != nil {
			return nil, err
		}
		if err := pick("resource", p.Resources, resources, s.Resources); err != nil {
			return nil, err
		}
		return s, pick("data source", p.Data, data, s.Data)
	}
	slices.Sort(have)
	return nil, fmt.Errorf("there is no provider %q in the document; there are: %s", provider, strings.Join(have, ", "))
}

func pick(what string, from map[string]fullBlockOf, types []string, to map[string]Block) error {
	for _, t := range types {
		b, ok := from[t]
		if !ok {
			known := make([]string, 0, len(from))
			for k := range from {
				known = append(known, k)
			}
			slices.Sort(known)
			if near := suggest.Nearest(t, known); near != "" {
				return fmt.Errorf("the provider has no %s %q; did you mean %q?", what, t, near)
			}
			return fmt.Errorf("the provider has no %s %q", what, t)
		}
		c, err := b.Block.compact()
		if err != nil {
			return fmt.Errorf("%s %s: %w", what, t, err)
		}
		to[t] = c
	}
	return nil
}

func (b fullBlock) compact() (Block, error) {
	attrs, err := compactAttributes(b.Attributes)
	out := Block{Attributes: attrs}
	if err != nil {
		return out, err
	}
	for name, n := range b.Blocks {
		inner, err := n.Block.compact()
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		if out.Blocks == nil {
			out.Blocks = map[string]NestedBlock{}
		}
		out.Blocks[name] = NestedBlock{Nesting: n.Nesting, Min: n.Min, Max: n.Max, Block: inner}
	}
	return out, nil
}

func compactAttributes(in map[string]fullAttribute) (map[string]Attribute, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make(map[string]Attribute, len(in))
	for name, a := range in {
		c := Attribute{Required: a.Required, Optional: a.Optional, Computed: a.Computed, Sensitive: a.Sensitive}
		if a.Nested != nil {
			attrs, err := compactAttributes(a.Nested.Attributes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			c.Nested = &NestedAttribute{a.Nested.Nesting, attrs}
		} else {
			text, err := ctyText(a.Type)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if c.Type, _, err = parseType(text, 0); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		out[name] = c
	}
	return out, nil
}

// ctyText turns a type as cty writes it in JSON into text.
func ctyText(raw json.RawMessage) (string, error) {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		return word, nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) < 2 || json.Unmarshal(parts[0], &word) != nil {
		return "", fmt.Errorf("%w: %s", errType, raw)
	}
	if word != "object" {
		of, err := ctyText(parts[1])
		return word + "(" + of + ")", err
	}
	var attrs map[string]json.RawMessage
	if err := json.Unmarshal(parts[1], &attrs); err != nil {
		return "", err
	}
	list := make([]string, 0, len(attrs))
	for name, t := range attrs {
		text, err := ctyText(t)
		if err != nil {
			return "", err
		}
		list = append(list, name+"="+text)
	}
	slices.Sort(list)
	return "object({" + strings.Join(list, ",") + "})", nil
}
