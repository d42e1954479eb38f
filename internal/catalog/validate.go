package catalog

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

// Problem is something wrong with parameters or with an existing block.
type Problem = model.Problem

// schemaURL names every compiled schema; each has its own compiler, so the name
// need not be unique.
const schemaURL = "contract:params"

var errRemoteRef = errors.New("a contract's schema may refer only to itself")

// noLoader keeps schemas from reading files and from calling the network.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errRemoteRef }

// compileSchema compiles the schema of a contract's parameters. A schema that
// lists properties and does not say what to do with others refuses them:
// decoding is strict everywhere, and a typing mistake must not go unnoticed.
func compileSchema(params map[string]any) (*jsonschema.Schema, error) {
	doc := map[string]any{"type": "object"}
	for k, v := range params {
		doc[k] = v
	}
	if _, ok := doc["additionalProperties"]; !ok && doc["patternProperties"] == nil && doc["$ref"] == nil && doc["allOf"] == nil {
		doc["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// ValidateParams says what is wrong with the parameters of a resource of type
// typ, sorted by path. A text parameter may hold a placeholder such as
// ${metadata.name}; what that resolves to is validated by calling ValidateParams
// again with the resolved text. An unknown type has no problems here.
func (c *Catalog) ValidateParams(typ string, params map[string]any) []Problem {
	return validateIn(c.resources, typ, params)
}

// ValidatePlatformParams is ValidateParams for a platform contract.
func (c *Catalog) ValidatePlatformParams(name string, params map[string]any) []Problem {
	return validateIn(c.platform, name, params)
}

func validateIn(set map[string]*entry, name string, params map[string]any) []Problem {
	e, ok := set[name]
	if !ok {
		return nil
	}
	schema, err := e.schema()
	if err != nil { // reported when the catalog was made
		return nil
	}
	return e.validate(schema, params)
}

func (e *entry) validate(schema *jsonschema.Schema, params map[string]any) []Problem {
	if params == nil {
		params = map[string]any{}
	}
	if p := notPlain(params); p != nil {
		return []Problem{{Path: p, Message: p.String() + " is not text, a number, true or false, a list or a mapping"}}
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(params); !errors.As(err, &invalid) {
		return nil
	}
	t := translator{typ: e.contract.Metadata.Name, schema: e.contract.Spec.Params, value: params}
	t.visit(invalid)
	return sortProblems(t.out)
}

func sortProblems(ps []Problem) []Problem {
	slices.SortFunc(ps, func(a, b Problem) int {
		if c := strings.Compare(a.Path.String(), b.Path.String()); c != 0 {
			return c
		}
		return strings.Compare(a.Message, b.Message)
	})
	return slices.CompactFunc(ps, func(a, b Problem) bool {
		return a.Message == b.Message && a.Path.String() == b.Path.String()
	})
}

// notPlain returns the path of the first value that JSON cannot hold or that is
// not of a Go type that decoders produce, and nil when there is none.
// Not-a-number and infinities, which YAML can write, have no place in a plan.
func notPlain(v any) diag.Path {
	switch v := v.(type) {
	case nil, bool, string, int, int64, uint64:
		return nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return nil
		}
	case []any:
		for i, e := range v {
			if p := notPlain(e); p != nil {
				return append(diag.Path{i}, p...)
			}
		}
		return nil
	case map[string]any:
		var first diag.Path
		least := ""
		for k, e := range v {
			if p := notPlain(e); p != nil && (first == nil || k < least) {
				first, least = append(diag.Path{k}, p...), k
			}
		}
		return first
	}
	return diag.Path{}
}

// translator turns the validator's tree of errors into problems in words.
type translator struct {
	typ    string
	schema map[string]any
	value  any
	out    []Problem
}

func (t *translator) visit(e *jsonschema.ValidationError) {
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, c := range e.Causes {
			t.visit(c)
		}
		return
	case *kind.AnyOf, *kind.OneOf:
		t.alternatives(e)
		return
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			t.unknown(e, name)
		}
		return
	}
	path, v := locate(t.value, e.InstanceLocation)
	sub := lookup(t.schema, pointer(e.SchemaURL))
	if s, ok := v.(string); ok && hasPlaceholder(s) && isText(e.ErrorKind) {
		return
	}
	msg, suggestion := say(e.ErrorKind, sub, v)
	_, missing := e.ErrorKind.(*kind.Required)
	t.out = append(t.out, Problem{Path: path, Message: t.subject(path) + msg, Suggestion: suggestion, Missing: missing})
}

// alternatives handles anyOf and oneOf: what each branch objects to would
// confuse, so the reader gets one sentence, unless only placeholders are in the
// way of a branch.
func (t *translator) alternatives(e *jsonschema.ValidationError) {
	for _, c := range e.Causes {
		branch := translator{typ: t.typ, schema: t.schema, value: t.value}
		branch.visit(c)
		if len(branch.out) == 0 {
			return
		}
	}
	path, _ := locate(t.value, e.InstanceLocation)
	msg := "has none of the allowed forms"
	if k, ok := e.ErrorKind.(*kind.OneOf); ok && len(k.Subschemas) > 0 {
		msg = "has more than one of the forms of which exactly one is allowed"
	}
	t.out = append(t.out, Problem{Path: path, Message: t.subject(path) + msg})
}

func (t *translator) unknown(e *jsonschema.ValidationError, name string) {
	path, _ := locate(t.value, e.InstanceLocation)
	props, _ := lookup(t.schema, pointer(e.SchemaURL))["properties"].(map[string]any)
	known := model.SortedKeys(props)
	msg := fmt.Sprintf("%s has no parameter %q", t.typ, name)
	if len(path) > 0 {
		msg = fmt.Sprintf("%s of %s has no %q", path, t.typ, name)
	}
	if len(known) == 0 {
		msg += ", it takes none"
	}
	t.out = append(t.out, Problem{Path: path.With(name), Message: msg, Unknown: true, Suggestion: suggest.Nearest(name, known)})
}

func (t *translator) subject(path diag.Path) string {
	if len(path) == 0 {
		return t.typ + " "
	}
	return path.String() + " "
}

// isText says that an error is about what a text holds, not about its type.
func isText(k jsonschema.ErrorKind) bool {
	switch k.(type) {
	case *kind.Pattern, *kind.Enum, *kind.Format, *kind.Const, *kind.MinLength, *kind.MaxLength:
		return true
	}
	return false
}

// hasPlaceholder reports whether s holds ${...} that is not escaped as $${.
func hasPlaceholder(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '$' {
			continue
		}
		switch s[i+1] {
		case '$':
			i++
		case '{':
			return strings.IndexByte(s[i:], '}') > 0
		}
	}
	return false
}

// locate follows a location given as texts, and returns it as a path together
// with the value there.
func locate(v any, loc []string) (diag.Path, any) {
	path := make(diag.Path, 0, len(loc))
	for _, tok := range loc {
		switch c := v.(type) {
		case map[string]any:
			path, v = append(path, tok), c[tok]
		case []any:
			i, err := strconv.Atoi(tok)
			if err != nil || i < 0 || i >= len(c) {
				return path, nil
			}
			path, v = append(path, i), c[i]
		}
	}
	return path, v
}

// pointer returns the JSON pointer of a schema's URL.
func pointer(url string) string {
	_, frag, _ := strings.Cut(url, "#")
	return frag
}

// lookup returns the schema at a JSON pointer, or nil.
func lookup(root map[string]any, ptr string) map[string]any {
	var v any = root
	for tok := range strings.SplitSeq(strings.TrimPrefix(ptr, "/"), "/") {
		if tok == "" {
			continue
		}
		tok = strings.NewReplacer("~1", "/", "~0", "~").Replace(tok)
		switch c := v.(type) {
		case map[string]any:
			v = c[tok]
		case []any:
			i, err := strconv.Atoi(tok)
			if err != nil || i < 0 || i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	s, _ := v.(map[string]any)
	return s
}
