package standin

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// What follows is the rest of the protocol: what a stand-in has no opinion about.

// GetResourceIdentitySchemas implements tfprotov6.ProviderServer.
func (s *Server) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

// ValidateProviderConfig implements tfprotov6.ProviderServer.
func (s *Server) ValidateProviderConfig(_ context.Context, r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// StopProvider implements tfprotov6.ProviderServer.
func (s *Server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// ValidateResourceConfig implements tfprotov6.ProviderServer.
func (s *Server) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

// UpgradeResourceState implements tfprotov6.ProviderServer: what an older schema had
// and this one has not is dropped.
func (s *Server) UpgradeResourceState(_ context.Context, r *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	out := &tfprotov6.UpgradeResourceStateResponse{}
	b, ok := s.schema.Resources[r.TypeName]
	if !ok {
		out.Diagnostics = problem("unknown resource type", s.schema.Unknown("resource", r.TypeName))
		return out, nil
	}
	v, err := r.RawState.UnmarshalWithOpts(b.object(), tfprotov6.UnmarshalOpts{ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true}})
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	dv, err := tfprotov6.NewDynamicValue(b.object(), v)
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	out.UpgradedState = &dv
	return out, nil
}

var errNotHere = errors.New("stand-ins do not have this")

// MoveResourceState implements tfprotov6.ProviderServer.
func (s *Server) MoveResourceState(context.Context, *tfprotov6.MoveResourceStateRequest) (*tfprotov6.MoveResourceStateResponse, error) {
	return &tfprotov6.MoveResourceStateResponse{Diagnostics: internal(errNotHere)}, nil
}

// UpgradeResourceIdentity implements tfprotov6.ProviderServer.
func (s *Server) UpgradeResourceIdentity(context.Context, *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return &tfprotov6.UpgradeResourceIdentityResponse{Diagnostics: internal(errNotHere)}, nil
}

// GenerateResourceConfig implements tfprotov6.ProviderServer.
func (s *Server) GenerateResourceConfig(context.Context, *tfprotov6.GenerateResourceConfigRequest) (*tfprotov6.GenerateResourceConfigResponse, error) {
	return &tfprotov6.GenerateResourceConfigResponse{Diagnostics: internal(errNotHere)}, nil
}

// ValidateDataResourceConfig implements tfprotov6.ProviderServer.
func (s *Server) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

// ReadDataSource implements tfprotov6.ProviderServer.
func (s *Server) ReadDataSource(_ context.Context, r *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	out := &tfprotov6.ReadDataSourceResponse{}
	b, ok := s.schema.Data[r.TypeName]
	if !ok {
		out.Diagnostics = problem("unknown data source", s.schema.Unknown("data source", r.TypeName))
		return out, nil
	}
	v, err := decode(r.Config, b.object())
	if err != nil {
		out.Diagnostics = internal(err)
		return out, nil
	}
	config, _ := v.(map[string]any)
	answer, err := s.data(r.TypeName, b, config)
	if err != nil {
		out.Diagnostics = problem("no answer for data source "+r.TypeName, err.Error())
		return out, nil
	}
	if out.State, err = encode(answer, b.object()); err != nil {
		out.Diagnostics = internal(err)
	}
	return out, nil
}

// CallFunction implements tfprotov6.ProviderServer.
func (s *Server) CallFunction(context.Context, *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	return &tfprotov6.CallFunctionResponse{Error: &tfprotov6.FunctionError{Text: errNotHere.Error()}}, nil
}

// GetFunctions implements tfprotov6.ProviderServer.
func (s *Server) GetFunctions(context.Context, *tfprotov6.GetFunctionsRequest) (*tfprotov6.GetFunctionsResponse, error) {
	return &tfprotov6.GetFunctionsResponse{Functions: map[string]*tfprotov6.Function{}}, nil
}

// ValidateEphemeralResourceConfig implements tfprotov6.ProviderServer.
func (s *Server) ValidateEphemeralResourceConfig(context.Context, *tfprotov6.ValidateEphemeralResourceConfigRequest) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	return &tfprotov6.ValidateEphemeralResourceConfigResponse{Diagnostics: internal(errNotHere)}, nil
}

// OpenEphemeralResource implements tfprotov6.ProviderServer.
func (s *Server) OpenEphemeralResource(context.Context, *tfprotov6.OpenEphemeralResourceRequest) (*tfprotov6.OpenEphemeralResourceResponse, error) {
	return &tfprotov6.OpenEphemeralResourceResponse{Diagnostics: internal(errNotHere)}, nil
}

// RenewEphemeralResource implements tfprotov6.ProviderServer.
func (s *Server) RenewEphemeralResource(context.Context, *tfprotov6.RenewEphemeralResourceRequest) (*tfprotov6.RenewEphemeralResourceResponse, error) {
	return &tfprotov6.RenewEphemeralResourceResponse{Diagnostics: internal(errNotHere)}, nil
}

// CloseEphemeralResource implements tfprotov6.ProviderServer.
func (s *Server) CloseEphemeralResource(context.Context, *tfprotov6.CloseEphemeralResourceRequest) (*tfprotov6.CloseEphemeralResourceResponse, error) {
	return &tfprotov6.CloseEphemeralResourceResponse{Diagnostics: internal(errNotHere)}, nil
}
