package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Builder builds images. What it made once it keeps in Cache.
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

// version is part of what layers are cached by: it changes with how they are made.
const version = "1"

// Image is an image that was built.
type Image struct {
	Name   string
	Image  v1.Image
	Digest string // sha256:...
	Size   int64  // bytes of all layers, compressed
	Layers []Layer
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
	file     string
}

func (b *Builder) note(format string, args ...any) {
	if b.Note != nil {
		b.Note(fmt.Sprintf(format, args...))
	}
}

// Build builds the image of a recipe with those that it is built upon. The same inputs
// give the same digest.
func (b *Builder) Build(ctx context.Context, r *Recipe) (*Image, error) {
	chain, err := b.Recipes.chain(r)
	if err != nil {
		return nil, err
	}
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	out := &Image{Name: r.Metadata.Name}
	have := map[string]bool{}
	cfg := v1.Config{User: nonRoot, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}, Labels: map[string]string{"org.opencontainers.image.title": r.Metadata.Name}}
	for _, step := range chain {
		l, err := b.layer(ctx, step, have)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", step.Metadata.Name, err)
		}
		if l != nil {
			for _, p := range l.Packages {
				have[p.Name] = true
			}
			if img, err = mutate.Append(img, mutate.Addendum{Layer: stored{*l}, History: v1.History{CreatedBy: "strata image build " + step.Metadata.Name}}); err != nil {
				return nil, err
			}
			out.Layers = append(out.Layers, *l)
			out.Size += l.Size
		}
		configure(&cfg, &step.Spec)
	}
	if err := shells(r, chain, out.Layers); err != nil {
		return nil, err
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
	out.Image, out.Digest = img, d.String()
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

// shells compares what a recipe says of shells with what is in the image.
func shells(r *Recipe, chain []*Recipe, layers []Layer) error {
	var found []string
	for _, l := range layers {
		found = append(found, l.Shells...)
	}
	said := slices.ContainsFunc(chain, func(s *Recipe) bool { return s.Spec.Shell != "" })
	switch {
	case len(found) > 0 && !said:
		return fmt.Errorf("image %s has a shell (%s) and its recipe does not say why: leave the package out (spec.without), or give the reason in spec.shell", r.Metadata.Name, strings.Join(found, ", "))
	case len(found) == 0 && said:
		return fmt.Errorf("image %s has no shell, and its recipe gives a reason for one: remove spec.shell", r.Metadata.Name)
	}
	return nil
}

var shellNames = []string{"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}

// layer makes the layer of one recipe, or finds it in the cache; nil where there is
// nothing in it.
func (b *Builder) layer(ctx context.Context, r *Recipe, have map[string]bool) (*Layer, error) {
	s := &r.Spec
	if len(s.Packages)+len(s.Files)+len(s.Dirs)+len(s.Links) == 0 && s.To == "" {
		return nil, nil
	}
	list, err := b.resolve(ctx, r, have)
	if err != nil {
		return nil, err
	}
	program, err := b.program(ctx, r)
	if err != nil {
		return nil, err
	}
	key := sha256.New()
	enc := json.NewEncoder(key)
	for _, v := range []any{version, r.Metadata, r.Spec, list, program.sum} {
		if err := enc.Encode(v); err != nil {
			return nil, err
		}
	}
	for _, f := range s.Files {
		if f.From != "" {
			data, err := os.ReadFile(filepath.Join(r.Dir, f.From))
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(key, "%d\n%s", len(data), data)
		}
	}
	base := filepath.Join(b.Cache, "layers", hex.EncodeToString(key.Sum(nil)))
	if l, err := readLayer(base); err == nil {
		return l, nil
	}
	return b.makeLayer(ctx, r, list, program, base)
}

func readLayer(base string) (*Layer, error) {
	data, err := os.ReadFile(base + ".json")
	if err != nil {
		return nil, err
	}
	var l Layer
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	l.file = base + ".tar.gz"
	info, err := os.Stat(l.file)
	if err == nil && info.Size() != l.Size {
		err = errors.New("the layer in the cache was cut off")
	}
	return &l, err
}

func (b *Builder) makeLayer(ctx context.Context, r *Recipe, list []Package, program binary, base string) (*Layer, error) {
	s := &r.Spec
	t := newTree()
	l := &Layer{Recipe: r.Metadata.Name, Packages: list, Modules: program.modules, file: base + ".tar.gz"}
	if len(list) > 0 {
		b.note("%s: unpacking %d Debian packages", r.Metadata.Name, len(list))
	}
	files, err := fetch(ctx, b.Cache, list)
	if err != nil {
		return nil, err
	}
	for i, p := range list {
		if err := unpack(t, p, files[i], s.Keep); err != nil {
			return nil, err
		}
		t.file("/var/lib/dpkg/status.d/"+p.Name, fmt.Appendf(nil, "Package: %s\nStatus: install ok installed\nSource: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\n\n",
			p.Name, p.Source, p.Version, p.Architecture, p.Maintainer), 0o644)
	}
	authorities(t)
	for name, to := range s.Links {
		t.link(name, to)
	}
	uid, gid := 65532, 65532
	if s.User != "" {
		if _, err := fmt.Sscanf(s.User, "%d:%d", &uid, &gid); err != nil {
			return nil, fmt.Errorf("spec.user %q is not UID:GID in numbers", s.User)
		}
	}
	for _, d := range s.Dirs {
		mode := uint32(0o755)
		if d == "/tmp" {
			mode = 0o1777
		}
		t.dir(d, mode, uid, gid)
	}
	for _, f := range s.Files {
		data := []byte(f.Content)
		if f.From != "" {
			if data, err = os.ReadFile(filepath.Join(r.Dir, f.From)); err != nil {
				return nil, err
			}
		}
		mode := f.Mode
		if mode == 0 {
			mode = 0o644
		}
		t.file(f.Path, data, mode)
	}
	if program.file != "" {
		data, err := os.ReadFile(program.file)
		if err != nil {
			return nil, err
		}
		t.file(s.To, data, 0o755)
	}
	for name, h := range t.nodes {
		dir := filepath.Dir(name)
		if (dir == "/usr/bin" || dir == "/usr/sbin" || dir == "/bin" || dir == "/sbin" || dir == "/usr/local/bin") && slices.Contains(shellNames, filepath.Base(name)) && h.FileInfo().Mode()&0o111 != 0 {
			l.Shells = append(l.Shells, name)
		}
	}
	slices.Sort(l.Shells)
	data, diff, err := t.layer()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	l.Digest, l.DiffID, l.Size = "sha256:"+hex.EncodeToString(sum[:]), diff, int64(len(data))
	meta, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return l, errors.Join(replace(l.file, data), replace(base+".json", meta))
}

// authorities writes the bundle of certificate authorities that the postinst script of
// ca-certificates would make.
func authorities(t *tree) {
	const dir = "/usr/share/ca-certificates/mozilla/"
	var bundle bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(t.data)) {
		if strings.HasPrefix(name, dir) && strings.HasSuffix(name, ".crt") {
			bundle.Write(t.data[name])
		}
	}
	if bundle.Len() > 0 {
		t.file("/etc/ssl/certs/ca-certificates.crt", bundle.Bytes(), 0o644)
	}
}

// replace writes a file as a whole.
func replace(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// resolve asks apt what a recipe's packages are. The answer is kept for as long as
// apt's lists are the same.
func (b *Builder) resolve(ctx context.Context, r *Recipe, have map[string]bool) ([]Package, error) {
	if len(r.Spec.Packages) == 0 {
		return nil, nil
	}
	key := sha256.New()
	if err := json.NewEncoder(key).Encode([]any{version, r.Spec.Packages, r.Spec.Without, slices.Sorted(maps.Keys(have)), listsStamp()}); err != nil {
		return nil, err
	}
	file := filepath.Join(b.Cache, "resolved", hex.EncodeToString(key.Sum(nil))+".json")
	if data, err := os.ReadFile(file); err == nil {
		var list []Package
		if err := json.Unmarshal(data, &list); err == nil {
			return list, nil
		}
	}
	b.note("%s: asking apt for packages", r.Metadata.Name)
	list, err := resolve(ctx, r.Spec.Packages, r.Spec.Without, have)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return list, replace(file, data)
}

// listsStamp changes when apt's lists do.
func listsStamp() string {
	var out strings.Builder
	files, _ := filepath.Glob("/var/lib/apt/lists/*_Packages*")
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&out, "%s %d %d\n", filepath.Base(f), info.Size(), info.ModTime().UnixNano())
		}
	}
	return out.String()
}
