package strata

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
)

// secretCopy is strata_secret_copy: a Secret where pods can mount it, made of secrets of
// the store. OpenTofu knows the paths and the texts around the values, and never the
// values.
type secretCopy struct{ env *environment }

var (
	_ resource.ResourceWithConfigure  = (*secretCopy)(nil)
	_ resource.ResourceWithModifyPlan = (*secretCopy)(nil)
)

type secretCopyModel struct {
	ID         types.String `tfsdk:"id"`
	Kubeconfig types.String `tfsdk:"kubeconfig"`
	Store      types.String `tfsdk:"store"`
	Namespace  types.String `tfsdk:"namespace"`
	Name       types.String `tfsdk:"name"`
	Secrets    types.Map    `tfsdk:"secrets"`
	Data       types.Map    `tfsdk:"data"`
	Version    types.String `tfsdk:"version"`
}

// Metadata implements resource.Resource.
func (*secretCopy) Metadata(_ context.Context, r resource.MetadataRequest, out *resource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_secret_copy"
}

// Schema implements resource.Resource.
func (*secretCopy) Schema(_ context.Context, _ resource.SchemaRequest, out *resource.SchemaResponse) {
	out.Schema = schema.Schema{
		Description: "A Secret for pods, made of secrets of the store. Their values are in no plan and no state.",
		Attributes: map[string]schema.Attribute{
			"id":         computedID,
			"kubeconfig": requiredKubeconfig,
			"store":      optionalStore,
			"namespace":  replacing("Namespace of the Secret."),
			"name":       replacing("Name of the Secret."),
			"secrets":    schema.MapAttribute{Required: true, ElementType: types.StringType, Description: "Paths in the store, by the word that stands for the value."},
			"data":       schema.MapAttribute{Required: true, ElementType: types.StringType, Description: "The Secret's keys. In each text {{word}} stands for a value of secrets."},
			"version":    schema.StringAttribute{Computed: true, Description: "Changes whenever something in the Secret does, and tells nothing about it."},
		},
	}
}

// Configure implements resource.ResourceWithConfigure.
func (r *secretCopy) Configure(_ context.Context, q resource.ConfigureRequest, out *resource.ConfigureResponse) {
	r.env = configure(q.ProviderData, &out.Diagnostics)
}

var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)

// fill puts values where the text names them.
func fill(text string, values map[string]string) (string, error) {
	var missing []string
	out := placeholder.ReplaceAllStringFunc(text, func(s string) string {
		word := placeholder.FindStringSubmatch(s)[1]
		v, ok := values[word]
		if !ok {
			missing = append(missing, word)
		}
		return v
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("{{%s}} stands for nothing: secrets has %s", missing[0], list(slices.Sorted(maps.Keys(values))))
	}
	return out, nil
}

// list joins words for people.
func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// content reads the secrets and returns what the Secret should have, and its version.
func (r *secretCopy) content(ctx context.Context, m secretCopyModel) (map[string][]byte, string, error) {
	paths, texts := map[string]string{}, map[string]string{}
	var diags diag.Diagnostics
	diags.Append(m.Secrets.ElementsAs(ctx, &paths, false)...)
	diags.Append(m.Data.ElementsAs(ctx, &texts, false)...)
	if diags.HasError() {
		return nil, "", fmt.Errorf("%s: %s", diags[0].Summary(), diags[0].Detail())
	}
	st, err := r.env.store(m.Store.ValueString(), m.Kubeconfig.ValueString())
	if err != nil {
		return nil, "", err
	}
	h := sha256.New()
	values := map[string]string{}
	for _, word := range slices.Sorted(maps.Keys(paths)) {
		value, version, ok, err := st.read(ctx, paths[word])
		if err != nil {
			return nil, "", err
		}
		if !ok {
			return nil, "", fmt.Errorf("the store has no secret %s", paths[word])
		}
		values[word] = value
		fmt.Fprintf(h, "%q %q %q\n", word, paths[word], version)
	}
	data := map[string][]byte{}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		text, err := fill(texts[key], values)
		if err != nil {
			return nil, "", fmt.Errorf("data %q: %w", key, err)
		}
		data[key] = []byte(text)
		fmt.Fprintf(h, "%q %q\n", key, texts[key])
	}
	return data, hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// ModifyPlan implements resource.ResourceWithModifyPlan: a secret that changed changes
// its copy.
func (r *secretCopy) ModifyPlan(ctx context.Context, q resource.ModifyPlanRequest, out *resource.ModifyPlanResponse) {
	if q.State.Raw.IsNull() || q.Plan.Raw.IsNull() {
		return
	}
	var state, plan secretCopyModel
	out.Diagnostics.Append(q.State.Get(ctx, &state)...)
	out.Diagnostics.Append(q.Plan.Get(ctx, &plan)...)
	if out.Diagnostics.HasError() {
		return
	}
	plan.Version = types.StringUnknown()
	known := true
	for _, v := range []interface{ IsUnknown() bool }{plan.Kubeconfig, plan.Store, plan.Secrets, plan.Data} {
		known = known && !v.IsUnknown()
	}
	if known && wholly(plan.Secrets) && wholly(plan.Data) {
		// A secret that is to be made first has no version yet.
		if _, version, err := r.content(ctx, plan); err == nil && version == state.Version.ValueString() {
			plan.Version = state.Version
		}
	}
	out.Diagnostics.Append(out.Plan.SetAttribute(ctx, path.Root("version"), plan.Version)...)
}

// wholly reports whether no element of a map is unknown.
func wholly(m types.Map) bool {
	for _, v := range m.Elements() {
		if v.IsUnknown() {
			return false
		}
	}
	return true
}

// Create implements resource.Resource.
func (r *secretCopy) Create(ctx context.Context, q resource.CreateRequest, out *resource.CreateResponse) {
	var m secretCopyModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := r.write(ctx, &m); err != nil {
		out.Diagnostics.AddError("The Secret could not be made", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// write makes the Secret what it should be.
func (r *secretCopy) write(ctx context.Context, m *secretCopyModel) error {
	c, err := r.env.client(m.Kubeconfig.ValueString())
	if err != nil {
		return err
	}
	data, version, err := r.content(ctx, *m)
	if err != nil {
		return err
	}
	m.ID, m.Version = types.StringValue(m.Namespace.ValueString()+"/"+m.Name.ValueString()), types.StringValue(version)
	return r.env.putSecret(ctx, c, m.Namespace.ValueString(), m.Name.ValueString(), corev1.SecretTypeOpaque, data)
}

// putSecret makes a Secret or, where it is this unit's, gives it other content.
func (e *environment) putSecret(ctx context.Context, c *cluster.Client, namespace, name string, kind corev1.SecretType, data map[string][]byte) error {
	secrets := c.Typed.CoreV1().Secrets(namespace)
	there, err := secrets.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		labels, annotations := e.marks(nil, nil)
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels, Annotations: annotations}, Type: kind, Data: data,
		}, metav1.CreateOptions{FieldManager: cluster.Manager})
		return err
	case err != nil:
		return err
	}
	if err := e.owned("Secret/"+namespace+"/"+name, there.Labels, there.Annotations, nil); err != nil {
		return err
	}
	if reflect.DeepEqual(there.Data, data) {
		return nil
	}
	there.Data = data
	_, err = secrets.Update(ctx, there, metav1.UpdateOptions{FieldManager: cluster.Manager})
	return err
}

// getSecret returns a Secret, or nil.
func getSecret(ctx context.Context, c *cluster.Client, namespace, name string) (*corev1.Secret, error) {
	s, err := c.Typed.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return s, err
}

// deleteSecret deletes a Secret. It is no error that it is not there.
func (e *environment) deleteSecret(ctx context.Context, kubeconfig, namespace, name string) error {
	if e.vanished(kubeconfig) {
		return nil
	}
	c, err := e.client(kubeconfig)
	if err != nil {
		return err
	}
	err = c.Typed.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Read implements resource.Resource. One whose content is not what it should be has no
// version, so that the plan shows that it changes.
func (r *secretCopy) Read(ctx context.Context, q resource.ReadRequest, out *resource.ReadResponse) {
	var m secretCopyModel
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
		out.Diagnostics.AddError("The Secret could not be read", err.Error())
		return
	case there == nil:
		out.State.RemoveResource(ctx)
		return
	}
	if data, _, err := r.content(ctx, m); err != nil || !reflect.DeepEqual(data, there.Data) {
		m.Version = types.StringValue("")
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Update implements resource.Resource.
func (r *secretCopy) Update(ctx context.Context, q resource.UpdateRequest, out *resource.UpdateResponse) {
	var m secretCopyModel
	out.Diagnostics.Append(q.Plan.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := r.write(ctx, &m); err != nil {
		out.Diagnostics.AddError("The Secret could not be changed", err.Error())
		return
	}
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (r *secretCopy) Delete(ctx context.Context, q resource.DeleteRequest, out *resource.DeleteResponse) {
	var m secretCopyModel
	out.Diagnostics.Append(q.State.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	if err := r.env.deleteSecret(ctx, m.Kubeconfig.ValueString(), m.Namespace.ValueString(), m.Name.ValueString()); err != nil {
		out.Diagnostics.AddError("The Secret could not be removed", err.Error())
	}
}
