// Package schema reads the struct tags of the model's types and says what each
// field is: its name, description, bounds and default. The strict decoder, the
// published JSON Schemas and `strata explain` share this one description, so
// that they cannot disagree. It decodes nothing itself.
//
// The tags are `json` (the field's name), `doc` (its description) and `rule`, a
// list separated by semicolons:
//
//	required          the field must be there
//	enum=a|b          one of these strings (of each item, for a list)
//	pattern=NAME      a named pattern of Patterns (of each item or map value)
//	keypattern=NAME   a named pattern for the keys of a map
//	min=N, max=N      bounds of a number, inclusive
//	minlength=N       fewest characters
//	minitems=N        fewest items of a list or entries of a map
//	default=VALUE     what an absent field means
//	listkey=NAME      a map that may also be written as a list whose items
//	                  carry their key in field NAME (an old form of Score)
//	exactlyone        exactly one of the fields so marked must be there
//	atleastone        at least one of the fields so marked must be there
//	rest              takes every field that no other field names
package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Field describes one field of a struct type.
type Field struct {
	Name       string
	Doc        string
	Index      int
	Type       reflect.Type
	Required   bool
	Enum       []string
	Pattern    *Pattern
	KeyPattern *Pattern
	Min, Max   *int
	MinLength  int
	MinItems   int
	Default    string
	ListKey    string
	exactlyOne bool
	atLeastOne bool
}

// Struct describes a struct type.
type Struct struct {
	Fields []Field
	// Rest is the index of the field that takes unknown keys, or -1.
	Rest int
	// ExactlyOne and AtLeastOne name the fields of which exactly one, or at
	// least one, must be there.
	ExactlyOne, AtLeastOne []string
	byName                 map[string]int
}

// Field returns the field of that name, or nil.
func (s *Struct) Field(name string) *Field {
	if i, ok := s.byName[name]; ok {
		return &s.Fields[i]
	}
	return nil
}

// Names returns the names of all fields in order of declaration.
func (s *Struct) Names() []string {
	out := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		out[i] = f.Name
	}
	return out
}

var cache sync.Map // reflect.Type → *Struct

// Of returns the description of struct type t. It panics when a tag is
// malformed: that is a mistake in Strata, which the package's tests find.
func Of(t reflect.Type) *Struct {
	if s, ok := cache.Load(t); ok {
		return s.(*Struct)
	}
	s := &Struct{Rest: -1, byName: map[string]int{}}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Tag.Get("rule") == "rest" {
			s.Rest = i
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		f := Field{Name: name, Doc: sf.Tag.Get("doc"), Index: i, Type: sf.Type}
		if err := f.parse(sf.Tag.Get("rule")); err != nil {
			panic(fmt.Sprintf("schema: %s.%s: %v", t, sf.Name, err))
		}
		if f.exactlyOne {
			s.ExactlyOne = append(s.ExactlyOne, name)
		}
		if f.atLeastOne {
			s.AtLeastOne = append(s.AtLeastOne, name)
		}
		s.byName[name] = len(s.Fields)
		s.Fields = append(s.Fields, f)
	}
	actual, _ := cache.LoadOrStore(t, s)
	return actual.(*Struct)
}

func (f *Field) parse(tag string) error {
	if tag == "" {
		return nil
	}
	for part := range strings.SplitSeq(tag, ";") {
		key, val, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "required":
			f.Required = true
		case "enum":
			f.Enum = strings.Split(val, "|")
		case "pattern":
			f.Pattern, err = lookup(val)
		case "keypattern":
			f.KeyPattern, err = lookup(val)
		case "min":
			f.Min, err = number(val)
		case "max":
			f.Max, err = number(val)
		case "minlength":
			f.MinLength, err = strconv.Atoi(val)
		case "minitems":
			f.MinItems, err = strconv.Atoi(val)
		case "default":
			f.Default = val
		case "listkey":
			f.ListKey = val
		case "exactlyone":
			f.exactlyOne = true
		case "atleastone":
			f.atLeastOne = true
		default:
			err = fmt.Errorf("unknown rule %q", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func number(s string) (*int, error) {
	n, err := strconv.Atoi(s)
	return &n, err
}

func lookup(name string) (*Pattern, error) {
	if p, ok := Patterns[name]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("unknown pattern %q", name)
}
