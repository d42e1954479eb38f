package strata

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/internal/cluster"
)

// manifest is strata_manifest: one object of a cluster, made by server-side apply.
type manifest struct{ env *environment }

var (
	_ resource.ResourceWithConfigure   = (*manifest)(nil)
	_ resource.ResourceWithImportState = (*manifest)(nil)
	_ resource.ResourceWithModifyPlan  = (*manifest)(nil)
)

type manifestModel struct {
	ID         types.String  `tfsdk:"id"`
	Kubeconfig types.String  `tfsdk:"kubeconfig"`
	Manifest   types.Dynamic `tfsdk:"manifest"`
	Wait       types.Bool    `tfsdk:"wait"`
	Timeout    types.String  `tfsdk:"timeout"`
	Protected  types.Bool    `tfsdk:"protected"`
}

// Metadata implements resource.Resource.
func (*manifest) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_manifest"
}

// Schema implements resource.Resource.
func (*manifest) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	out.Schema = schema.Schema{
		Description: "One object of a cluster. Fields that it does not set are left to others; what somebody else made is never taken over.",
		Attributes: map[string]schema.Attribute{
			"id":         computedID,
			"kubeconfig": requiredKubeconfig,
			"manifest":   schema.DynamicAttribute{Required: true, Description: "The object, as Kubernetes writes it. No secrets: it is in plans and in the state."},
			"wait": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true), Description: "Wait until it is ready.",
			},
			"timeout": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString("3m"), Description: "How long to wait until it is ready, or gone.",
			},
			"protected": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false), Description: "Refuse to delete or replace it, since it holds data.",
			},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (r *manifest) Configure(_ context.Context, q resource.ConfigureRequest, out *resource.ConfigureResponse) {
	r.env = configure(q.ProviderData, &out.Diagnostics)
}

// idOf is what an object is imported by: apiVersion, kind, namespace and name.
func idOf(obj *unstructured.Unstructured) string {
	if ns := obj.GetNamespace(); ns != "" {
		return obj.GetAPIVersion() + "/" + obj.GetKind() + "/" + ns + "/" + obj.GetName()
	}
	return obj.GetAPIVersion() + "/" + obj.GetKind() + "/" + obj.GetName()
}

// object returns the object of a model; nil while a part of it is not known.
func object(ctx context.Context, m manifestModel, diags *diag.Diagnostics) *unstructured.Unstructured {
	v, known, err := plain(ctx, m.Manifest)
	if err != nil {
		diags.AddAttributeError(path.Root("manifest"), "Invalid manifest", err.Error())
		return nil
	}
	if !known {
		return nil
	}
	fields, ok := v.(map[string]any)
	obj := &unstructured.Unstructured{Object: fields}
	if !ok || obj.GetAPIVersion() == "" || obj.GetKind() == "" || obj.GetName() == "" {
		diags.AddAttributeError(path.Root("manifest"), "Invalid manifest", "It must be an object with apiVersion, kind and metadata.name.")
		return nil
	}
	return obj
}

func patience(m manifestModel, diags *diag.Diagnostics) time.Duration {
	d, err := time.ParseDuration(m.Timeout.ValueString())
	if err != nil || d <= 0 {
		diags.AddAttributeError(path.Root("timeout"), "Invalid timeout", fmt.Sprintf("%q is no duration such as 90s or 3m.", m.Timeout.ValueString()))
	}
	return d
}

// ModifyPlan implements resource.ResourceWithModifyPlan. An object cannot get another
// name, nor another value in some fields: what the API server refuses to change is
// replaced. What holds data is neither replaced nor deleted.
func (r *manifest) ModifyPlan(ctx context.Context, q resource.ModifyPlanRequest, out *resource.ModifyPlanResponse) {
	var state, plan manifestModel
	if q.State.Raw.IsNull() {
		return
	}
	out.Diagnostics.Append(q.State.Get(ctx, &state)...)
	if q.Plan.Raw.IsNull() {
		protect(state, "deleted", &out.Diagnostics)
		return
	}
	out.Diagnostics.Append(q.Plan.Get(ctx, &plan)...)
	before, after := object(ctx, state, &out.Diagnostics), object(ctx, plan, &out.Diagnostics)
	if out.Diagnostics.HasError() || before == nil || after == nil {
		return
	}
	replace := idOf(before) != idOf(after)
	if !replace && !plan.Kubeconfig.IsUnknown() && !plan.Manifest.Equal(state.Manifest) {
		err := r.rehearse(ctx, plan.Kubeconfig.ValueString(), after)
		if replace = immutable(err); err != nil && !replace {
			out.Diagnostics.AddAttributeError(path.Root("manifest"), "The cluster refuses "+cluster.Name(after), err.Error())
			return
		}
	}
	if replace {
		protect(state, "replaced", &out.Diagnostics)
		out.RequiresReplace = append(out.RequiresReplace, path.Root("manifest"))
		out.Diagnostics.Append(out.Plan.SetAttribute(ctx, path.Root("id"), types.StringUnknown())...)
	}
}

func protect(state manifestModel, what string, diags *diag.Diagnostics) {
	if state.Protected.ValueBool() {
		diags.AddError(state.ID.ValueString()+" is protected", "It holds data and would be "+what+". If that is meant, take the protection away first (protected: false in the environment) and apply that.")
	}
}

// rehearse asks the API server what applying an object would come to.
func (r *manifest) rehearse(ctx context.Context, kubeconfig string, obj *unstructured.Unstructured) error {
	c, err := r.env.client(kubeconfig)
	if err != nil {
		return err
	}
	obj = obj.DeepCopy()
	r.env.mark(obj)
	_, err = c.Apply(ctx, obj, cluster.ApplyOptions{DryRun: true, Force: true})
	return err
}

// immutable reports whether an error says that a field cannot be changed.
func immutable(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, c := range status.Status().Details.Causes {
		if strings.Contains(c.Message, "immutable") || strings.HasPrefix(c.Message, "Forbidden: updates to ") {
			return true
		}
	}
	return false
}

// Create implements resource.Resource.
func (r *manifest) Create(ctx context.Context, q resource.CreateRequest, out *resource.CreateResponse) {
	var m manifestModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	obj := object(ctx, m, &out.Diagnostics)
	limit := patience(m, &out.Diagnostics)
	if out.Diagnostics.HasError() {
		return
	}
	c, err := r.env.client(m.Kubeconfig.ValueString())
	if err == nil {
		err = r.mine(ctx, c, obj)
	}
	if err == nil {
		err = r.apply(ctx, c, m, obj)
	}
	if err != nil {
		out.Diagnostics.AddError("Cannot apply "+cluster.Name(obj), err.Error())
		return
	}
	// From here on it is there, ready or not.
	m.ID = types.StringValue(idOf(obj))
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
	r.ready(ctx, c, m, obj, limit, &out.Diagnostics)
}

// mine makes sure that there is no such object yet, or that it is this unit's.
func (r *manifest) mine(ctx context.Context, c *cluster.Client, obj *unstructured.Unstructured) error {
	there, err := c.Get(ctx, obj)
	if there == nil || err != nil {
		return err
	}
	var managers []string
	for _, f := range there.GetManagedFields() {
		if f.Subresource == "" {
			managers = append(managers, f.Manager)
		}
	}
	return r.env.owned(cluster.Name(obj), there.GetLabels(), there.GetAnnotations(), managers)
}

// apply applies an object, after the images that it names are there. It is this unit's,
// and what others changed in it the plan has shown: so it takes its fields back.
func (r *manifest) apply(ctx context.Context, c *cluster.Client, m manifestModel, obj *unstructured.Unstructured) error {
	if err := r.env.images(ctx, m.Kubeconfig.ValueString(), obj); err != nil {
		return err
	}
	obj = obj.DeepCopy()
	r.env.mark(obj)
	_, err := c.Apply(ctx, obj, cluster.ApplyOptions{Force: true})
	return err
}

// Update implements resource.Resource.
func (r *manifest) Update(ctx context.Context, q resource.UpdateRequest, out *resource.UpdateResponse) {
	var m manifestModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	obj := object(ctx, m, &out.Diagnostics)
	limit := patience(m, &out.Diagnostics)
	if out.Diagnostics.HasError() {
		return
	}
	c, err := r.env.client(m.Kubeconfig.ValueString())
	if err == nil {
		err = r.apply(ctx, c, m, obj)
	}
	if err != nil {
		out.Diagnostics.AddError("Cannot apply "+cluster.Name(obj), err.Error())
		return
	}
	m.ID = types.StringValue(idOf(obj))
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
	r.ready(ctx, c, m, obj, limit, &out.Diagnostics)
}

// Read implements resource.Resource.
func (r *manifest) Read(ctx context.Context, q resource.ReadRequest, out *resource.ReadResponse) {
	var m manifestModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	obj := object(ctx, m, &out.Diagnostics)
	if out.Diagnostics.HasError() || obj == nil {
		return
	}
	if r.env.vanished(m.Kubeconfig.ValueString()) {
		out.State.RemoveResource(ctx)
		return
	}
	now, there, err := r.now(ctx, m, obj)
	switch {
	case err != nil:
		out.Diagnostics.AddError("Cannot read "+cluster.Name(obj), err.Error())
	case !there:
		out.State.RemoveResource(ctx)
	case now != nil:
		m.Manifest, err = dynamic(now)
		if err != nil {
			out.Diagnostics.AddError("Cannot read "+cluster.Name(obj), err.Error())
			return
		}
		out.Diagnostics.Append(out.State.Set(ctx, &m)...)
	}
}

// now returns what was applied as it is now; nil where nothing has changed.
func (r *manifest) now(ctx context.Context, m manifestModel, obj *unstructured.Unstructured) (now any, there bool, err error) {
	c, err := r.env.client(m.Kubeconfig.ValueString())
	if err != nil {
		return nil, false, err
	}
	live, err := c.Get(ctx, obj)
	if live == nil || err != nil {
		return nil, false, err
	}
	again := obj.DeepCopy()
	r.env.mark(again)
	wanted, err := c.Apply(ctx, again, cluster.ApplyOptions{DryRun: true, Force: true})
	if err != nil {
		// Such as a field that cannot be changed back: what is there says it all.
		wanted = obj
	}
	got := &unstructured.Unstructured{Object: drifted(obj.Object, wanted.Object, live.Object).(map[string]any)}
	if sameJSON(got, obj) {
		return nil, true, nil
	}
	return got.Object, true, nil
}

func sameJSON(a, b *unstructured.Unstructured) bool {
	x, errX := a.MarshalJSON()
	y, errY := b.MarshalJSON()
	return errX == nil && errY == nil && string(x) == string(y)
}

// Delete implements resource.Resource.
func (r *manifest) Delete(ctx context.Context, q resource.DeleteRequest, out *resource.DeleteResponse) {
	var m manifestModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	obj := object(ctx, m, &out.Diagnostics)
	limit := patience(m, &out.Diagnostics)
	if out.Diagnostics.HasError() || r.env.vanished(m.Kubeconfig.ValueString()) {
		return
	}
	if protect(m, "deleted", &out.Diagnostics); out.Diagnostics.HasError() {
		return
	}
	c, err := r.env.client(m.Kubeconfig.ValueString())
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err = c.Delete(limited, obj)
	}
	if err != nil {
		out.Diagnostics.AddError("Cannot delete "+cluster.Name(obj), err.Error())
	}
}
