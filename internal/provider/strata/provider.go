// Package strata is the OpenTofu provider strata, which the strata program serves
// itself: what modules for this machine need and no cloud's provider has. Its
// resources are one file each. What plays the clouds is package standin's business.
package strata

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// The address and the version under which OpenTofu installs the provider.
const (
	Source  = "registry.opentofu.org/stratahq/strata"
	Version = "0.1.0"
)

// Options say where the provider keeps things and finds what it needs.
type Options struct {
	// Secrets is the folder that is the environment's secret store where no other is
	// named.
	Secrets string
	// Repository is the folder that relative paths are of.
	Repository string
	// Images is the folder that images are cached in.
	Images string
	// Registry is where clusters that are no nodes of this machine get images of ours
	// from, such as "registry.example/apps"; empty where there is none.
	Registry string
	// Program is the file of strata. The engines lie beside it.
	Program string
}

// Serve speaks the plugin protocol on standard output until OpenTofu says that it is
// done, or ctx ends.
func Serve(ctx context.Context, o Options) error {
	return providerserver.Serve(ctx, New(o), providerserver.ServeOpts{Address: Source, ProtocolVersion: 6})
}

// New returns what makes the provider.
func New(o Options) func() provider.Provider {
	return func() provider.Provider { return &strata{o} }
}

// Schema returns the provider's schema, as OpenTofu is told it.
func Schema(ctx context.Context) (*tfprotov6.GetProviderSchemaResponse, error) {
	return providerserver.NewProtocol6(New(Options{})())().GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
}

type strata struct{ o Options }

var _ provider.Provider = (*strata)(nil)

// Metadata implements provider.Provider.
func (*strata) Metadata(_ context.Context, _ provider.MetadataRequest, r *provider.MetadataResponse) {
	r.TypeName, r.Version = "strata", Version
}

// settings are the provider's configuration, which every root of a local environment
// has.
type settings struct {
	Platform    types.String `tfsdk:"platform"`
	Environment types.String `tfsdk:"environment"`
	Labels      types.Map    `tfsdk:"labels"`
}

// Schema implements provider.Provider.
func (*strata) Schema(_ context.Context, _ provider.SchemaRequest, r *provider.SchemaResponse) {
	r.Schema = schema.Schema{
		Description: "What modules need on this machine.",
		Attributes: map[string]schema.Attribute{
			"platform":    schema.StringAttribute{Required: true, Description: "Name of the platform."},
			"environment": schema.StringAttribute{Required: true, Description: "Name of the environment."},
			"labels":      schema.MapAttribute{Optional: true, ElementType: types.StringType, Description: "What is known of the unit: its name is `unit`."},
		},
	}
}

// Configure implements provider.Provider.
func (p *strata) Configure(ctx context.Context, r provider.ConfigureRequest, out *provider.ConfigureResponse) {
	var s settings
	out.Diagnostics.Append(r.Config.Get(ctx, &s)...)
	if p.o.Secrets == "" {
		out.Diagnostics.AddError("There is no secret store", "Strata starts this provider and says where the store is; another program did.")
	}
	e := &environment{Options: p.o, platform: s.Platform.ValueString(), name: s.Environment.ValueString(), labels: map[string]string{}}
	if !s.Labels.IsNull() && !s.Labels.IsUnknown() {
		out.Diagnostics.Append(s.Labels.ElementsAs(ctx, &e.labels, false)...)
	}
	out.ResourceData, out.DataSourceData = e, e
}

// Resources implements provider.Provider.
func (*strata) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &secret{} },
		func() resource.Resource { return &secretCopy{} },
		func() resource.Resource { return &manifest{} },
		func() resource.Resource { return &authority{} },
		func() resource.Resource { return &certificate{} },
		func() resource.Resource { return &kubernetes{} },
	}
}

// DataSources implements provider.Provider.
func (*strata) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{func() datasource.DataSource { return &builtinImage{} }}
}
