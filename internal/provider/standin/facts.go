package standin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Facts are what is known of a provider's resource types beyond their schema, by
// type.
type Facts map[string]TypeFacts

// TypeFacts are the facts of one type. Templates name attributes in braces, as in
// "{role}/{policy_arn}", and account_id, region, partition and hash.
type TypeFacts struct {
	// ID is the template of the attribute id; without it an id is IDPrefix and a
	// hash.
	ID       string `yaml:"id"`
	IDPrefix string `yaml:"idPrefix"`
	// Key lists the attributes that must be unique among objects of the type, in
	// the order of their weight.
	Key []string `yaml:"key"`
	// Upsert types overwrite an object with the same key instead of refusing it.
	Upsert bool `yaml:"upsert"`
	// Import is the template of the id that an object is imported by; without it
	// that is id.
	Import string `yaml:"import"`
	// Replaces lists the attributes whose change makes another object.
	Replaces []string `yaml:"replaces"`
	// Defaults are values of attributes that are computed when not set.
	Defaults map[string]any `yaml:"defaults"`
	// Values are templates of computed attributes.
	Values map[string]string `yaml:"values"`
	// Template names the attribute with a template of CloudFormation, whose Outputs
	// are the keys of the attribute outputs.
	Template string `yaml:"template"`
	// Protection names the attribute that, when true, refuses deletion.
	Protection string `yaml:"protection"`
	// ARN is the part of an ARN that names the type, as in "ec2:vpc"; lists of
	// what a cloud has are matched by it.
	ARN string `yaml:"arn"`
	// Attributes are attributes that the schema at hand lacks, in its compact form:
	// documents without descriptions have lost those that are called description.
	Attributes map[string]string `yaml:"attributes"`
}

// DecodeFacts reads a file of facts: types and their facts, in YAML. Unknown fields
// are errors.
func DecodeFacts(data []byte) (Facts, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	out := Facts{}
	if err := d.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("facts: %w", err)
	}
	return out, nil
}

// Merge adds other's types to f; a type that both have is an error.
func (f Facts) Merge(other Facts) error {
	for t, facts := range other {
		if _, twice := f[t]; twice {
			return fmt.Errorf("facts: %s is there twice", t)
		}
		f[t] = facts
	}
	return nil
}

// Complete adds the attributes that facts know and the schema lacks.
func (s *Schema) Complete(f Facts) error {
	for typ, facts := range f {
		b, ok := s.Resources[typ]
		if !ok {
			continue
		}
		for name, text := range facts.Attributes {
			if _, there := b.Attributes[name]; there {
				continue
			}
			var a Attribute
			if err := a.UnmarshalJSON([]byte(strconv.Quote(text))); err != nil {
				return fmt.Errorf("facts: %s.%s: %w", typ, name, err)
			}
			b.Attributes[name] = a
		}
	}
	return nil
}

// ImportID returns the id by which an object of a type is imported, made of its
// configured attributes, as JSON decodes them. It is false when those do not say
// it: the cloud chose the id, or an attribute is not known.
func (f Facts) ImportID(typ string, attrs map[string]any) (string, bool) {
	tf, ok := f[typ]
	if !ok {
		return "", false
	}
	template := tf.Import
	if template == "" {
		template = tf.ID
	}
	if template == "" {
		return "", false
	}
	return expand(template, func(name string) (string, bool) { return scalar(attrs[name]) })
}

// expand fills in a template; it is false when a name has no value.
func expand(template string, value func(string) (string, bool)) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", false
		}
		v, ok := value(name)
		if !ok || v == "" {
			return "", false
		}
		b.WriteString(v)
		template = after
	}
}

// scalar is the text of a plain value; false for anything else.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return fmt.Sprint(v), true
	case json.Number:
		return string(v), true
	case float64:
		b, err := json.Marshal(v)
		return string(b), err == nil
	}
	return "", false
}
