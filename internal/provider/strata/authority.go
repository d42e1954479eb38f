package strata

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/stratahq/strata/internal/keypair"
)

// authority is strata_certificate_authority: the environment's own, whose key is in the
// secret store and nowhere else.
type authority struct{ env *environment }

var _ resource.ResourceWithConfigure = (*authority)(nil)

type authorityModel struct {
	ID          types.String `tfsdk:"id"`
	Kubeconfig  types.String `tfsdk:"kubeconfig"`
	Store       types.String `tfsdk:"store"`
	Path        types.String `tfsdk:"path"`
	Certificate types.String `tfsdk:"certificate"`
	NotAfter    types.String `tfsdk:"not_after"`
}

// authorityLife is how long an authority lasts: longer than any local environment.
const authorityLife = 10 * 365 * 24 * time.Hour

// authorityPath is where the authority of an environment lies unless a module says
// otherwise.
func (e *environment) authorityPath() string {
	return e.platform + "/" + e.name + "/platform/certificate-authority"
}

// Metadata implements resource.Resource.
func (*authority) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_certificate_authority"
}

// Schema implements resource.Resource.
func (*authority) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	out.Schema = schema.Schema{
		Description: "The certificate authority of the environment. Its key is in the secret store and in no state.",
		Attributes: map[string]schema.Attribute{
			"id":         computedID,
			"kubeconfig": requiredKubeconfig,
			"store":      optionalStore,
			"path": schema.StringAttribute{
				Optional: true, Computed: true, Description: "Where it is in the store. Default: PLATFORM/ENVIRONMENT/platform/certificate-authority.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()},
			},
			"certificate": schema.StringAttribute{Computed: true, Description: "Its certificate, as PEM.", PlanModifiers: keep},
			"not_after":   schema.StringAttribute{Computed: true, Description: "When it ends.", PlanModifiers: keep},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (r *authority) Configure(_ context.Context, q resource.ConfigureRequest, out *resource.ConfigureResponse) {
	r.env = configure(q.ProviderData, &out.Diagnostics)
}

// authority returns the authority that a store has; nil where there is none.
func (e *environment) authority(ctx context.Context, storeName, kubeconfig, path string) (*keypair.Pair, error) {
	st, err := e.store(storeName, kubeconfig)
	if err != nil {
		return nil, err
	}
	text, _, ok, err := st.read(ctx, path)
	if err != nil || !ok {
		return nil, err
	}
	i, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("the secret %s is no certificate authority: %w", path, err)
	}
	return &i, nil
}

// Create implements resource.Resource.
func (r *authority) Create(ctx context.Context, q resource.CreateRequest, out *resource.CreateResponse) {
	var m authorityModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if m.Path.IsUnknown() {
		m.Path = types.StringValue(r.env.authorityPath())
	}
	if err := r.make(ctx, &m); err != nil {
		out.Diagnostics.AddError("The certificate authority could not be made", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

func (r *authority) make(ctx context.Context, m *authorityModel) error {
	st, err := r.env.store(m.Store.ValueString(), m.Kubeconfig.ValueString())
	if err != nil {
		return err
	}
	made, err := newIssuer(r.env.platform+" "+r.env.name+" platform", time.Now(), authorityLife)
	if err != nil {
		return err
	}
	text, err := encode(made)
	if err != nil {
		return err
	}
	if err := st.create(ctx, m.Path.ValueString(), text); err != nil {
		return err
	}
	// One that was there already counts.
	i, err := r.env.authority(ctx, m.Store.ValueString(), m.Kubeconfig.ValueString(), m.Path.ValueString())
	if err != nil {
		return err
	}
	if i == nil {
		return fmt.Errorf("the store has no secret %s, though it was just written", m.Path.ValueString())
	}
	m.show(i)
	return nil
}

func (m *authorityModel) show(i *keypair.Pair) {
	m.ID = m.Path
	m.Certificate = types.StringValue(keypair.CertPEM(i.Cert))
	m.NotAfter = types.StringValue(i.Cert.NotAfter.UTC().Format(time.RFC3339))
}

// Read implements resource.Resource.
func (r *authority) Read(ctx context.Context, q resource.ReadRequest, out *resource.ReadResponse) {
	var m authorityModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if r.env.vanished(m.Kubeconfig.ValueString()) {
		out.State.RemoveResource(ctx)
		return
	}
	i, err := r.env.authority(ctx, m.Store.ValueString(), m.Kubeconfig.ValueString(), m.Path.ValueString())
	switch {
	case err != nil:
		out.Diagnostics.AddError("The certificate authority could not be read", err.Error())
	case i == nil:
		out.State.RemoveResource(ctx)
	default:
		m.show(i)
		out.Diagnostics.Append(out.State.Set(ctx, &m)...)
	}
}

// Update implements resource.Resource: nothing changes but the way to the cluster.
func (*authority) Update(ctx context.Context, q resource.UpdateRequest, out *resource.UpdateResponse) {
	var m authorityModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (r *authority) Delete(ctx context.Context, q resource.DeleteRequest, out *resource.DeleteResponse) {
	var m authorityModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() || r.env.vanished(m.Kubeconfig.ValueString()) {
		return
	}
	st, err := r.env.store(m.Store.ValueString(), m.Kubeconfig.ValueString())
	if err == nil {
		err = st.remove(ctx, m.Path.ValueString())
	}
	if err != nil {
		out.Diagnostics.AddError("The certificate authority could not be removed", err.Error())
	}
}
