// Package stack renders a tofu unit of the graph as an OpenTofu root: one
// main.tf.json with the required version and providers, the state backend, the
// provider pinned to the environment's account, a variable for each upstream
// output, one module call and the outputs of the unit's contract. Rendering is
// pure: the same unit gives the same bytes.
//
// It does not decide which units there are or what their inputs are (package
// compile does), runs no OpenTofu, and does not encrypt state: how state and
// plans are encrypted is the engine's business, because it holds the keys.
package stack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// FileName is the name of the file that holds a rendered root.
const FileName = "main.tf.json"

// RequiredVersion is the range of OpenTofu versions that roots accept. 1.10 is
// the first whose s3 backend locks without a table of its own.
const RequiredVersion = ">= 1.10, < 2"

// accountContract is the contract whose unit makes the environment's account.
const accountContract = "account"

// Context is what rendering needs to know about the environment of a unit.
type Context struct {
	Platform    string // name of the platform
	Environment string // name of the environment
	Cloud       string // aws, gcp, azure or local
	Region      string
	// Protected environments mark their resources with a tag, by which an
	// organisation's guard rails can refuse to delete them.
	Protected bool
	// AccountID is the account, project or subscription that every provider
	// is pinned to. An environment that creates its account has AccountRef
	// instead, which is known once the account is there.
	AccountID  string
	AccountRef *graph.Ref
	// Role is what Strata assumes in the account: a role's name or ARN
	// (AWS), a service account (Google Cloud), a client id (Azure). RoleRef
	// takes its place in an environment that creates its account.
	Role    string
	RoleRef *graph.Ref
	// State says where state is kept; nil means on disk, which only a local
	// environment may do.
	State *model.State
	// Tags are the platform's and the environment's, merged.
	Tags map[string]string
	// ModuleSource turns a unit's Module into the folder of the module
	// relative to the unit's root.
	ModuleSource func(module string) string
	// StatePath returns the file of a unit's state relative to its root, for
	// the local backend. Without it state lies in the root's folder.
	StatePath func(u addr.Unit) string
}

// object is a JSON object of a root. encoding/json writes its keys sorted.
type object = map[string]any

// cloud is all that differs between clouds in a root. Each cloud is one file of
// this package with an implementation and is listed in clouds.
type cloud interface {
	// requirement names the cloud's provider.
	requirement() requirement
	// provider returns the provider's configuration with the account pinned.
	provider(s *scope) object
	// cluster returns how a provider that works in the Kubernetes cluster proves who
	// it is there, for a unit that has one; nil where Strata does not know.
	cluster(s *scope) object
	// moduleInputs returns module variables that every module of the cloud
	// takes besides its own; nil when there are none.
	moduleInputs(s *scope) object
}

// requirement is an entry of required_providers.
type requirement struct{ name, source, version string }

// helm is the provider of units that install charts in the cluster.
var helm = requirement{"helm", "hashicorp/helm", ">= 3.0, < 4"}

var clouds = map[string]cloud{
	model.CloudAWS:   aws{},
	model.CloudGCP:   gcp{},
	model.CloudAzure: azure{},
	model.CloudLocal: local{},
}

// backends render the settings of each state backend.
var backends = map[string]func(s *scope, key string) object{
	"s3":      s3Backend,
	"gcs":     gcsBackend,
	"azurerm": azurermBackend,
	"pg":      pgBackend,
	"local":   localBackend,
}

// scope is one unit in its context while it is rendered.
type scope struct {
	Context
	unit      graph.Unit
	variables map[graph.Ref]string // name of the variable of each reference
	unknown   map[string]bool      // variables that have no value yet
}

// tags returns the default tags of the unit, unescaped. Strata's own win: they
// are what cost reports and clean-up scripts go by.
func (s *scope) tags() map[string]string {
	tags := make(map[string]string, len(s.Tags)+6)
	for k, v := range s.Tags {
		tags[k] = v
	}
	tags["managed-by"] = "strata"
	tags["platform"] = s.Platform
	tags["environment"] = s.Environment
	tags["unit"] = s.unit.Addr.Name
	tags["layer"] = string(s.unit.Layer)
	if s.unit.Team != "" {
		tags["team"] = s.unit.Team
	}
	if s.Protected {
		tags["protected"] = "true"
	}
	return tags
}

// isAccount reports whether the unit makes the environment's account. It runs
// as whoever may create accounts, so there is no account yet to pin it to.
func (s *scope) isAccount() bool { return s.unit.Contract == accountContract }

// accountID returns the template that the provider is pinned to.
func (s *scope) accountID() string {
	if s.AccountRef != nil {
		return s.variable(*s.AccountRef)
	}
	return escape(s.AccountID)
}

// role returns the template of the role to assume, or "".
func (s *scope) role() string {
	if s.RoleRef != nil {
		return s.variable(*s.RoleRef)
	}
	return escape(s.Role)
}

func (s *scope) variable(r graph.Ref) string {
	name := s.variables[r]
	if s.unknown[name] {
		return "${" + UnknownResource + ".output." + name + "}"
	}
	return "${var." + name + "}"
}

// Render returns the main.tf.json of a tofu unit. Its keys are sorted, it is
// indented by two spaces and ends in a newline.
func Render(c Context, u graph.Unit) ([]byte, error) { return RenderProvisional(c, u, nil) }

// RenderProvisional is Render for a unit some of whose variables have no value
// yet: those named in unknown are unknown to OpenTofu too. Such a root is for
// planning only; what it plans is never applied.
func RenderProvisional(c Context, u graph.Unit, unknown []string) ([]byte, error) {
	set := make(map[string]bool, len(unknown))
	for _, name := range unknown {
		set[name] = true
	}
	doc, err := render(c, u, set)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", u.Addr, err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("render %s: %w", u.Addr, err)
	}
	return buf.Bytes(), nil
}

func render(c Context, u graph.Unit, unknown map[string]bool) (object, error) {
	cl, ok := clouds[c.Cloud]
	switch {
	case !ok:
		return nil, fmt.Errorf("cloud %q has no OpenTofu provider here", c.Cloud)
	case u.Kind != graph.Tofu:
		return nil, fmt.Errorf("it is a %s unit, not a tofu unit", u.Kind)
	case u.Existing:
		return nil, errors.New("it exists already and has no OpenTofu root")
	case u.Module == "":
		return nil, errors.New("it names no module")
	}
	s := &scope{Context: c, unit: u, variables: map[graph.Ref]string{}, unknown: unknown}
	if c.Cloud != model.CloudLocal && !s.isAccount() && c.AccountID == "" && c.AccountRef == nil {
		return nil, errors.New("there is no account to pin its provider to")
	}

	variables := object{}
	for _, v := range Variables(c, u) {
		s.variables[v.Ref] = v.Name
		typ := v.Ref.Type
		if v.Ref.Secret {
			typ = "string" // a reference, whatever the secret is
		}
		// The type goes into the root as it stands and may come from a
		// contract that a user wrote.
		if _, err := catalog.ParseType(typ); err != nil {
			return nil, fmt.Errorf("output %s of %s: %w", v.Ref.Output, v.Ref.Unit, err)
		}
		variables[v.Name] = object{
			"description": escape(describe(v.Ref)),
			"type":        typ,
			"nullable":    false,
		}
	}
	backend, err := s.backend()
	if err != nil {
		return nil, err
	}
	module, err := s.module(cl)
	if err != nil {
		return nil, err
	}
	outputs, err := s.outputs()
	if err != nil {
		return nil, err
	}

	req := cl.requirement()
	requirements := object{req.name: object{"source": req.source, "version": req.version}}
	providers := object{req.name: cl.provider(s)}
	if access := cl.cluster(s); len(u.Cluster) > 0 && access != nil {
		requirements[helm.name] = object{"source": helm.source, "version": helm.version}
		providers[helm.name] = object{"kubernetes": access}
	}
	doc := object{
		"terraform": object{
			"required_version":   RequiredVersion,
			"required_providers": requirements,
			"backend":            backend,
		},
		"provider": providers,
		"module":   object{"this": module},
	}
	if len(variables) > 0 {
		doc["variable"] = variables
	}
	if len(outputs) > 0 {
		doc["output"] = outputs
	}
	if err := s.unknowns(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

func describe(r graph.Ref) string {
	if r.Secret {
		return fmt.Sprintf("Reference to secret %s of %s in the central secrets service.", r.Output, r.Unit.Name)
	}
	return fmt.Sprintf("Output %s of %s.", r.Output, r.Unit.Name)
}

func (s *scope) backend() (object, error) {
	st := s.State
	if st == nil {
		if s.Cloud != model.CloudLocal {
			return nil, errors.New("the environment does not say where its state is kept")
		}
		st = &model.State{Backend: "local"}
	}
	render, ok := backends[st.Backend]
	if !ok {
		return nil, fmt.Errorf("state backend %q is not known", st.Backend)
	}
	with := *s
	with.State = st
	prefix := st.Prefix
	if prefix == "" {
		prefix = s.Platform
	}
	return object{st.Backend: render(&with, prefix+"/"+s.Environment+"/"+s.unit.Addr.Name)}, nil
}

func (s *scope) module(cl cloud) (object, error) {
	source := s.unit.Module
	if s.ModuleSource != nil {
		source = s.ModuleSource(source)
	}
	// Without a leading dot OpenTofu would look for the module in a registry.
	if !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") && !strings.HasPrefix(source, "/") {
		source = "./" + source
	}
	module := object{}
	for name, v := range cl.moduleInputs(s) {
		module[name] = v
	}
	for name, v := range s.unit.Inputs {
		if !catalog.ValidVariable(name) {
			return nil, fmt.Errorf("input %q cannot be a variable of a module", name)
		}
		if v.Ref != nil {
			module[name] = s.variable(*v.Ref)
			continue
		}
		literal, err := escapeValue(v.Literal)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		module[name] = literal
	}
	module["source"] = escape(source)
	return module, nil
}

// text returns the template of a value that is text, or "" where the unit has none of
// that name.
func (s *scope) text(v graph.Value) string {
	if v.Ref != nil {
		return s.variable(*v.Ref)
	}
	text, _ := v.Literal.(string)
	return escape(text)
}

// decoded returns the template of what a value in base64 stands for.
func (s *scope) decoded(v graph.Value) string {
	if v.Ref == nil {
		text, _ := v.Literal.(string)
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			text = string(b)
		}
		return escape(text)
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(s.variable(*v.Ref), "${"), "}")
	return "${base64decode(" + inner + ")}"
}

// outputs renders the outputs of the unit's contract. The module returns a
// secret output as its path in the central secrets service, so nothing here is
// sensitive and nothing secret enters the state.
func (s *scope) outputs() (object, error) {
	out := object{}
	for name, o := range s.unit.Outputs {
		if !catalog.ValidName(name) {
			return nil, fmt.Errorf("%q cannot be the name of an output", name)
		}
		text := o.Description
		if o.Secret() {
			text = "Path in the central secrets service, not the value: " + text
		}
		out[name] = object{"description": escape(text), "value": "${module.this." + name + "}"}
	}
	return out, nil
}
