package strata

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// secret is strata_secret: a password that is made once and kept in the environment's
// secret store. Its value is in no plan and no state; what is, is its path.
type secret struct{ store secrets }

var (
	_ resource.ResourceWithConfigure   = (*secret)(nil)
	_ resource.ResourceWithImportState = (*secret)(nil)
)

type secretModel struct {
	ID     types.String `tfsdk:"id"`
	Path   types.String `tfsdk:"path"`
	Length types.Int64  `tfsdk:"length"`
}

// Metadata implements resource.Resource.
func (*secret) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_secret"
}

// Schema implements resource.Resource.
func (*secret) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	out.Schema = schema.Schema{
		Description: "A password in the environment's secret store. Its value is in no state.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed: true, Description: "The path.", PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"path": schema.StringAttribute{
				Required: true, Description: "Where it is in the store: words joined by slashes.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"length": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(32), Description: "Number of letters and digits, 16 to 128.",
				PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
			},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (s *secret) Configure(_ context.Context, r resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if store, ok := r.ProviderData.(secrets); ok {
		s.store = store
	}
}

// Create implements resource.Resource.
func (s *secret) Create(ctx context.Context, r resource.CreateRequest, out *resource.CreateResponse) {
	var m secretModel
	out.Diagnostics.Append(r.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if n := m.Length.ValueInt64(); n < 16 || n > 128 {
		out.Diagnostics.AddAttributeError(path.Root("length"), "Invalid length", "A secret has 16 to 128 characters.")
		return
	}
	if err := s.store.create(m.Path.ValueString(), m.Length.ValueInt64()); err != nil {
		out.Diagnostics.AddError("The secret could not be made", err.Error())
		return
	}
	m.ID = m.Path
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Read implements resource.Resource. A secret that somebody removed is made again.
func (s *secret) Read(ctx context.Context, r resource.ReadRequest, out *resource.ReadResponse) {
	var m secretModel
	out.Diagnostics.Append(r.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	there, err := s.store.has(m.Path.ValueString())
	if err != nil {
		out.Diagnostics.AddError("The secret could not be looked for", err.Error())
		return
	}
	if !there {
		out.State.RemoveResource(ctx)
	}
}

// Update implements resource.Resource. Every change replaces a secret, so there is
// nothing to update.
func (*secret) Update(ctx context.Context, r resource.UpdateRequest, out *resource.UpdateResponse) {
	var m secretModel
	out.Diagnostics.Append(r.Plan.Get(ctx, &m)...)
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (s *secret) Delete(ctx context.Context, r resource.DeleteRequest, out *resource.DeleteResponse) {
	var m secretModel
	out.Diagnostics.Append(r.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := s.store.remove(m.Path.ValueString()); err != nil {
		out.Diagnostics.AddError("The secret could not be removed", err.Error())
	}
}

// ImportState implements resource.ResourceWithImportState: the id is the path.
func (s *secret) ImportState(ctx context.Context, r resource.ImportStateRequest, out *resource.ImportStateResponse) {
	there, err := s.store.has(r.ID)
	switch {
	case err != nil:
		out.Diagnostics.AddError("The secret could not be looked for", err.Error())
	case !there:
		out.Diagnostics.AddError("Cannot import non-existent remote object", "There is no secret "+r.ID+".")
	default:
		m := secretModel{ID: types.StringValue(r.ID), Path: types.StringValue(r.ID), Length: types.Int64Value(32)}
		out.Diagnostics.Append(out.State.Set(ctx, &m)...)
	}
}
