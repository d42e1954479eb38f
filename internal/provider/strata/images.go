package strata

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stratahq/strata/images"
	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/node"
)

// builder builds the images that come with Strata, or finds them in the cache.
func (e *environment) builder() (*image.Builder, error) {
	recipes, err := image.ReadAll(images.FS)
	if err != nil {
		return nil, err
	}
	return &image.Builder{Recipes: recipes, Cache: e.Images, Engines: filepath.Dir(e.Program)}, nil
}

// build builds a built-in image.
func (e *environment) build(ctx context.Context, name string) (*image.Image, error) {
	b, err := e.builder()
	if err != nil {
		return nil, err
	}
	r, ok := b.Recipes[name]
	if !ok {
		return nil, fmt.Errorf("there is no built-in image %q", name)
	}
	return b.Build(ctx, r)
}

// loadImage puts a built-in image into a containerd under a name of its own.
func (e *environment) loadImage(ctx context.Context, socket, name, ref string) error {
	img, err := e.build(ctx, name)
	if err != nil {
		return err
	}
	_, err = image.Load(ctx, socket, []image.Named{{Ref: ref, Image: img}})
	return err
}

// images makes sure that the images of ours which an object names are where its pods
// find them: in the containerd of a node of this machine, or in the registry that any
// other cluster gets them from.
func (e *environment) images(ctx context.Context, kubeconfig string, obj *unstructured.Unstructured) error {
	dir := e.node(kubeconfig)
	refs := e.ours(obj.Object)
	if len(refs) == 0 {
		return nil
	}
	b, err := e.builder()
	if err != nil {
		return err
	}
	if e.Registry != "" {
		_, err := b.Publish(ctx, e.Registry, refs)
		return err
	}
	if dir == "" {
		return fmt.Errorf("%s is built on this machine, and %s is not a cluster of it: name a registry that both can reach in the environment's file (spec.registry.existing.url), and it is pushed there", refs[0], kubeconfig)
	}
	c, err := node.Load(dir)
	if err != nil {
		return err
	}
	_, err = b.Ensure(ctx, c.Socket(), refs)
	return err
}

// registry is where pods get images of ours from.
func (e *environment) registry() string { return cmp.Or(e.Registry, image.Registry) }

// ours lists the values of fields called image that name an image of ours.
func (e *environment) ours(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for k, field := range v {
			if ref, ok := field.(string); ok && k == "image" && strings.HasPrefix(ref, e.registry()+"/") {
				out = append(out, ref)
			}
			out = append(out, e.ours(field)...)
		}
	case []any:
		for _, item := range v {
			out = append(out, e.ours(item)...)
		}
	}
	return out
}

// builtinImage is the data source strata_image: an image that comes with Strata, built
// when it is not in the cache.
type builtinImage struct{ env *environment }

var _ datasource.DataSourceWithConfigure = (*builtinImage)(nil)

type builtinImageModel struct {
	Name types.String `tfsdk:"name"`
	Ref  types.String `tfsdk:"ref"`
}

// Metadata implements datasource.DataSource.
func (*builtinImage) Metadata(_ context.Context, r datasource.MetadataRequest, out *datasource.MetadataResponse) {
	out.TypeName = r.ProviderTypeName + "_image"
}

// Schema implements datasource.DataSource.
func (*builtinImage) Schema(_ context.Context, _ datasource.SchemaRequest, out *datasource.SchemaResponse) {
	out.Schema = schema.Schema{
		Description: "An image that comes with Strata.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true, Description: "Name of the image."},
			"ref":  schema.StringAttribute{Computed: true, Description: "Its name with its digest, as pods use it."},
		},
	}
}

// Configure implements datasource.DataSourceWithConfigure.
func (d *builtinImage) Configure(_ context.Context, q datasource.ConfigureRequest, out *datasource.ConfigureResponse) {
	d.env = configure(q.ProviderData, &out.Diagnostics)
}

// Read implements datasource.DataSource.
func (d *builtinImage) Read(ctx context.Context, q datasource.ReadRequest, out *datasource.ReadResponse) {
	var m builtinImageModel
	out.Diagnostics.Append(q.Config.Get(ctx, &m)...)
	if out.Diagnostics.HasError() {
		return
	}
	img, err := d.env.build(ctx, m.Name.ValueString())
	if err != nil {
		out.Diagnostics.AddError("The image could not be built", err.Error())
		return
	}
	m.Ref = types.StringValue(img.RefIn(d.env.registry()))
	out.Diagnostics.Append(out.State.Set(ctx, &m)...)
}
