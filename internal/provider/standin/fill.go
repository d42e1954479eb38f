package standin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// fill gives every unknown of a new or changed object a value: the same for the same
// object.
func (s *Server) fill(typ, id string, b Block, planned map[string]any) map[string]any {
	facts := s.facts[typ]
	out := map[string]any{}
	for k, v := range planned {
		out[k] = v
	}
	value := func(name string) (string, bool) {
		switch name {
		case "account_id":
			return s.account, true
		case "region":
			return s.region, true
		case "partition":
			return "aws", true
		case "hash":
			return sum(typ, id), true
		case "id":
			return id, true
		}
		return scalar(out[name])
	}
	if _, open := out["id"].(unknown); open {
		out["id"] = id
	}
	for name, template := range facts.Values {
		if _, open := out[name].(unknown); !open {
			continue
		}
		if text, ok := expand(template, value); ok {
			out[name] = convert(text, b.Attributes[name].Type)
		}
	}
	if _, open := out["arn"].(unknown); open {
		out["arn"] = s.arn(typ, id)
	}
	if _, open := out["outputs"].(unknown); open && facts.Template != "" {
		out["outputs"] = s.templateOutputs(typ+" "+id, out[facts.Template])
	}
	return s.fillBlock(typ+" "+id, b, out)
}

// templateOutputs makes up the outputs that a template of CloudFormation names.
func (s *Server) templateOutputs(seed string, template any) map[string]any {
	var doc struct{ Outputs map[string]json.RawMessage }
	text, _ := scalar(template)
	out := map[string]any{}
	if json.Unmarshal([]byte(text), &doc) != nil {
		return out // not JSON: as if it had none
	}
	for name := range doc.Outputs {
		out[name] = s.inventText(seed+"."+name, name)
	}
	return out
}

// arn is an ARN in the common form, for types whose facts have none.
func (s *Server) arn(typ, id string) string {
	var service, kind string
	if arn := s.facts[typ].ARN; arn != "" {
		service, kind, _ = strings.Cut(arn, ":")
	} else {
		_, rest, _ := strings.Cut(typ, "_")
		service, kind, _ = strings.Cut(rest, "_")
	}
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s/%s", service, s.region, s.account, kind, id)
}

func sum(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:])
}

func (s *Server) fillBlock(seed string, b Block, v map[string]any) map[string]any {
	out := make(map[string]any, len(v))
	for name, a := range b.Attributes {
		e := v[name]
		if a.Nested != nil && e != nil && wholeObject(e) {
			out[name] = s.fillNested(seed+"."+name, a.Nested.Nesting, Block{Attributes: a.Nested.Attributes}, e)
			continue
		}
		out[name] = s.fillValue(seed+"."+name, name, a.typ(), e, a.Optional)
	}
	for name, n := range b.Blocks {
		out[name] = s.fillNested(seed+"."+name, n.Nesting, n.Block, v[name])
	}
	return out
}

func wholeObject(v any) bool { _, open := v.(unknown); return !open }

func (s *Server) fillNested(seed, nesting string, b Block, v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = s.fillNested(seed+"["+strconv.Itoa(i)+"]", "single", b, e)
		}
		return out
	case map[string]any:
		if nesting != "map" {
			return s.fillBlock(seed, b, v)
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = s.fillNested(seed+"."+k, "single", b, e)
		}
		return out
	}
	return v
}

// fillValue replaces unknowns within v. optional says that the attribute may be left
// out: then a collection is empty.
func (s *Server) fillValue(seed, name string, t tftypes.Type, v any, optional bool) any {
	switch e := v.(type) {
	case unknown:
		return s.invent(seed, name, t, optional)
	case []any:
		of := element(t)
		out := make([]any, len(e))
		for i := range e {
			out[i] = s.fillValue(seed+"["+strconv.Itoa(i)+"]", name, of, e[i], optional)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(e))
		for k := range e {
			of := element(t)
			if o, ok := t.(tftypes.Object); ok {
				of = o.AttributeTypes[k]
			}
			out[k] = s.fillValue(seed+"."+k, k, of, e[k], optional)
		}
		return out
	}
	return v
}

func element(t tftypes.Type) tftypes.Type {
	switch t := t.(type) {
	case tftypes.List:
		return t.ElementType
	case tftypes.Set:
		return t.ElementType
	case tftypes.Map:
		return t.ElementType
	}
	return tftypes.String
}

// invent makes up a value of a type.
func (s *Server) invent(seed, name string, t tftypes.Type, optional bool) any {
	switch {
	case t.Is(tftypes.String):
		return s.inventText(seed, name)
	case t.Is(tftypes.Number):
		if name == "port" {
			return json.Number("443")
		}
		n, _ := new(big.Int).SetString(sum(seed)[:4], 16)
		return json.Number(n.String())
	case t.Is(tftypes.Bool):
		return false
	}
	switch t := t.(type) {
	case tftypes.Object:
		out := make(map[string]any, len(t.AttributeTypes))
		for k, at := range t.AttributeTypes {
			out[k] = s.invent(seed+"."+k, k, at, false)
		}
		return out
	case tftypes.List:
		return s.inventList(seed, name, t.ElementType, optional)
	case tftypes.Set:
		return s.inventList(seed, name, t.ElementType, optional)
	case tftypes.Map:
		return map[string]any{}
	}
	return s.inventText(seed, name)
}

func (s *Server) inventList(seed, name string, of tftypes.Type, optional bool) any {
	_, object := of.(tftypes.Object)
	switch {
	case optional:
		return []any{}
	case object:
		return []any{s.invent(seed+"[0]", name, of, false)}
	}
	return []any{s.invent(seed+"[0]", name, of, false), s.invent(seed+"[1]", name, of, false)}
}

func (s *Server) inventText(seed, name string) string {
	h := sum(seed)
	switch {
	case name == "region":
		return s.region
	case name == "account_id", name == "owner_id", name == "owner":
		return s.account
	case strings.HasSuffix(name, "arn"):
		return fmt.Sprintf("arn:aws:stand-in:%s:%s:%s/%s", s.region, s.account, strings.TrimSuffix(name, "_arn"), h[:17])
	case strings.HasSuffix(name, "endpoint"), name == "address", strings.HasSuffix(name, "host"), strings.HasSuffix(name, "dns_name"), strings.HasPrefix(name, "bootstrap_brokers"):
		return h[:12] + "." + s.region + ".stand-in.example"
	case name == "issuer", strings.HasSuffix(name, "url"):
		return "https://" + h[:16] + "." + s.region + ".stand-in.example"
	case strings.HasSuffix(name, "security_group_id"):
		return "sg-" + h[:17]
	case name == "data": // of a certificate, in all providers that we know
		return base64.StdEncoding.EncodeToString([]byte(h[:32]))
	case name == "name_servers":
		return "ns-" + h[:4] + ".stand-in.example"
	}
	return name + "-" + h[:12]
}

// convert turns the text of a template into a value of a type.
func convert(text string, t tftypes.Type) any {
	switch {
	case t == nil:
		return text
	case t.Is(tftypes.Number):
		return json.Number(text)
	case t.Is(tftypes.Bool):
		return text == "true"
	}
	switch t.(type) {
	case tftypes.List, tftypes.Set:
		var out []any
		for _, p := range strings.Split(text, ",") {
			out = append(out, p)
		}
		return out
	}
	return text
}

// fromYAML turns what YAML decodes to into plain Go.
func fromYAML(v any) any {
	switch v := v.(type) {
	case int:
		return json.Number(strconv.Itoa(v))
	case float64:
		return json.Number(strconv.FormatFloat(v, 'g', -1, 64))
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = fromYAML(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = fromYAML(e)
		}
		return out
	}
	return v
}
