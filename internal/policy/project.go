package policy

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// project appends the JSON of the part of v that s names. Values are decoded
// JSON (map[string]any and so on) or Go structs with json tags; for the latter it
// writes what encoding/json would, but only what is asked for.
//
// A value that s names without reading it whole is written as an empty value of
// its type: that it is there can be seen, what it is cannot.
func project(b []byte, v any, s *shape) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return projectText(b, v, s), nil
	case bool:
		return strconv.AppendBool(b, v && s.whole), nil
	case json.Number:
		return projectNumber(b, string(v), s), nil
	case float64:
		if !s.whole {
			return append(b, '0'), nil
		}
	case map[string]any:
		return projectMap(b, v, s)
	case []any:
		return projectList(b, v, s)
	}
	return projectValue(b, reflect.ValueOf(v), s)
}

func projectMap(b []byte, m map[string]any, s *shape) ([]byte, error) {
	keys := s.order
	if s.whole || s.each != nil {
		keys = slices.Sorted(maps.Keys(m))
	}
	b = append(b, '{')
	first := true
	var err error
	for _, k := range keys {
		v, ok := m[k]
		if !ok {
			continue
		}
		b = appendKey(b, k, &first)
		if b, err = project(b, v, s.child(k)); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func projectList(b []byte, list []any, s *shape) ([]byte, error) {
	b = append(b, '[')
	if s.whole || s.each != nil {
		var err error
		for i, e := range list {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = project(b, e, s.item()); err != nil {
				return nil, err
			}
		}
	}
	return append(b, ']'), nil
}

// child is the shape of member k of a sealed shape.
func (s *shape) child(k string) *shape {
	if s.whole {
		return wholeShape
	}
	if c := s.keys[k]; c != nil {
		return c
	}
	return s.each
}

// item is the shape of a list's elements.
func (s *shape) item() *shape {
	if s.whole {
		return wholeShape
	}
	return s.each
}

func projectValue(b []byte, v reflect.Value, s *shape) ([]byte, error) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		if v.Kind() == reflect.Interface {
			return project(b, v.Interface(), s)
		}
		if v.Elem().Kind() == reflect.Struct && custom(v.Type()) {
			break
		}
		v = v.Elem()
	}
	if custom(v.Type()) {
		return projectMarshalled(b, v, s)
	}
	switch v.Kind() {
	case reflect.String:
		return projectText(b, v.String(), s), nil
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool() && s.whole), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if !s.whole {
			return append(b, '0'), nil
		}
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !s.whole {
			return append(b, '0'), nil
		}
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case reflect.Struct:
		return projectStruct(b, v, s)
	case reflect.Slice, reflect.Array:
		return projectSlice(b, v, s)
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String && !custom(v.Type().Key()) {
			return projectTypedMap(b, v, s)
		}
	}
	return projectMarshalled(b, v, s)
}

func projectStruct(b []byte, v reflect.Value, s *shape) ([]byte, error) {
	t := fieldsOf(v.Type())
	b = append(b, '{')
	first := true
	write := func(f *field, c *shape) error {
		fv, err := v.FieldByIndexErr(f.index)
		if err != nil { // below a nil embedded pointer: absent, as in encoding/json
			return nil
		}
		if f.omitEmpty && empty(fv) || f.omitZero && zero(fv) {
			return nil
		}
		b = appendKey(b, f.name, &first)
		b, err = projectValue(b, fv, c)
		return err
	}
	if s.whole || s.each != nil {
		for i := range t.list {
			if err := write(&t.list[i], s.child(t.list[i].name)); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	for _, k := range s.order {
		if f := t.byName[k]; f != nil {
			if err := write(f, s.keys[k]); err != nil {
				return nil, err
			}
		}
	}
	return append(b, '}'), nil
}

func projectSlice(b []byte, v reflect.Value, s *shape) ([]byte, error) {
	if v.Kind() == reflect.Slice {
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return projectText(b, base64.StdEncoding.EncodeToString(v.Bytes()), s), nil
		}
	}
	b = append(b, '[')
	if s.whole || s.each != nil {
		var err error
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = projectValue(b, v.Index(i), s.item()); err != nil {
				return nil, err
			}
		}
	}
	return append(b, ']'), nil
}

func projectTypedMap(b []byte, v reflect.Value, s *shape) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	b = append(b, '{')
	first := true
	write := func(k string, e reflect.Value) (err error) {
		b = appendKey(b, k, &first)
		b, err = projectValue(b, e, s.child(k))
		return err
	}
	if s.whole || s.each != nil {
		keys := make([]reflect.Value, 0, v.Len())
		for iter := v.MapRange(); iter.Next(); {
			keys = append(keys, iter.Key())
		}
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			if err := write(k.String(), v.MapIndex(k)); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	for _, k := range s.order {
		if e := v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key())); e.IsValid() {
			if err := write(k, e); err != nil {
				return nil, err
			}
		}
	}
	return append(b, '}'), nil
}

// projectMarshalled handles what only encoding/json knows how to write: types
// with their own MarshalJSON, such as quantities and times.
func projectMarshalled(b []byte, v reflect.Value, s *shape) ([]byte, error) {
	if v.CanAddr() && v.Kind() == reflect.Struct {
		v = v.Addr()
	}
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		return nil, fmt.Errorf("encode %s for policy: %w", v.Type(), err)
	}
	if s.whole {
		return append(b, raw...), nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("decode %s for policy: %w", v.Type(), err)
	}
	return project(b, plain, s)
}

func projectText(b []byte, v string, s *shape) []byte {
	if !s.whole {
		v = s.text(v)
	}
	return appendString(b, v)
}

func projectNumber(b []byte, v string, s *shape) []byte {
	if !s.whole {
		v = "0"
	}
	return append(b, v...)
}

func appendKey(b []byte, k string, first *bool) []byte {
	if !*first {
		b = append(b, ',')
	}
	*first = false
	return append(appendString(b, k), ':')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			raw, _ := json.Marshal(s) // a string cannot fail
			return append(b, raw...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// field is one member of a struct, as encoding/json sees it.
type field struct {
	name                string
	index               []int
	omitEmpty, omitZero bool
}

type structFields struct {
	list   []field
	byName map[string]*field
}

var (
	structCache sync.Map // reflect.Type → *structFields
	customCache sync.Map // reflect.Type → bool
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// custom reports whether a type writes its own JSON.
func custom(t reflect.Type) bool {
	if c, ok := customCache.Load(t); ok {
		return c.(bool)
	}
	c := t.Implements(jsonMarshaler) || t.Implements(textMarshaler)
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		p := reflect.PointerTo(t)
		c = c || p.Implements(jsonMarshaler) || p.Implements(textMarshaler)
	}
	customCache.Store(t, c)
	return c
}

func fieldsOf(t reflect.Type) *structFields {
	if f, ok := structCache.Load(t); ok {
		return f.(*structFields)
	}
	out := &structFields{byName: map[string]*field{}}
	for _, sf := range reflect.VisibleFields(t) {
		tag := sf.Tag.Get("json")
		name, opts, _ := strings.Cut(tag, ",")
		if tag == "-" || !sf.IsExported() || sf.Anonymous && name == "" {
			continue
		}
		// A field below an embedded struct that has a name of its own, or is
		// left out, is not a member of the outer object.
		if hidden(t, sf.Index) {
			continue
		}
		if name == "" {
			name = sf.Name
		}
		out.list = append(out.list, field{
			name: name, index: sf.Index,
			omitEmpty: hasOption(opts, "omitempty"), omitZero: hasOption(opts, "omitzero"),
		})
	}
	for i := range out.list {
		if have := out.byName[out.list[i].name]; have == nil || len(have.index) > len(out.list[i].index) {
			out.byName[out.list[i].name] = &out.list[i]
		}
	}
	actual, _ := structCache.LoadOrStore(t, out)
	return actual.(*structFields)
}

func hidden(t reflect.Type, index []int) bool {
	for n := 1; n < len(index); n++ {
		outer := t.FieldByIndex(index[:n])
		if name, _, _ := strings.Cut(outer.Tag.Get("json"), ","); name != "" {
			return true
		}
	}
	return false
}

func hasOption(opts, want string) bool { return slices.Contains(strings.Split(opts, ","), want) }

// empty is encoding/json's omitempty.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// zero is encoding/json's omitzero.
func zero(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return v.Kind() == reflect.Pointer && v.IsNil() || z.IsZero()
	}
	if v.CanAddr() {
		if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
	}
	return v.IsZero()
}
