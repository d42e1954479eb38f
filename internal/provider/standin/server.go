package standin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Options say what a stand-in stands in for.
type Options struct {
	Schema *Schema
	Facts  Facts
	// Fixtures are answers of data sources; the first that matches counts.
	Fixtures []Fixture
	// Cloud is the folder that plays the cloud; without it objects live in the
	// states of those who made them only.
	Cloud string
	// Account is the account that the credentials are of. Empty means whichever
	// the configuration allows.
	Account string
	// Region is used where the configuration names none.
	Region string
	// Faults are what goes wrong, for tests.
	Faults []Fault
}

// Server is a provider. It implements tfprotov6.ProviderServer.
type Server struct {
	schema   *Schema
	facts    Facts
	fixtures []Fixture
	cloud    *cloud
	faults   []Fault
	pinned   string // Options.Account

	account, region string
	tags            map[string]any
}

var _ tfprotov6.ProviderServer = (*Server)(nil)

// New returns a stand-in.
func New(o Options) *Server {
	s := &Server{schema: o.Schema, facts: o.Facts, fixtures: o.Fixtures, faults: o.Faults, pinned: o.Account, account: o.Account, region: o.Region}
	if s.facts == nil {
		s.facts = Facts{}
	}
	if s.account == "" {
		s.account = "000000000000"
	}
	if s.region == "" {
		s.region = "eu-west-1"
	}
	if o.Cloud != "" {
		s.cloud = &cloud{o.Cloud}
	}
	return s
}

// Serve speaks the plugin protocol on standard output until OpenTofu says that it is
// done.
func (s *Server) Serve() error {
	return tf6server.Serve(s.schema.Source, func() tfprotov6.ProviderServer { return s })
}

// problem is an error of the cloud, as OpenTofu shows it.
func problem(summary, detail string) []*tfprotov6.Diagnostic {
	return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: summary, Detail: detail}}
}

func internal(err error) []*tfprotov6.Diagnostic { return problem("the stand-in failed", err.Error()) }

// GetMetadata implements tfprotov6.ProviderServer.
func (s *Server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	out := &tfprotov6.GetMetadataResponse{ServerCapabilities: capabilities()}
	for t := range s.schema.Resources {
		out.Resources = append(out.Resources, tfprotov6.ResourceMetadata{TypeName: t})
	}
	for t := range s.schema.Data {
		out.DataSources = append(out.DataSources, tfprotov6.DataSourceMetadata{TypeName: t})
	}
	return out, nil
}

func capabilities() *tfprotov6.ServerCapabilities {
	return &tfprotov6.ServerCapabilities{GetProviderSchemaOptional: true, PlanDestroy: true}
}

// GetProviderSchema implements tfprotov6.ProviderServer.
func (s *Server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	out := &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: capabilities(), Provider: &tfprotov6.Schema{Block: s.schema.Config.protocol()},
		ResourceSchemas: map[string]*tfprotov6.Schema{}, DataSourceSchemas: map[string]*tfprotov6.Schema{},
		Functions: map[string]*tfprotov6.Function{}, EphemeralResourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for t, b := range s.schema.Resources {
		out.ResourceSchemas[t] = &tfprotov6.Schema{Block: b.protocol()}
	}
	for t, b := range s.schema.Data {
		out.DataSourceSchemas[t] = &tfprotov6.Schema{Block: b.protocol()}
	}
	return out, nil
}

// protocol is the block in the protocol's words.
func (b Block) protocol() *tfprotov6.SchemaBlock {
	out := &tfprotov6.SchemaBlock{Attributes: protocolAttributes(b.Attributes)}
	for name, n := range b.Blocks {
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: n.protocol(), Nesting: blockNesting[n.Nesting], MinItems: n.Min, MaxItems: n.Max,
		})
	}
	return out
}

var blockNesting = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle, "group": tfprotov6.SchemaNestedBlockNestingModeGroup,
	"list": tfprotov6.SchemaNestedBlockNestingModeList, "set": tfprotov6.SchemaNestedBlockNestingModeSet, "map": tfprotov6.SchemaNestedBlockNestingModeMap,
}

var objectNesting = map[string]tfprotov6.SchemaObjectNestingMode{
	"single": tfprotov6.SchemaObjectNestingModeSingle, "list": tfprotov6.SchemaObjectNestingModeList,
	"set": tfprotov6.SchemaObjectNestingModeSet, "map": tfprotov6.SchemaObjectNestingModeMap,
}

func protocolAttributes(in map[string]Attribute) []*tfprotov6.SchemaAttribute {
	out := make([]*tfprotov6.SchemaAttribute, 0, len(in))
	for name, a := range in {
		p := &tfprotov6.SchemaAttribute{Name: name, Type: a.Type, Required: a.Required, Optional: a.Optional, Computed: a.Computed, Sensitive: a.Sensitive}
		if a.Nested != nil {
			p.NestedType = &tfprotov6.SchemaObject{Nesting: objectNesting[a.Nested.Nesting], Attributes: protocolAttributes(a.Nested.Attributes)}
		}
		out = append(out, p)
	}
	return out
}

// ConfigureProvider implements tfprotov6.ProviderServer. Like the real thing it
// refuses credentials of an account that the configuration does not allow.
func (s *Server) ConfigureProvider(_ context.Context, r *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	out := &tfprotov6.ConfigureProviderResponse{}
	v, err := decode(r.Config, s.schema.Config.object())
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	config, _ := v.(map[string]any)
	if region, ok := config["region"].(string); ok && region != "" {
		s.region = region
	}
	if list, ok := config["default_tags"].([]any); ok && len(list) > 0 {
		if b, ok := list[0].(map[string]any); ok {
			s.tags, _ = b["tags"].(map[string]any)
		}
	}
	var allowed []string
	if list, ok := config["allowed_account_ids"].([]any); ok {
		for _, e := range list {
			if id, ok := e.(string); ok {
				allowed = append(allowed, id)
			}
		}
		if s.pinned != "" && len(allowed) == len(list) && len(list) > 0 && !slices.Contains(allowed, s.pinned) {
			out.Diagnostics = problem("AWS account ID not allowed: "+s.pinned, "The credentials are of account "+s.pinned+"; allowed are: "+strings.Join(allowed, ", ")+".")
			return out, nil
		}
	}
	if s.pinned == "" && len(allowed) > 0 {
		s.account = allowed[0]
	}
	return out, nil
}

// PlanResourceChange implements tfprotov6.ProviderServer.
func (s *Server) PlanResourceChange(_ context.Context, r *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	//nolint:staticcheck // what it plays, a provider of the old SDK, is allowed this as well
	out := &tfprotov6.PlanResourceChangeResponse{UnsafeToUseLegacyTypeSystem: true}
	b, config, proposed, prior, err := s.decodeAll(r.TypeName, r.Config, r.ProposedNewState, r.PriorState)
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	if proposed == nil {
		out.PlannedState = r.ProposedNewState
		return out, nil
	}
	planned := s.plan(r.TypeName, b, config, proposed, prior)
	for _, name := range s.replaced(r.TypeName, planned, prior) {
		out.RequiresReplace = append(out.RequiresReplace, tftypes.NewAttributePath().WithAttributeName(name))
	}
	if out.PlannedState, err = encode(planned, b.object()); err != nil {
		out.Diagnostics = internal(err)
	}
	return out, nil
}

func (s *Server) decodeAll(typ string, values ...*tfprotov6.DynamicValue) (b Block, one, two, three map[string]any, err error) {
	b, ok := s.schema.Resources[typ]
	if !ok {
		return b, nil, nil, nil, errors.New(s.schema.Unknown("resource", typ))
	}
	out := make([]map[string]any, 3)
	for i, dv := range values {
		v, err := decode(dv, b.object())
		if err != nil {
			return b, nil, nil, nil, err
		}
		out[i], _ = v.(map[string]any)
	}
	return b, out[0], out[1], out[2], nil
}

// Unknown says what to do about a type that the schema does not have. kind is
// "resource" or "data source".
func (s *Schema) Unknown(kind, typ string) string {
	return fmt.Sprintf("the carried schema of %s %s has no %s %q; `strata schema pull` makes one that has it from the real provider", s.Source, s.Version, kind, typ)
}

// ApplyResourceChange implements tfprotov6.ProviderServer.
func (s *Server) ApplyResourceChange(_ context.Context, r *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	//nolint:staticcheck // what it plays, a provider of the old SDK, is allowed this as well
	out := &tfprotov6.ApplyResourceChangeResponse{UnsafeToUseLegacyTypeSystem: true, NewState: r.PriorState}
	b, planned, prior, _, err := s.decodeAll(r.TypeName, r.PlannedState, r.PriorState)
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	op := "update"
	switch {
	case planned == nil:
		op = "delete"
	case prior == nil:
		op = "create"
	}
	fault := s.fault(r.TypeName, op)
	if d := fault.before(); d != nil {
		out.Diagnostics = d
		return out, nil
	}
	next, diags := s.apply(op, r.TypeName, b, planned, prior)
	fault.after()
	if diags != nil {
		out.Diagnostics = diags
		return out, nil
	}
	var v any
	if next != nil {
		v = next
	}
	if out.NewState, err = encode(v, b.object()); err != nil {
		out.Diagnostics = internal(err)
	}
	return out, nil
}

func (s *Server) apply(op, typ string, b Block, planned, prior map[string]any) (map[string]any, []*tfprotov6.Diagnostic) {
	facts := s.facts[typ]
	switch op {
	case "create":
		next, err := s.create(typ, b, planned)
		if errors.Is(err, errExists) {
			return nil, problem(fmt.Sprintf("creating %s: AlreadyExists", typ), fmt.Sprintf("An object of type %s with this name (%s) already exists.", typ, strings.Join(facts.Key, ", ")))
		}
		if err != nil {
			return nil, internal(err)
		}
		return next, nil
	case "delete":
		if facts.Protection != "" && prior[facts.Protection] == true {
			return nil, problem(fmt.Sprintf("deleting %s: it is protected", typ), facts.Protection+" is on; switch it off first.")
		}
		if s.cloud == nil {
			return nil, nil
		}
		if err := s.cloud.remove(s.objectFile(typ, prior)); err != nil {
			return nil, internal(err)
		}
		return nil, nil
	}
	id, _ := prior["id"].(string)
	next := s.fill(typ, id, b, planned)
	if s.cloud != nil {
		if err := s.cloud.write(s.objectFile(typ, next), Object{typ, id, next}, false); err != nil {
			return nil, internal(err)
		}
	}
	return next, nil
}

func (s *Server) objectFile(typ string, attrs map[string]any) string {
	id, _ := attrs["id"].(string)
	return s.cloud.place(s.account, typ, s.fileName(typ, id, attrs))
}

// ReadResource implements tfprotov6.ProviderServer.
func (s *Server) ReadResource(_ context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	out := &tfprotov6.ReadResourceResponse{NewState: r.CurrentState}
	b, now, _, _, err := s.decodeAll(r.TypeName, r.CurrentState)
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	if s.cloud == nil || now == nil {
		return out, nil
	}
	if d := s.fault(r.TypeName, "read").before(); d != nil {
		out.Diagnostics = d
		return out, nil
	}
	o, ok, err := s.cloud.read(s.objectFile(r.TypeName, now))
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	var v any
	if ok {
		v = o.Attributes
	}
	if out.NewState, err = encode(v, b.object()); err != nil {
		out.Diagnostics = internal(err)
	}
	return out, nil
}

// ImportResourceState implements tfprotov6.ProviderServer.
func (s *Server) ImportResourceState(_ context.Context, r *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	out := &tfprotov6.ImportResourceStateResponse{}
	b := s.schema.Resources[r.TypeName]
	attrs, ok, err := s.find(r.TypeName, r.ID)
	switch {
	case err != nil:
		out.Diagnostics = internal(err)
		return out, nil
	case !ok:
		out.Diagnostics = problem("Cannot import non-existent remote object", fmt.Sprintf("There is no %s %q.", r.TypeName, r.ID))
		return out, nil
	}
	state, err := encode(attrs, b.object())
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	out.ImportedResources = []*tfprotov6.ImportedResource{{TypeName: r.TypeName, State: state}}
	return out, nil
}
