package catalog

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/stratahq/strata/internal/suggest"
)

// say puts one validation error into words that follow the parameter's name,
// and suggests a value where one is close. sub is the schema that was not met
// and v the value that did not meet it.
func say(k jsonschema.ErrorKind, sub map[string]any, v any) (msg, suggestion string) {
	unit, _ := sub[keyUnit].(string)
	if unit != "" {
		unit = " " + unit
	}
	switch k := k.(type) {
	case *kind.Type:
		return sayType(k, v), ""
	case *kind.Enum:
		words := make([]string, len(k.Want))
		for i, w := range k.Want {
			words[i] = fmt.Sprint(w)
		}
		s, _ := v.(string)
		return fmt.Sprintf("must be %s, not %s", orList(words), literal(v)), suggest.Nearest(s, words)
	case *kind.Const:
		return fmt.Sprintf("must be %s, not %s", literal(k.Want), literal(v)), ""
	case *kind.Minimum:
		return fmt.Sprintf("must be at least %s%s, not %s", rat(k.Want), unit, literal(v)), ""
	case *kind.Maximum:
		return fmt.Sprintf("must be at most %s%s, not %s", rat(k.Want), unit, literal(v)), ""
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("must be more than %s%s, not %s", rat(k.Want), unit, literal(v)), ""
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("must be less than %s%s, not %s", rat(k.Want), unit, literal(v)), ""
	case *kind.MultipleOf:
		return fmt.Sprintf("must be a multiple of %s%s, not %s", rat(k.Want), unit, literal(v)), ""
	case *kind.Pattern, *kind.Format:
		if f := form(sub); f != "" {
			return fmt.Sprintf("must be %s, not %s", f, literal(v)), ""
		}
		return fmt.Sprintf("does not have the required form: %s", literal(v)), ""
	case *kind.MinLength:
		if k.Got == 0 {
			return "must not be empty", ""
		}
		return fmt.Sprintf("must have at least %d characters, not %d", k.Want, k.Got), ""
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters, not %d", k.Want, k.Got), ""
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items, not %d", k.Want, k.Got), ""
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items, not %d", k.Want, k.Got), ""
	case *kind.UniqueItems:
		return fmt.Sprintf("must not hold a value twice; items %d and %d are equal", k.Duplicates[0]+1, k.Duplicates[1]+1), ""
	case *kind.MinProperties:
		if k.Got == 0 {
			return "must not be empty", ""
		}
		return fmt.Sprintf("must have at least %d entries, not %d", k.Want, k.Got), ""
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d entries, not %d", k.Want, k.Got), ""
	case *kind.PropertyNames:
		return fmt.Sprintf("cannot have the key %q", k.Property), ""
	case *kind.Required:
		return "needs " + andList(k.Missing), ""
	case *kind.DependentRequired:
		return fmt.Sprintf("needs %s because it has %s", andList(k.Missing), k.Prop), ""
	}
	return "is not what the contract allows", ""
}

func sayType(k *kind.Type, v any) string {
	words := make([]string, len(k.Want))
	text := false
	for i, w := range k.Want {
		words[i] = withArticle(typeWords[w])
		text = text || w == "string"
	}
	msg := fmt.Sprintf("must be %s, not %s", strings.Join(words, " or "), withArticle(typeWords[k.Got]))
	switch s, isString := v.(string); {
	case text && (k.Got == "number" || k.Got == "boolean"):
		msg += fmt.Sprintf(": write it in quotes, \"%v\"", v)
	case isString && hasPlaceholder(s):
		msg += ": placeholders give text"
	case k.Got == "number" && len(k.Want) == 1 && k.Want[0] == "integer":
		msg = fmt.Sprintf("must be a whole number, not %v", v)
	}
	return msg
}

func withArticle(word string) string {
	switch word {
	case "whole number", "number", "list", "mapping":
		return "a " + word
	}
	return word
}

// literal shows a value the way it is written, shortened.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		if r := []rune(v); len(r) > 60 {
			v = string(r[:57]) + "..."
		}
		return strconv.Quote(v)
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

func rat(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return strings.TrimRight(r.FloatString(6), "0")
}

func orList(words []string) string  { return joinList(words, " or ") }
func andList(words []string) string { return joinList(words, " and ") }

func joinList(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + last + words[n]
}
