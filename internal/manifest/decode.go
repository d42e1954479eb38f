package manifest

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/schema"
	"github.com/stratahq/strata/internal/suggest"
)

// maxNodes bounds how many nodes one document may expand to through aliases.
// A real document has a few thousand; a "billion laughs" file has billions.
const maxNodes = 200_000

// maxDepth bounds how deep a document may be nested, also by an alias of itself.
const maxDepth = 100

// maxMistakes bounds how many mistakes of one file are reported. Nobody reads
// more, and a hostile file must not make a report of gigabytes.
const maxMistakes = 200

// decoder walks a node tree into a Go value. It never stops at the first
// mistake: what does not fit is reported and left at its zero value.
type decoder struct {
	file  string
	list  *diag.List
	nodes int
	bomb  bool
	more  int // mistakes beyond maxMistakes
}

// decode reads the document in src into v, a pointer to a model type, and
// reports whether that went without an error.
func decode(file string, src []byte, v any, l *diag.List) bool {
	var own diag.List
	if root := parse(file, src, &own); root != nil {
		d := &decoder{file: file, list: &own}
		d.value(root, reflect.ValueOf(v).Elem(), nil, nil)
		if d.more > 0 {
			own.Errorf(RuleSyntax, file, nil, "%d more mistakes in this file are left out", d.more)
		}
	}
	if len(own) > 0 {
		lines := linesOf(src)
		for i := range own {
			own[i].Range = within(lines, own[i].Range)
		}
	}
	l.Add(own...)
	return !own.HasErrors()
}

func (d *decoder) errorf(n *yaml.Node, rule string, path diag.Path, format string, args ...any) *diag.Diagnostic {
	if len(*d.list) >= maxMistakes {
		d.more++
		return &diag.Diagnostic{} // the caller may fill it in; nobody reads it
	}
	e := d.list.Errorf(rule, d.file, path, format, args...)
	e.Range = rangeOf(n)
	return e
}

// enter counts a node and resolves aliases. It returns nil when the document
// expands to too many nodes.
func (d *decoder) enter(n *yaml.Node, path diag.Path) *yaml.Node {
	d.nodes++
	if d.nodes > maxNodes || len(path) > maxDepth {
		if !d.bomb {
			d.bomb = true
			if len(path) > maxDepth {
				d.errorf(n, RuleAliasBomb, path, "the document is nested more than %d levels deep", maxDepth)
				return nil
			}
			e := d.errorf(n, RuleAliasBomb, path, "the document expands to more than %d values", maxNodes)
			e.Detail = "Aliases (*name) that repeat each other grow without bound when they are expanded; such a file is refused."
			e.Remedy = "Write the repeated parts out, or split the file."
		}
		return nil
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, path diag.Path, f *schema.Field) {
	if n = d.enter(n, path); n == nil {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		v.Set(p)
		d.value(n, p.Elem(), path, f)
	case reflect.Struct:
		if d.kind(n, yaml.MappingNode, "a mapping of fields", path) {
			d.structure(n, v, path)
		}
	case reflect.Map:
		d.mapping(n, v, path, f)
	case reflect.Slice:
		d.sequence(n, v, path, f)
	case reflect.String:
		if s, ok := d.text(n, path); ok {
			d.checkText(n, s, path, f)
			v.SetString(s)
		}
	case reflect.Int:
		d.integer(n, v, path, f)
	case reflect.Bool:
		if b, ok := d.boolean(n, path); ok {
			v.SetBool(b)
		}
	case reflect.Interface:
		if x := d.any(n, path); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		panic("manifest: no decoding into " + v.Type().String())
	}
}

func (d *decoder) kind(n *yaml.Node, want yaml.Kind, says string, path diag.Path) bool {
	if n.Kind == want {
		return true
	}
	e := d.errorf(n, RuleWrongType, path, "%s must be %s, not %s", subject(path), says, describe(n))
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		e.Remedy = "Give it a value or remove the key."
	}
	return false
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path diag.Path) {
	s := schema.Of(v.Type())
	seen := map[string]*yaml.Node{}
	var rest map[string]any
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		name, ok := d.key(key, path, seen)
		if !ok {
			continue
		}
		f := s.Field(name)
		switch {
		case f != nil:
			d.value(val, v.Field(f.Index), path.With(name), f)
		case s.Rest >= 0:
			if rest == nil {
				rest = map[string]any{}
			}
			rest[name] = d.any(val, path.With(name))
		default:
			d.unknown(key, name, s, path)
		}
	}
	if rest != nil {
		v.Field(s.Rest).Set(reflect.ValueOf(rest))
	}
	var missing []string
	for _, f := range s.Fields {
		if f.Required && seen[f.Name] == nil {
			missing = append(missing, f.Name)
		}
	}
	if len(missing) > 0 {
		e := d.errorf(n, RuleMissingField, path, "%s lacks the required %s %s", subject(path), plural(len(missing), "field"), quoteAll(missing))
		if len(path) > 0 {
			// Located later: the key is a better place than the first of its fields.
			e.Range, e.OnKey = diag.Range{}, true
		}
	}
}

func (d *decoder) unknown(key *yaml.Node, name string, s *schema.Struct, path diag.Path) {
	e := d.errorf(key, RuleUnknownField, path.With(name), "unknown field %q in %s", name, subject(path))
	e.OnKey = true
	if name == "<<" {
		e.Detail = "Merge keys are not part of YAML 1.2."
		e.Remedy = "Write the fields out; an alias (*name) may stand for a whole value."
		return
	}
	if near := suggest.Nearest(name, s.Names()); near != "" {
		e.Remedy = fmt.Sprintf("Did you mean %q?", near)
		return
	}
	e.Remedy = "Fields here: " + strings.Join(s.Names(), ", ") + "."
}

// key checks a mapping key: text, and not there before.
func (d *decoder) key(n *yaml.Node, path diag.Path, seen map[string]*yaml.Node) (string, bool) {
	k := n
	for k.Kind == yaml.AliasNode {
		k = k.Alias
	}
	if k.Kind != yaml.ScalarNode {
		d.errorf(n, RuleWrongType, path, "a key of %s must be text, not %s", subject(path), describe(k))
		return "", false
	}
	if tag := k.ShortTag(); tag != "!!str" && tag != "!!merge" && tag != "!!timestamp" {
		e := d.errorf(n, RuleWrongType, path, "key %s of %s must be text, not %s", k.Value, subject(path), describe(k))
		e.Remedy = fmt.Sprintf("Quote it: %q.", k.Value)
		return "", false
	}
	if first := seen[k.Value]; first != nil {
		e := d.errorf(n, RuleDuplicateKey, path.With(k.Value), "key %q is there twice in %s", k.Value, subject(path))
		e.OnKey = true
		e.Detail = fmt.Sprintf("It stands first at line %d, column %d.", first.Line, first.Column)
		e.Remedy = "Remove one of them."
		return "", false
	}
	seen[k.Value] = n
	return k.Value, true
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path diag.Path, f *schema.Field) {
	if f != nil && f.ListKey != "" && n.Kind == yaml.SequenceNode {
		d.keyedList(n, v, path, f)
		return
	}
	if v.Type().Elem().Kind() == reflect.Interface {
		if d.kind(n, yaml.MappingNode, "a mapping", path) {
			m, _ := d.any(n, path).(map[string]any)
			v.Set(reflect.ValueOf(m).Convert(v.Type()))
		}
		return
	}
	if !d.kind(n, yaml.MappingNode, "a mapping", path) {
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	seen := map[string]*yaml.Node{}
	item := itemField(f)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, ok := d.key(n.Content[i], path, seen)
		if !ok {
			continue
		}
		at := path.With(name)
		if f != nil && f.KeyPattern != nil && !f.KeyPattern.Match(name) {
			e := d.errorf(n.Content[i], RuleInvalidValue, at, "name %q in %s must be %s", name, subject(path), f.KeyPattern.Says)
			e.OnKey = true
		}
		el := reflect.New(v.Type().Elem()).Elem()
		d.value(n.Content[i+1], el, at, item)
		if f != nil && f.ListKey != "" {
			d.noListKey(n.Content[i+1], f.ListKey, at)
		}
		out.SetMapIndex(reflect.ValueOf(name), el)
	}
	d.atLeast(n, out.Len(), path, f)
	v.Set(out)
}

// noListKey refuses, in the map form of a keyed list, the field that belongs
// to the list form.
func (d *decoder) noListKey(n *yaml.Node, key string, path diag.Path) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			e := d.errorf(n.Content[i], RuleUnknownField, path.With(key), "field %q belongs to the list form; in a mapping the key is the %s", key, key)
			e.OnKey = true
			e.Remedy = "Remove it."
		}
	}
}

// keyedList reads a list whose items name themselves as a mapping.
func (d *decoder) keyedList(n *yaml.Node, v reflect.Value, path diag.Path, f *schema.Field) {
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content))
	key := schema.Of(v.Type().Elem()).Field(f.ListKey)
	seen := map[string]*yaml.Node{}
	for i, c := range n.Content {
		el := reflect.New(v.Type().Elem()).Elem()
		d.value(c, el, path.With(i), nil)
		name := el.Field(key.Index).String()
		if name == "" {
			d.errorf(c, RuleMissingField, path.With(i), "%s lacks the required field %q", subject(path.With(i)), f.ListKey)
			continue
		}
		if first := seen[name]; first != nil {
			d.errorf(c, RuleDuplicateKey, path.With(i), "%s %q is there twice in %s", f.ListKey, name, subject(path)).
				Detail = fmt.Sprintf("It stands first at line %d, column %d.", first.Line, first.Column)
			continue
		}
		seen[name] = c
		el.Field(key.Index).SetString("")
		out.SetMapIndex(reflect.ValueOf(name), el)
	}
	v.Set(out)
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path diag.Path, f *schema.Field) {
	if !d.kind(n, yaml.SequenceNode, "a list", path) {
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	item := itemField(f)
	for i, c := range n.Content {
		d.value(c, out.Index(i), path.With(i), item)
	}
	d.atLeast(n, out.Len(), path, f)
	v.Set(out)
}

func (d *decoder) atLeast(n *yaml.Node, have int, path diag.Path, f *schema.Field) {
	if f != nil && have < f.MinItems {
		d.errorf(n, RuleInvalidValue, path, "%s needs at least %d %s", subject(path), f.MinItems, plural(f.MinItems, "entry"))
	}
}

// itemField is the field description that applies to the items of a list or map.
func itemField(f *schema.Field) *schema.Field {
	if f == nil || f.Pattern == nil && f.Enum == nil {
		return nil
	}
	return &schema.Field{Pattern: f.Pattern, Enum: f.Enum}
}

func (d *decoder) text(n *yaml.Node, path diag.Path) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		if tag := n.ShortTag(); tag == "!!str" || tag == "!!timestamp" {
			return n.Value, true
		}
	}
	e := d.errorf(n, RuleWrongType, path, "%s must be text, not %s", subject(path), describe(n))
	if n.Kind == yaml.ScalarNode && n.Value != "" {
		e.Remedy = fmt.Sprintf("Quote it: %q.", n.Value)
	}
	return "", false
}

func (d *decoder) checkText(n *yaml.Node, s string, path diag.Path, f *schema.Field) {
	if f == nil {
		return
	}
	switch {
	case f.Enum != nil && !slices.Contains(f.Enum, s):
		e := d.errorf(n, RuleInvalidValue, path, "%s must be %s, not %q", subject(path), oneOf(f.Enum), s)
		if near := suggest.Nearest(s, f.Enum); near != "" {
			e.Remedy = fmt.Sprintf("Did you mean %q?", near)
		}
	case f.Pattern != nil && !f.Pattern.Match(s):
		d.errorf(n, RuleInvalidValue, path, "%s must be %s, not %q", subject(path), f.Pattern.Says, shorten(s))
	case f.MinLength > 0 && len([]rune(s)) < f.MinLength:
		d.errorf(n, RuleInvalidValue, path, "%s must have at least %d %s", subject(path), f.MinLength, plural(f.MinLength, "character"))
	}
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value, path diag.Path, f *schema.Field) {
	x, ok := integerOf(n)
	if !ok {
		e := d.errorf(n, RuleWrongType, path, "%s must be a whole number, not %s", subject(path), describe(n))
		if n.Kind == yaml.ScalarNode {
			if _, err := strconv.Atoi(n.Value); err == nil {
				e.Remedy = "Remove the quotes: " + n.Value + "."
			}
		}
		return
	}
	if f != nil {
		switch {
		case f.Min != nil && x < int64(*f.Min), f.Max != nil && x > int64(*f.Max):
			d.errorf(n, RuleInvalidValue, path, "%s must be %s, not %d", subject(path), bounds(f), x)
		}
	}
	v.SetInt(x)
}

func (d *decoder) boolean(n *yaml.Node, path diag.Path) (bool, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		switch strings.ToLower(n.Value) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	e := d.errorf(n, RuleWrongType, path, "%s must be true or false, not %s", subject(path), describe(n))
	if n.Kind == yaml.ScalarNode {
		switch strings.ToLower(n.Value) {
		case "yes", "on", "y", "true":
			e.Remedy = "Write true, without quotes."
		case "no", "off", "n", "false":
			e.Remedy = "Write false, without quotes."
		}
	}
	return false, false
}

// any reads a free-form value: string, int64, float64, bool, nil, []any or
// map[string]any.
func (d *decoder) any(n *yaml.Node, path diag.Path) any {
	if n = d.enter(n, path); n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		seen := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if name, ok := d.key(n.Content[i], path, seen); ok {
				out[name] = d.any(n.Content[i+1], path.With(name))
			}
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			out[i] = d.any(c, path.With(i))
		}
		return out
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		if b, err := strconv.ParseBool(strings.ToLower(n.Value)); err == nil {
			return b
		}
	case "!!int":
		if x, ok := integerOf(n); ok {
			return x
		}
		d.errorf(n, RuleInvalidValue, path, "%s: the number %s does not fit 64 bits", subject(path), shorten(n.Value))
		return nil
	case "!!float":
		var x float64
		if err := n.Decode(&x); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
			return x
		}
		d.errorf(n, RuleInvalidValue, path, "%s: %s is not a number that JSON can hold", subject(path), shorten(n.Value))
		return nil
	}
	return n.Value
}

// integerOf reads a whole number. As in JSON Schema, 80.0 is one.
func integerOf(n *yaml.Node) (int64, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!float" {
		var x float64
		if err := n.Decode(&x); err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			return 0, false
		}
		return int64(x), true
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
		return 0, false
	}
	var x int64
	if err := n.Decode(&x); err != nil {
		return 0, false
	}
	return x, true
}
