// Package explain answers what may be written where: for a kind of document, for
// any field of it, and for a resource type with its parameters, outputs and
// modules. It reads the same descriptions that the decoder and the published JSON
// Schemas read, and holds no description of its own. It does not read documents.
package explain

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/schema"
)

// Catalog is what explaining needs to know of contracts.
type Catalog interface {
	// Resource returns the contract of a resource type.
	Resource(typ string) (*model.Contract, bool)
	// ResourceTypes lists the resource types, sorted.
	ResourceTypes() []string
	// Platform returns the contract of a platform unit, such as "network".
	Platform(name string) (*model.Contract, bool)
	// PlatformTypes lists the platform units, sorted.
	PlatformTypes() []string
}

// Explainer looks descriptions up.
type Explainer struct {
	catalog Catalog
	nearest func(name string, candidates []string) string
}

// New returns an Explainer over the contracts of a catalog. nearest returns the
// candidate that a misspelt name probably means, or "".
func New(c Catalog, nearest func(name string, candidates []string) string) *Explainer {
	return &Explainer{catalog: c, nearest: nearest}
}

// Doc explains one thing.
type Doc struct {
	// Path is the full path, such as "environment.spec.cluster.version".
	Path string `json:"path"`
	// Name is the last part of Path.
	Name string `json:"name"`
	// Type says in words what to write, such as "list of text".
	Type     string `json:"type"`
	Doc      string `json:"doc,omitempty"`
	Required bool   `json:"required,omitempty"`
	Default  any    `json:"default,omitempty"`
	Enum     []any  `json:"enum,omitempty"`
	// Bounds says which numbers, lengths or counts are allowed.
	Bounds string `json:"bounds,omitempty"`
	// Form completes "must be ..." for text that has to have a form, and KeyForm
	// for the keys of a map.
	Form    string `json:"form,omitempty"`
	KeyForm string `json:"keyForm,omitempty"`
	// Unit is the unit of a number.
	Unit string `json:"unit,omitempty"`
	// Fields are what may stand in it, without their own fields: the required ones
	// first.
	Fields []Doc `json:"fields,omitempty"`
	// Contract is set when the thing is a resource type or a platform unit.
	Contract *Contract `json:"contract,omitempty"`
	// See names other things of the same name.
	See []string `json:"see,omitempty"`
}

// Contract is what a contract says besides its parameters, which are Doc.Fields.
type Contract struct {
	Layer   model.Layer `json:"layer"`
	Scope   string      `json:"scope"`
	Classes []string    `json:"classes,omitempty"`
	Outputs []Output    `json:"outputs"`
	// Modules fulfil the contract, by cloud. Native says that Strata does so
	// itself, with Kubernetes objects.
	Modules []Module `json:"modules,omitempty"`
	Native  bool     `json:"native,omitempty"`
}

// Output is an output of a contract.
type Output struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Secret outputs are only ever references into the central secrets service.
	Secret bool   `json:"secret,omitempty"`
	Doc    string `json:"doc"`
}

// Module is the module that fulfils a contract in one cloud.
type Module struct {
	Cloud  string `json:"cloud"`
	Source string `json:"source"`
}

// Topic is something that can be explained, in one line.
type Topic struct {
	// Name is what Lookup takes.
	Name string `json:"name"`
	// Group is "kind", "resource type" or "platform unit".
	Group string `json:"group"`
	Doc   string `json:"doc"`
}

// UnknownError says that a path names nothing.
type UnknownError struct {
	// Path is what was looked up as far as it is known, and Name the part that is
	// not.
	Path, Name string
	// Nearest is the name that was probably meant, or "".
	Nearest string
	// Known are the names that would have been right.
	Known []string
}

// Error names the nearest spelling, or else all that is known.
func (e *UnknownError) Error() string {
	s := fmt.Sprintf("%s has no field %q", e.Path, e.Name)
	if e.Path == "" {
		s = fmt.Sprintf("there is no kind or resource type %q", e.Name)
	}
	switch {
	case e.Nearest != "":
		return fmt.Sprintf("%s; did you mean %q?", s, e.Nearest)
	case len(e.Known) == 0:
		return s
	}
	return s + "; known: " + strings.Join(e.Known, ", ")
}

// kind is a kind of document.
type kind struct {
	name string
	typ  reflect.Type
	file string
}

var kinds = []kind{
	{"platform", reflect.TypeFor[model.Platform](), "The organisation: strata.yaml."},
	{"environment", reflect.TypeFor[model.Environment](), "An isolated copy of the platform: environments/<name>.yaml."},
	{"workload", reflect.TypeFor[model.Workload](), "A Score file, score.dev/v1b1: workloads/<name>/score.yaml."},
	{"release", reflect.TypeFor[model.Release](), "The images that run in an environment: releases/<environment>.yaml."},
	{"exceptions", reflect.TypeFor[model.Exceptions](), "Accepted findings: policies/exceptions.yaml."},
	{"contract", reflect.TypeFor[model.Contract](), "Inputs and outputs of a resource type: contract.yaml beside a module."},
}

// aliases are other names of kinds.
var aliases = map[string]string{"score": "workload"}

// Topics lists all that Lookup knows at the top: kinds, resource types, platform
// units.
func (x *Explainer) Topics() []Topic {
	var out []Topic
	for _, k := range kinds {
		out = append(out, Topic{k.name, "kind", k.file})
	}
	for _, name := range x.catalog.ResourceTypes() {
		if c, ok := x.catalog.Resource(name); ok {
			out = append(out, Topic{name, "resource type", sentence(c.Spec.Summary)})
		}
	}
	for _, name := range x.catalog.PlatformTypes() {
		if c, ok := x.catalog.Platform(name); ok {
			out = append(out, Topic{"platform." + name, "platform unit", sentence(c.Spec.Summary)})
		}
	}
	return out
}

// Lookup explains what a path names: a kind ("environment"), a field of it
// ("environment.cluster.nodePools.instance"; "spec." may be left out), a resource
// type or one of its parameters ("postgres.highAvailability"), or a platform unit
// ("platform.network"). Indexes and keys, as diagnostics print them, are allowed.
// The error is an *UnknownError.
func (x *Explainer) Lookup(path string) (*Doc, error) {
	segs := split(path)
	if len(segs) == 0 {
		return nil, x.unknown("", path, x.names())
	}
	first, rest := segs[0], segs[1:]
	if a, ok := aliases[strings.ToLower(first)]; ok {
		first = a
	}
	if strings.EqualFold(first, "platform") && len(rest) > 0 {
		if c, ok := x.catalog.Platform(rest[0]); ok {
			return x.contract("platform."+rest[0], c, rest[1:])
		}
	}
	for _, k := range kinds {
		if strings.EqualFold(k.name, first) {
			return x.kind(k, rest)
		}
	}
	if c, ok := x.catalog.Resource(first); ok {
		return x.contract(first, c, rest)
	}
	return nil, x.unknown("", first, x.names())
}

// names are the names that a path may begin with.
func (x *Explainer) names() []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.name)
	}
	return append(out, x.catalog.ResourceTypes()...)
}

func (x *Explainer) unknown(path, name string, known []string) error {
	return &UnknownError{Path: path, Name: name, Nearest: x.nearest(name, known), Known: known}
}

func (x *Explainer) kind(k kind, segs []string) (*Doc, error) {
	root := schema.JSONSchema(k.typ, "", k.name)
	n := node{root: root, schema: root}
	if len(segs) > 0 && !n.has(segs[0]) {
		spec, ok := n.field("spec")
		switch {
		case !ok:
		case !spec.has(segs[0]):
			// Either level may have been meant.
			return nil, x.unknown(k.name, segs[0], append(n.names(), spec.names()...))
		default:
			segs = append([]string{"spec"}, segs...)
		}
	}
	doc, err := x.walk(k.name, n, segs)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		doc.Doc = k.file
	}
	if k.name == "platform" && len(segs) == 2 {
		if _, ok := x.catalog.Platform(segs[1]); ok {
			doc.See = append(doc.See, "platform."+segs[1])
		}
	}
	return doc, nil
}

func (x *Explainer) contract(path string, c *model.Contract, segs []string) (*Doc, error) {
	params := c.Spec.Params
	if params == nil {
		params = map[string]any{"type": "object"}
	}
	n := node{root: params, schema: params}
	if len(segs) > 0 && segs[0] == "params" && !n.has("params") {
		segs = segs[1:]
	}
	if len(segs) > 0 {
		if out, ok := output(path, c, segs); ok && !n.has(segs[0]) {
			return out, nil
		}
		doc, err := x.walk(path, n, segs)
		var unknown *UnknownError
		if errors.As(err, &unknown) && unknown.Path == path {
			unknown.Known = slices.Concat(unknown.Known, slices.Sorted(maps.Keys(c.Spec.Outputs)))
			unknown.Nearest = x.nearest(unknown.Name, unknown.Known)
		}
		return doc, err
	}
	doc, err := x.walk(path, n, nil)
	if err != nil {
		return nil, err
	}
	doc.Type = "resource type"
	if c.Spec.Scope == model.ScopePlatform {
		doc.Type = "platform unit"
		doc.See = platformFields(doc.Name)
	}
	doc.Doc = strings.TrimSpace(sentence(c.Spec.Summary) + " " + c.Spec.Description)
	doc.Contract = contractDoc(c)
	return doc, nil
}

// platformFields returns the field of the platform file with a unit's name.
func platformFields(name string) []string {
	if schema.Of(reflect.TypeFor[model.PlatformSpec]()).Field(name) == nil {
		return nil
	}
	return []string{"platform.spec." + name}
}

func contractDoc(c *model.Contract) *Contract {
	out := &Contract{Layer: c.Spec.Layer, Scope: c.Spec.Scope, Classes: c.Spec.Classes, Native: c.Spec.Native, Outputs: []Output{}}
	if out.Scope == "" {
		out.Scope = model.ScopeResource
	}
	for _, name := range slices.Sorted(maps.Keys(c.Spec.Outputs)) {
		o := c.Spec.Outputs[name]
		out.Outputs = append(out.Outputs, Output{name, o.Type, o.Secret(), o.Description})
	}
	for _, cloud := range slices.Sorted(maps.Keys(c.Spec.Modules)) {
		out.Modules = append(out.Modules, Module{cloud, c.Spec.Modules[cloud].Source})
	}
	return out
}

// output explains an output of a contract, where segs names one.
func output(path string, c *model.Contract, segs []string) (*Doc, bool) {
	if len(segs) == 2 && segs[0] == "outputs" {
		segs = segs[1:]
	}
	o, ok := c.Spec.Outputs[segs[0]]
	if !ok || len(segs) != 1 {
		return nil, false
	}
	typ := "output, " + o.Type
	if o.Secret() {
		typ = "secret output, " + o.Type
	}
	return &Doc{Path: path + ".outputs." + segs[0], Name: segs[0], Type: typ, Doc: o.Description}, true
}

func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
