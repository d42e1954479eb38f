// Package graph holds the units of one environment and the outputs that flow
// between them: pure values, in an order that does not depend on how they were
// found. It knows neither OpenTofu nor Kubernetes; what a unit renders to is
// package compile's business.
package graph

import (
	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/model"
)

// Kind says what a unit renders to.
type Kind string

// The kinds of unit.
const (
	// Tofu units are one OpenTofu root.
	Tofu Kind = "tofu"
	// Kube units are one set of Kubernetes objects.
	Kube Kind = "kube"
)

// Unit is the smallest thing that is planned and applied.
type Unit struct {
	Addr  addr.Unit   `json:"address"`
	Layer model.Layer `json:"layer"`
	Kind  Kind        `json:"kind"`
	// Contract is the resource type that the unit fulfils; empty for kube units.
	Contract string `json:"contract,omitempty"`
	Team     string `json:"team,omitempty"`
	Workload string `json:"workload,omitempty"`
	// Existing units are there already: they have outputs, but Strata
	// neither plans nor applies them.
	Existing bool `json:"existing,omitempty"`
	// Module is the folder of the module that a tofu unit calls, relative to
	// the repository, or "builtin:<cloud>/<kind>" for Strata's own.
	Module string `json:"module,omitempty"`
	// Inputs are the module's variables.
	Inputs map[string]Value `json:"inputs,omitempty"`
	// Cluster says how the root of a tofu unit that installs things in the Kubernetes
	// cluster reaches it: its name, its endpoint and its certificate_authority.
	Cluster map[string]Value `json:"cluster,omitempty"`
	// Outputs are what the unit's contract promises.
	Outputs map[string]model.ContractOutput `json:"outputs,omitempty"`
	// Known holds the outputs of an existing unit.
	Known map[string]any `json:"known,omitempty"`
	// Bindings put outputs of other units where this unit's objects find them.
	Bindings []Binding `json:"bindings,omitempty"`
	// DependsOn lists the units that must be applied first, sorted, without
	// duplicates; it includes every unit that Inputs, Cluster and Bindings refer to.
	DependsOn []addr.Unit `json:"dependsOn,omitempty"`
	// Digest is the SHA-256, in hexadecimal, of all that the rendered unit
	// depends on.
	Digest string `json:"digest"`
}

// Refs returns the outputs of other units that the unit's root needs, in no order.
func (u Unit) Refs() []Ref {
	var out []Ref
	for _, values := range []map[string]Value{u.Inputs, u.Cluster} {
		for _, v := range values {
			if v.Ref != nil {
				out = append(out, *v.Ref)
			}
		}
	}
	return out
}

// Ref is a typed reference to another unit's output.
type Ref struct {
	Unit   addr.Unit `json:"unit"`
	Output string    `json:"output"`
	// Type is the output's OpenTofu type.
	Type string `json:"type"`
	// Secret outputs are never values: the reference resolves to a path in
	// the central secrets service.
	Secret bool `json:"secret,omitempty"`
}

// Value is a module input: either a literal (any JSON value) or a reference.
type Value struct {
	Literal any  `json:"literal,omitempty"`
	Ref     *Ref `json:"ref,omitempty"`
}

// Binding says that the ConfigMap (or Secret) Name in Namespace gets, under
// Key, the value of an output. The engine writes bindings when the output is
// known; the objects of the unit only name them.
type Binding struct {
	// Kind is ConfigMap or Secret.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Key       string `json:"key"`
	// Ref is the output; nil when Template says what to write.
	Ref *Ref `json:"ref,omitempty"`
	// Template puts a file together from text and outputs.
	Template []TemplatePart `json:"template,omitempty"`
	// GoTemplate says that the file is a text/template in which the cluster
	// fills in secrets. Text is escaped already; values have to be.
	GoTemplate bool `json:"goTemplate,omitempty"`
	// SecretPath is where a secret output lies in the central secrets
	// service; empty for values.
	SecretPath string `json:"secretPath,omitempty"`
}

// TemplatePart is a piece of a bound file: text or an output.
type TemplatePart struct {
	Text       string `json:"text,omitempty"`
	Ref        *Ref   `json:"ref,omitempty"`
	SecretPath string `json:"secretPath,omitempty"`
}

// Refs returns the outputs that the binding needs.
func (b Binding) Refs() []Ref {
	var out []Ref
	if b.Ref != nil {
		out = append(out, *b.Ref)
	}
	for _, p := range b.Template {
		if p.Ref != nil {
			out = append(out, *p.Ref)
		}
	}
	return out
}
