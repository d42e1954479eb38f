package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stratahq/strata/images"
)

// Builder builds images. What it made once it keeps in Cache. Several may work in one
// cache at the same time.
type Builder struct {
	// Recipes are those that others may be built upon.
	Recipes Recipes
	// Cache is a folder that may be removed at any time.
	Cache string
	// Engines is the folder with the programs that spec.engine names.
	Engines string
	// Note takes what is being done, where that takes long; nil for nobody.
	Note func(string)
}

// NewBuilder returns a builder with the built-in recipes, the user's cache and the
// programs that lie beside the one that is running. note may be nil.
func NewBuilder(note func(string)) (*Builder, error) {
	recipes, err := ReadAll(images.FS)
	if err != nil {
		return nil, err
	}
	cache, err := DefaultCache()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	return &Builder{Recipes: recipes, Cache: cache, Engines: filepath.Dir(self), Note: note}, nil
}

// version is part of what layers are cached by: it changes with how they are made.
const version = "4"

func (b *Builder) note(format string, args ...any) {
	if b.Note != nil {
		b.Note(fmt.Sprintf(format, args...))
	}
}

// Build builds the image of a recipe with those that it is built upon. The same inputs
// give the same digest.
func (b *Builder) Build(ctx context.Context, r *Recipe) (*Image, error) {
	img, err := b.build(ctx, r, b.makeLayer)
	if err != nil {
		return nil, err
	}
	return img, b.remember(img)
}

// Built returns the image that Build would return, if nothing has to be made for that;
// otherwise the error wraps fs.ErrNotExist.
func (b *Builder) Built(ctx context.Context, r *Recipe) (*Image, error) {
	return b.build(ctx, r, nil)
}

// BuildWorkload builds the image of the workload in a folder. The error wraps
// fs.ErrNotExist where the workload has no recipe.
func (b *Builder) BuildWorkload(ctx context.Context, dir string) (*Image, error) {
	r, err := ReadWorkload(dir)
	if err != nil {
		return nil, err
	}
	return b.Build(ctx, r)
}

// maker makes a layer that is not in the cache yet.
type maker func(ctx context.Context, in inputs) (*Layer, error)

// build puts an image together; without a maker only of what is in the cache.
func (b *Builder) build(ctx context.Context, r *Recipe, mk maker) (*Image, error) {
	chain, err := b.Recipes.chain(r)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	var layers []Layer
	for _, step := range chain {
		l, err := b.layer(ctx, step, have, mk)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", step.Metadata.Name, err)
		}
		if l == nil {
			continue
		}
		for _, p := range l.Packages {
			have[p.Name] = true
		}
		layers = append(layers, *l)
	}
	if err := checkShells(r.Metadata.Name, chain, layers); err != nil {
		return nil, err
	}
	return assemble(r.Metadata.Name, chain, layers)
}

// inputs are what a layer is made of.
type inputs struct {
	recipe   *Recipe
	list     []Package
	programs map[string]binary // by their paths in the image
	files    [][]byte          // content of spec.files, in order
	key      string
}

// layer makes the layer of one recipe, or finds it in the cache; nil where there is
// nothing in it. have names the packages of the layers below.
func (b *Builder) layer(ctx context.Context, r *Recipe, have map[string]bool, mk maker) (*Layer, error) {
	s := &r.Spec
	if len(s.Packages)+len(s.Files)+len(s.Dirs)+len(s.Links)+len(s.Engines) == 0 && s.Go == "" {
		return nil, nil
	}
	in := inputs{recipe: r}
	var err error
	if in.files, err = contents(r); err != nil {
		return nil, err
	}
	if in.programs, err = b.programs(ctx, r, mk != nil); err != nil {
		return nil, err
	}
	// What the lists of packages name may be gone from the archive: then newer lists say
	// what took its place.
	for again := false; ; again = true {
		if in.list, err = b.resolve(ctx, r, have, mk != nil); err != nil {
			return nil, err
		}
		if in.key, err = in.digest(); err != nil {
			return nil, err
		}
		l, err := b.readLayer(in.key)
		if err == nil || mk == nil || !errors.Is(err, fs.ErrNotExist) {
			return l, err
		}
		if l, err = mk(ctx, in); err == nil || again || !errors.Is(err, errGone) {
			return l, err
		}
		if uerr := b.UpdateLists(ctx); uerr != nil {
			return nil, errors.Join(err, uerr)
		}
	}
}

// contents returns what spec.files write.
func contents(r *Recipe) ([][]byte, error) {
	var out [][]byte
	for _, f := range r.Spec.Files {
		data := []byte(f.Content)
		if f.From != "" {
			var err error
			if data, err = os.ReadFile(filepath.Join(r.Dir, f.From)); err != nil {
				return nil, fmt.Errorf("spec.files: %w", err)
			}
		}
		out = append(out, data)
	}
	return out, nil
}

// digest returns the key of the layer in the cache.
func (in *inputs) digest() (string, error) {
	// What only concerns the image's configuration makes no other layer.
	s := in.recipe.Spec
	s.Entrypoint, s.Env, s.WorkDir, s.Shell, s.From, s.Go = nil, nil, "", "", "", ""
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, v := range []any{version, in.recipe.Metadata.Name, s, in.list, in.files} {
		if err := enc.Encode(v); err != nil {
			return "", err
		}
	}
	for _, to := range slices.Sorted(maps.Keys(in.programs)) {
		fmt.Fprintln(h, to, in.programs[to].sum)
	}
	return in.recipe.Metadata.Name + "/" + hex.EncodeToString(h.Sum(nil)), nil
}

// makeLayer makes a layer and keeps it.
func (b *Builder) makeLayer(ctx context.Context, in inputs) (*Layer, error) {
	s := &in.recipe.Spec
	files, err := b.fetch(ctx, in.recipe.Metadata.Name, in.list)
	if err != nil {
		return nil, err
	}
	if len(in.list) > 0 {
		b.note("%s: unpacking %d Debian packages", in.recipe.Metadata.Name, len(in.list))
	}
	t := newTree()
	for i, p := range in.list {
		if err := unpack(ctx, t, p, files[i], s); err != nil {
			return nil, err
		}
		// Scanners find packages here where there is no package manager's database.
		t.file("/var/lib/dpkg/status.d/"+p.Name, fmt.Appendf(nil, "Package: %s\nStatus: install ok installed\nSource: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\n\n",
			p.Name, p.Source, p.Version, p.Architecture, p.Maintainer), 0o644)
	}
	authorities(t)
	for name, to := range s.Links {
		t.link(name, to)
	}
	uid, gid := s.owner()
	for _, d := range s.Dirs {
		mode := uint32(0o755)
		if d == "/tmp" {
			mode = 0o1777
		}
		t.dir(d, mode, uid, gid)
	}
	for i, f := range s.Files {
		t.file(f.Path, in.files[i], f.mode())
	}
	var modules []Module
	for _, to := range slices.Sorted(maps.Keys(in.programs)) {
		data, err := os.ReadFile(in.programs[to].file)
		if err != nil {
			return nil, err
		}
		t.file(to, data, 0o755)
		modules = append(modules, in.programs[to].modules...)
	}
	data, diff, err := t.layer()
	if err != nil {
		return nil, err
	}
	d, err := digestOf(data)
	if err != nil {
		return nil, err
	}
	l := &Layer{
		Recipe: in.recipe.Metadata.Name, Digest: d, DiffID: diff, Size: int64(len(data)),
		Packages: in.list, Modules: unique(modules), Shells: t.shells(), Key: in.key,
	}
	return l, b.writeLayer(l, data)
}

// Find returns an image by the name that pods use. One that is named by its digest is
// in the cache, or it is what a built-in recipe gives; one that is named by a tag is
// built of the built-in recipe of that name.
func (b *Builder) Find(ctx context.Context, ref string) (*Image, error) {
	name, ok := strings.CutPrefix(ref, Registry+"/")
	if !ok {
		return nil, fmt.Errorf("%s is not an image of ours: those begin with %s/", ref, Registry)
	}
	name, digest, pinned := strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	if pinned {
		img, err := b.recall(digest)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return img, err
		}
	}
	r, ok := b.Recipes[name]
	if !ok {
		return nil, fmt.Errorf("the image %s is not in the image cache: build it again with `strata image build %s`", ref, name)
	}
	img, err := b.Build(ctx, r)
	if err == nil && pinned && img.Digest != digest {
		return nil, fmt.Errorf("the image %s is not in the image cache, and its recipe gives %s by now: plan and apply again", ref, img.Digest)
	}
	return img, err
}

// Ensure loads those images that are ours and that a containerd lacks, by the names
// that pods use; names of other registries are left to it. It returns how many were
// loaded.
func (b *Builder) Ensure(ctx context.Context, socket string, refs []string) (int, error) {
	var ours []string
	for _, ref := range refs {
		if strings.HasPrefix(ref, Registry+"/") {
			ours = append(ours, ref)
		}
	}
	if len(ours) == 0 {
		return 0, nil
	}
	have, err := Loaded(ctx, socket)
	if err != nil {
		return 0, err
	}
	var missing []Named
	for _, ref := range ours {
		if have[ref] {
			continue
		}
		have[ref] = true
		img, err := b.Find(ctx, ref)
		if err != nil {
			return 0, err
		}
		missing = append(missing, Named{Ref: ref, Image: img})
	}
	return len(missing), load(ctx, socket, missing)
}
