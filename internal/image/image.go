package image

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry is the name before the first slash of every image that is built here. No
// registry has it: such an image is in a containerd because it was loaded, or not at all.
const Registry = "strata.local"

// Image is an image that was built.
type Image struct {
	Name   string   `json:"name"`
	Digest string   `json:"digest"` // sha256:...
	Size   int64    `json:"size"`   // bytes of all layers, compressed
	User   string   `json:"user"`
	Layers []Layer  `json:"layers"`
	Image  v1.Image `json:"-"`
}

// Layer is a layer of an image, with what is in it.
type Layer struct {
	Recipe   string    `json:"recipe"`
	Digest   string    `json:"digest"`
	DiffID   string    `json:"diffId"`
	Size     int64     `json:"size"`
	Packages []Package `json:"packages,omitempty"`
	Modules  []Module  `json:"modules,omitempty"`
	Shells   []string  `json:"shells,omitempty"`
	// Key is the layer's place in the cache.
	Key  string `json:"key,omitempty"`
	file string
}

// Ref is the name under which pods use the image.
func (i *Image) Ref() string { return i.RefIn(Registry) }

// RefIn is its name in a registry, such as "registry.example/apps", with its digest.
func (i *Image) RefIn(registry string) string { return registry + "/" + i.Name + "@" + i.Digest }

// Packages returns the Debian packages of all layers.
func (i *Image) Packages() []Package {
	var out []Package
	for _, l := range i.Layers {
		out = append(out, l.Packages...)
	}
	return out
}

// Modules returns the Go modules of all layers.
func (i *Image) Modules() []Module {
	var out []Module
	for _, l := range i.Layers {
		out = append(out, l.Modules...)
	}
	return out
}

// Shells returns the shells in all layers.
func (i *Image) Shells() []string {
	var out []string
	for _, l := range i.Layers {
		out = append(out, l.Shells...)
	}
	return out
}

// assemble makes an image of layers.
func assemble(name string, chain []*Recipe, layers []Layer) (*Image, error) {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	out := &Image{Name: name, Layers: layers}
	for _, l := range layers {
		var err error
		if img, err = mutate.Append(img, mutate.Addendum{Layer: stored{l}, History: v1.History{CreatedBy: "strata image build " + l.Recipe}}); err != nil {
			return nil, err
		}
		out.Size += l.Size
	}
	cfg := v1.Config{User: nonRoot, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Labels: map[string]string{"org.opencontainers.image.title": name}}
	for _, step := range chain {
		configure(&cfg, &step.Spec)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config, file.Created = "linux", architecture(), cfg, v1.Time{Time: epoch.UTC()}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, err
	}
	d, err := img.Digest()
	if err != nil {
		return nil, err
	}
	out.Image, out.Digest, out.User = img, d.String(), cfg.User
	return out, nil
}

// architecture is the machine's, as OCI and Go name it.
func architecture() string { return runtime.GOARCH }

// configure lays a recipe's settings over those of the image below.
func configure(c *v1.Config, s *Spec) {
	if s.User != "" {
		c.User = s.User
	}
	if len(s.Entrypoint) > 0 {
		c.Entrypoint = s.Entrypoint
	}
	if s.WorkDir != "" {
		c.WorkingDir = s.WorkDir
	}
	for _, k := range slices.Sorted(maps.Keys(s.Env)) {
		c.Env = slices.DeleteFunc(c.Env, func(e string) bool { return strings.HasPrefix(e, k+"=") })
		c.Env = append(c.Env, k+"="+s.Env[k])
	}
}

// checkShells compares what recipes say of shells with what is in the image.
func checkShells(name string, chain []*Recipe, layers []Layer) error {
	var found []string
	for _, l := range layers {
		found = append(found, l.Shells...)
	}
	said := slices.ContainsFunc(chain, func(s *Recipe) bool { return s.Spec.Shell != "" })
	switch {
	case len(found) > 0 && !said:
		return fmt.Errorf("image %s has a shell (%s) and its recipe does not say why: leave the package out (spec.without), or give the reason in spec.shell", name, strings.Join(found, ", "))
	case len(found) == 0 && said:
		return fmt.Errorf("image %s has no shell, and its recipe gives a reason for one: remove spec.shell", name)
	}
	return nil
}

// record is an image in the cache: everything but its layers, which are there already.
type record struct {
	Image    *Image `json:"image"`
	Manifest []byte `json:"manifest"`
	Config   []byte `json:"config"`
}

var _ partial.CompressedImageCore = (*record)(nil)

// RawConfigFile implements partial.CompressedImageCore.
func (r *record) RawConfigFile() ([]byte, error) { return r.Config, nil }

// MediaType implements partial.CompressedImageCore.
func (r *record) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// RawManifest implements partial.CompressedImageCore.
func (r *record) RawManifest() ([]byte, error) { return r.Manifest, nil }

// LayerByDigest implements partial.CompressedImageCore. Some callers ask for the
// configuration in this way too.
func (r *record) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range r.Image.Layers {
		if l.Digest == h.String() {
			return stored{l}, nil
		}
	}
	if config, err := partial.ConfigLayer(r); err == nil {
		if d, err := config.Digest(); err == nil && d == h {
			return config, nil
		}
	}
	return nil, fmt.Errorf("image %s has no layer %s", r.Image.Name, h)
}

// digestOf returns the digest of bytes, as OCI writes it.
func digestOf(b []byte) (string, error) {
	h, _, err := v1.SHA256(io.NopCloser(bytes.NewReader(b)))
	return h.String(), err
}
