package strata

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/node"
)

// kubernetes is strata_cluster: a node of this machine, which is a cluster.
type kubernetes struct{ env *environment }

var (
	_ resource.ResourceWithConfigure   = (*kubernetes)(nil)
	_ resource.ResourceWithImportState = (*kubernetes)(nil)
	_ resource.ResourceWithModifyPlan  = (*kubernetes)(nil)
)

type kubernetesModel struct {
	ID                   types.String `tfsdk:"id"`
	Name                 types.String `tfsdk:"name"`
	Protected            types.Bool   `tfsdk:"protected"`
	Endpoint             types.String `tfsdk:"endpoint"`
	CertificateAuthority types.String `tfsdk:"certificate_authority"`
	Version              types.String `tfsdk:"version"`
	Kubeconfig           types.String `tfsdk:"kubeconfig"`
}

// Metadata implements resource.Resource.
func (*kubernetes) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_cluster"
}

// Schema implements resource.Resource.
func (*kubernetes) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	out.Schema = schema.Schema{
		Description: "A Kubernetes cluster of one node on this machine. Deleting it deletes all that is in it.",
		Attributes: map[string]schema.Attribute{
			"id":   computedID,
			"name": replacing("Name of the node: a DNS label of at most 40 characters."),
			"protected": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false), Description: "Refuse to delete or replace it, since it holds data.",
			},
			"endpoint":              schema.StringAttribute{Computed: true, Description: "URL of the API server.", PlanModifiers: keep},
			"certificate_authority": schema.StringAttribute{Computed: true, Description: "Certificate authority of the API server, PEM in base64.", PlanModifiers: keep},
			"version":               schema.StringAttribute{Computed: true, Description: "Kubernetes version.", PlanModifiers: keep},
			"kubeconfig":            schema.StringAttribute{Computed: true, Description: "File that says how to reach it.", PlanModifiers: keep},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (r *kubernetes) Configure(_ context.Context, q resource.ConfigureRequest, out *resource.ConfigureResponse) {
	r.env = configure(q.ProviderData, &out.Diagnostics)
}

// ModifyPlan implements resource.ResourceWithModifyPlan.
func (r *kubernetes) ModifyPlan(ctx context.Context, q resource.ModifyPlanRequest, out *resource.ModifyPlanResponse) {
	if q.State.Raw.IsNull() {
		return
	}
	var state kubernetesModel
	out.Diagnostics.Append(q.State.Get(ctx, &state)...)
	name := types.StringNull()
	if !q.Plan.Raw.IsNull() {
		out.Diagnostics.Append(q.Plan.GetAttribute(ctx, path.Root("name"), &name)...)
	}
	if state.Protected.ValueBool() && !name.IsUnknown() && !name.Equal(state.Name) {
		out.Diagnostics.AddError("The cluster "+state.Name.ValueString()+" is protected", "It holds all data of the environment and would be deleted. If that is meant, take the protection away first (protected: false in the environment) and apply that.")
	}
}

// Create implements resource.Resource. A node that is there is started: an apply that
// was cut off made it, or `strata up` started it already.
func (r *kubernetes) Create(ctx context.Context, q resource.CreateRequest, out *resource.CreateResponse) {
	var m kubernetesModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	c, err := r.env.startNode(ctx, m.Name.ValueString())
	if err == nil {
		err = r.env.loadImage(ctx, c.Socket(), "pause", node.PauseImage)
	}
	if err == nil {
		err = m.show(ctx, c)
	}
	if err != nil {
		out.Diagnostics.AddError("The cluster could not be started", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// startNode starts a node with the engines beside this program.
func (e *environment) startNode(ctx context.Context, name string) (node.Config, error) {
	return node.Start(ctx, node.Options{Name: name, Owner: e.Repository, Program: e.Program, Kube: filepath.Join(filepath.Dir(e.Program), "strata-kube")})
}

// purgeNode removes a node with all its data, if it is this repository's.
func (e *environment) purgeNode(ctx context.Context, name string) error {
	dir := filepath.Join(node.Root(), name)
	c, err := node.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.Owner != "" && c.Owner != e.Repository {
		return fmt.Errorf("the node %s belongs to the repository %s, and is deleted there only", name, c.Owner)
	}
	return node.Purge(ctx, dir)
}

// show fills in what a node's cluster is.
func (m *kubernetesModel) show(ctx context.Context, c node.Config) error {
	m.ID, m.Name = types.StringValue(c.Name), types.StringValue(c.Name)
	m.Endpoint, m.Kubeconfig = types.StringValue(c.Server()), types.StringValue(c.Kubeconfig())
	client, err := cluster.Open(c.Kubeconfig())
	if err != nil {
		return err
	}
	m.CertificateAuthority = types.StringValue(base64.StdEncoding.EncodeToString(client.REST.CAData))
	if !node.Ready(c.Dir) && !m.Version.IsNull() && !m.Version.IsUnknown() {
		return nil // it is stopped, and is what it was
	}
	version, err := client.Typed.Discovery().ServerVersionWithContext(ctx)
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	m.Version = types.StringValue(strings.TrimPrefix(version.GitVersion, "v"))
	return nil
}

// Read implements resource.Resource. A node that is stopped is there; one whose folder
// is gone is not.
func (r *kubernetes) Read(ctx context.Context, q resource.ReadRequest, out *resource.ReadResponse) {
	var m kubernetesModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	c, err := node.Load(filepath.Join(node.Root(), m.Name.ValueString()))
	if errors.Is(err, fs.ErrNotExist) {
		out.State.RemoveResource(ctx)
		return
	}
	if err == nil {
		err = m.show(ctx, c)
	}
	if err != nil {
		out.Diagnostics.AddError("The cluster could not be read", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Update implements resource.Resource: only its protection changes.
func (*kubernetes) Update(ctx context.Context, q resource.UpdateRequest, out *resource.UpdateResponse) {
	var m kubernetesModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (r *kubernetes) Delete(ctx context.Context, q resource.DeleteRequest, out *resource.DeleteResponse) {
	var m kubernetesModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := r.env.purgeNode(ctx, m.Name.ValueString()); err != nil {
		out.Diagnostics.AddError("The cluster could not be deleted", err.Error())
	}
}

// ImportState implements resource.ResourceWithImportState: the id is the node's name.
func (r *kubernetes) ImportState(ctx context.Context, q resource.ImportStateRequest, out *resource.ImportStateResponse) {
	c, err := node.Load(filepath.Join(node.Root(), q.ID))
	m := kubernetesModel{Protected: types.BoolValue(false)}
	if err == nil {
		err = m.show(ctx, c)
	}
	if err != nil {
		out.Diagnostics.AddError("Cannot import non-existent remote object", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}
