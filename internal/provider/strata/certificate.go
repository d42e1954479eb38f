package strata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/stratahq/strata/internal/keypair"
)

// certificate is strata_certificate: a server's certificate, issued by the environment's
// authority into a Secret that the server mounts.
type certificate struct{ env *environment }

var (
	_ resource.ResourceWithConfigure  = (*certificate)(nil)
	_ resource.ResourceWithModifyPlan = (*certificate)(nil)
)

type certificateModel struct {
	ID          types.String `tfsdk:"id"`
	Kubeconfig  types.String `tfsdk:"kubeconfig"`
	Store       types.String `tfsdk:"store"`
	Authority   types.String `tfsdk:"authority"`
	Namespace   types.String `tfsdk:"namespace"`
	Name        types.String `tfsdk:"name"`
	DNSNames    types.List   `tfsdk:"dns_names"`
	Days        types.Int64  `tfsdk:"days"`
	NotAfter    types.String `tfsdk:"not_after"`
	RenewAfter  types.String `tfsdk:"renew_after"`
	Fingerprint types.String `tfsdk:"fingerprint"`
}

// Metadata implements resource.Resource.
func (*certificate) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_certificate"
}

// Schema implements resource.Resource.
func (*certificate) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	out.Schema = schema.Schema{
		Description: "A server's certificate by the environment's authority, in a Secret of type kubernetes.io/tls that also has ca.crt. Its key is in no state. It is renewed when two thirds of its life are over.",
		Attributes: map[string]schema.Attribute{
			"id":          computedID,
			"kubeconfig":  requiredKubeconfig,
			"store":       optionalStore,
			"authority":   schema.StringAttribute{Optional: true, Description: "Path of the authority in the store. Default: that of the environment."},
			"namespace":   replacing("Namespace of the Secret."),
			"name":        replacing("Name of the Secret."),
			"dns_names":   schema.ListAttribute{Required: true, ElementType: types.StringType, Description: "Names of the server."},
			"days":        schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(365), Description: "Days that it lasts, 1 to 825."},
			"not_after":   schema.StringAttribute{Computed: true, Description: "When it ends."},
			"renew_after": schema.StringAttribute{Computed: true, Description: "From when on a plan renews it."},
			"fingerprint": schema.StringAttribute{Computed: true, Description: "Digest of the certificate: it changes when the certificate does."},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (r *certificate) Configure(_ context.Context, q resource.ConfigureRequest, out *resource.ConfigureResponse) {
	r.env = configure(q.ProviderData, &out.Diagnostics)
}

func (r *certificate) issuer(ctx context.Context, m certificateModel) (*keypair.Pair, error) {
	at := m.Authority.ValueString()
	if at == "" {
		at = r.env.authorityPath()
	}
	i, err := r.env.authority(ctx, m.Store.ValueString(), m.Kubeconfig.ValueString(), at)
	if err == nil && i == nil {
		err = fmt.Errorf("the store has no certificate authority %s, which the environment's unit platform/secrets makes: apply that first", at)
	}
	return i, err
}

func (m certificateModel) names(ctx context.Context) ([]string, error) {
	var names []string
	if diags := m.DNSNames.ElementsAs(ctx, &names, false); diags.HasError() {
		return nil, errors.New(diags[0].Detail())
	}
	if len(names) == 0 {
		return nil, errors.New("a server has at least one name (dns_names)")
	}
	return names, nil
}

// ModifyPlan implements resource.ResourceWithModifyPlan. A certificate whose time has
// come, or that is not what is asked for, is issued anew.
func (r *certificate) ModifyPlan(ctx context.Context, q resource.ModifyPlanRequest, out *resource.ModifyPlanResponse) {
	if q.State.Raw.IsNull() || q.Plan.Raw.IsNull() {
		return
	}
	var state, plan certificateModel
	out.Diagnostics.Append(q.State.Get(ctx, &state)...)
	out.Diagnostics.Append(q.Plan.Get(ctx, &plan)...)
	if out.Diagnostics.HasError() {
		return
	}
	renew, err := time.Parse(time.RFC3339, state.RenewAfter.ValueString())
	same := err == nil && time.Now().Before(renew) && plan.DNSNames.Equal(state.DNSNames) && plan.Days.Equal(state.Days) &&
		plan.Authority.Equal(state.Authority) && plan.Store.Equal(state.Store)
	for name, v := range map[string]types.String{"not_after": state.NotAfter, "renew_after": state.RenewAfter, "fingerprint": state.Fingerprint} {
		if !same {
			v = types.StringUnknown()
		}
		out.Diagnostics.Append(out.Plan.SetAttribute(ctx, path.Root(name), v)...)
	}
}

// Create implements resource.Resource.
func (r *certificate) Create(ctx context.Context, q resource.CreateRequest, out *resource.CreateResponse) {
	var m certificateModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := r.issue(ctx, &m); err != nil {
		out.Diagnostics.AddError("The certificate could not be issued", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

func (r *certificate) issue(ctx context.Context, m *certificateModel) error {
	names, err := m.names(ctx)
	if err != nil {
		return err
	}
	days := m.Days.ValueInt64()
	if days < 1 || days > 825 {
		return fmt.Errorf("a certificate lasts 1 to 825 days, not %d", days)
	}
	by, err := r.issuer(ctx, *m)
	if err != nil {
		return err
	}
	c, err := r.env.client(m.Kubeconfig.ValueString())
	if err != nil {
		return err
	}
	cert, key, err := issue(*by, names, time.Now(), time.Duration(days)*24*time.Hour)
	if err != nil {
		return err
	}
	if err := r.env.putSecret(ctx, c, m.Namespace.ValueString(), m.Name.ValueString(), corev1.SecretTypeTLS, map[string][]byte{
		corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key, "ca.crt": []byte(keypair.CertPEM(by.Cert)),
	}); err != nil {
		return err
	}
	return m.show(cert)
}

func (m *certificateModel) show(cert []byte) error {
	c, err := keypair.ParseCert(string(cert))
	if err != nil {
		return err
	}
	m.ID = types.StringValue(m.Namespace.ValueString() + "/" + m.Name.ValueString())
	m.NotAfter, m.RenewAfter = types.StringValue(c.NotAfter.UTC().Format(time.RFC3339)), types.StringValue(renewal(c).Format(time.RFC3339))
	m.Fingerprint = types.StringValue(keypair.Fingerprint(c))
	return nil
}

// Read implements resource.Resource. One that is not what was issued, such as by an
// authority that is no more, is due at once.
func (r *certificate) Read(ctx context.Context, q resource.ReadRequest, out *resource.ReadResponse) {
	var m certificateModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if r.env.vanished(m.Kubeconfig.ValueString()) {
		out.State.RemoveResource(ctx)
		return
	}
	c, err := r.env.client(m.Kubeconfig.ValueString())
	var there *corev1.Secret
	if err == nil {
		there, err = getSecret(ctx, c, m.Namespace.ValueString(), m.Name.ValueString())
	}
	switch {
	case err != nil:
		out.Diagnostics.AddError("The certificate could not be read", err.Error())
		return
	case there == nil:
		out.State.RemoveResource(ctx)
		return
	}
	if r.due(ctx, &m, there) {
		m.RenewAfter = types.StringValue(time.Now().UTC().Format(time.RFC3339))
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// due shows a certificate as it is and reports whether it has to be issued anew.
func (r *certificate) due(ctx context.Context, m *certificateModel, there *corev1.Secret) bool {
	names, err := m.names(ctx)
	if err != nil {
		return true
	}
	c, err := keypair.ParseCert(string(there.Data[corev1.TLSCertKey]))
	if err != nil || m.show(there.Data[corev1.TLSCertKey]) != nil {
		return true
	}
	by, err := r.issuer(ctx, *m)
	return err != nil || outdated(c, by.Cert, names, time.Now()) != ""
}

// Update implements resource.Resource. A change of the way to the cluster alone issues
// nothing.
func (r *certificate) Update(ctx context.Context, q resource.UpdateRequest, out *resource.UpdateResponse) {
	var m certificateModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if m.Fingerprint.IsUnknown() {
		if err := r.issue(ctx, &m); err != nil {
			out.Diagnostics.AddError("The certificate could not be renewed", err.Error())
			return
		}
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (r *certificate) Delete(ctx context.Context, q resource.DeleteRequest, out *resource.DeleteResponse) {
	var m certificateModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := r.env.deleteSecret(ctx, m.Kubeconfig.ValueString(), m.Namespace.ValueString(), m.Name.ValueString()); err != nil {
		out.Diagnostics.AddError("The certificate could not be removed", err.Error())
	}
}
