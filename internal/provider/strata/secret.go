package strata

import (
	"context"
	"strings"

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
type secret struct{ env *environment }

var (
	_ resource.ResourceWithConfigure   = (*secret)(nil)
	_ resource.ResourceWithImportState = (*secret)(nil)
)

type secretModel struct {
	ID         types.String `tfsdk:"id"`
	Path       types.String `tfsdk:"path"`
	Length     types.Int64  `tfsdk:"length"`
	Store      types.String `tfsdk:"store"`
	Kubeconfig types.String `tfsdk:"kubeconfig"`
}

// Metadata implements resource.Resource.
func (*secret) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_secret"
}

// What several resources have.
var (
	computedID = schema.StringAttribute{
		Computed: true, Description: "What it is imported by.", PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
	}
	// The file may move, such as with the folder that nodes are in; the cluster is the
	// same.
	requiredKubeconfig = schema.StringAttribute{Required: true, Description: "File that says how to reach the cluster; a relative path is of the repository."}
	optionalStore      = schema.StringAttribute{
		Optional: true, Description: "Secret store: " + clusterStore + ", or nothing for a folder of the repository.",
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
)

func replacing(description string) schema.StringAttribute {
	return schema.StringAttribute{Required: true, Description: description, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}}
}

// Schema implements resource.Resource.
func (*secret) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	out.Schema = schema.Schema{
		Description: "A password in the environment's secret store. Its value is in no state.",
		Attributes: map[string]schema.Attribute{
			"id":         computedID,
			"path":       replacing("Where it is in the store: words joined by slashes."),
			"store":      optionalStore,
			"kubeconfig": schema.StringAttribute{Optional: true, Description: "File that says how to reach the cluster, for a store in one."},
			"length": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(32), Description: "Number of letters and digits, 16 to 128.",
				PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
			},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (s *secret) Configure(_ context.Context, r resource.ConfigureRequest, out *resource.ConfigureResponse) {
	s.env = configure(r.ProviderData, &out.Diagnostics)
}

func (s *secret) store(m secretModel) (store, error) {
	return s.env.store(m.Store.ValueString(), m.Kubeconfig.ValueString())
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
	value, err := generate(m.Length.ValueInt64())
	if err == nil {
		var st store
		if st, err = s.store(m); err == nil {
			err = st.create(ctx, m.Path.ValueString(), value)
		}
	}
	if err != nil {
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
	if s.env.vanished(m.Kubeconfig.ValueString()) {
		out.State.RemoveResource(ctx)
		return
	}
	there, err := s.there(ctx, m)
	if err != nil {
		out.Diagnostics.AddError("The secret could not be looked for", err.Error())
		return
	}
	if !there {
		out.State.RemoveResource(ctx)
	}
}

func (s *secret) there(ctx context.Context, m secretModel) (bool, error) {
	st, err := s.store(m)
	if err != nil {
		return false, err
	}
	_, _, ok, err := st.read(ctx, m.Path.ValueString())
	return ok, err
}

// Update implements resource.Resource. Every change replaces a secret, except that its
// cluster is reached in another way.
func (*secret) Update(ctx context.Context, r resource.UpdateRequest, out *resource.UpdateResponse) {
	var m secretModel
	out.Diagnostics.Append(r.Plan.Get(ctx, &m)...)
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (s *secret) Delete(ctx context.Context, r resource.DeleteRequest, out *resource.DeleteResponse) {
	var m secretModel
	out.Diagnostics.Append(r.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() || s.env.vanished(m.Kubeconfig.ValueString()) {
		return
	}
	st, err := s.store(m)
	if err == nil {
		err = st.remove(ctx, m.Path.ValueString())
	}
	if err != nil {
		out.Diagnostics.AddError("The secret could not be removed", err.Error())
	}
}

// ImportState implements resource.ResourceWithImportState: the id is the path, with the
// kubeconfig before it and an @ between them for a secret in a cluster.
func (s *secret) ImportState(ctx context.Context, r resource.ImportStateRequest, out *resource.ImportStateResponse) {
	m := secretModel{Path: types.StringValue(r.ID), Length: types.Int64Value(32)}
	if file, p, ok := strings.Cut(r.ID, "@"); ok {
		m.Path, m.Kubeconfig, m.Store = types.StringValue(p), types.StringValue(file), types.StringValue(clusterStore)
	}
	m.ID = m.Path
	there, err := s.there(ctx, m)
	switch {
	case err != nil:
		out.Diagnostics.AddError("The secret could not be looked for", err.Error())
	case !there:
		out.Diagnostics.AddError("Cannot import non-existent remote object", "There is no secret "+m.Path.ValueString()+".")
	default:
		out.Diagnostics.Append(out.State.Set(ctx, &m)...)
	}
}
