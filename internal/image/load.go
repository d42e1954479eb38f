package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Named is an image under the name that pods use.
type Named struct {
	Ref   string // strata.local/name@sha256:...
	Image *Image
}

// Loaded returns the names of the images that a containerd has for Kubernetes.
func Loaded(ctx context.Context, socket string) (map[string]bool, error) {
	out, err := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "ls", "-q").Output()
	if err != nil {
		return nil, fmt.Errorf("ask containerd for its images: %w", message(err))
	}
	have := map[string]bool{}
	for _, line := range strings.Fields(string(out)) {
		have[line] = true
	}
	return have, nil
}

// Load puts images into a containerd, where pods of its Kubernetes find them. Those
// that are there are left as they are. It returns how many were loaded.
func Load(ctx context.Context, socket string, list []Named) (int, error) {
	have, err := Loaded(ctx, socket)
	if err != nil {
		return 0, err
	}
	var missing []Named
	for _, n := range list {
		if !have[n.Ref] {
			missing = append(missing, n)
			have[n.Ref] = true
		}
	}
	return len(missing), load(ctx, socket, missing)
}

// load puts images into a containerd.
func load(ctx context.Context, socket string, list []Named) error {
	if len(list) == 0 {
		return nil
	}
	cmd := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", "--snapshotter", "overlayfs", "-")
	r, w := io.Pipe()
	cmd.Stdin = r
	written := make(chan error, 1)
	go func() {
		err := Archive(w, list)
		w.CloseWithError(err)
		written <- err
	}()
	out, err := cmd.CombinedOutput()
	r.Close()
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return werr
	}
	if err != nil {
		return fmt.Errorf("load images into containerd: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func message(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// Archive writes images as a tar of an OCI image layout
// (https://github.com/opencontainers/image-spec, image-layout.md). Layers that several
// have in common are in it once.
func Archive(w io.Writer, list []Named) error {
	t := tar.NewWriter(w)
	put := func(file string, size int64, r io.Reader) error {
		if err := t.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: size, ModTime: epoch, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := io.Copy(t, r)
		return err
	}
	bytesOf := func(file string, b []byte) error { return put(file, int64(len(b)), bytes.NewReader(b)) }
	if err := bytesOf("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	done := map[string]bool{}
	blob := func(digest string, size int64, open func() (io.ReadCloser, error)) error {
		if done[digest] {
			return nil
		}
		done[digest] = true
		r, err := open()
		if err != nil {
			return err
		}
		defer r.Close()
		return put("blobs/"+strings.Replace(digest, ":", "/", 1), size, r)
	}
	for _, n := range list {
		layers, err := n.Image.Image.Layers()
		if err != nil {
			return err
		}
		for _, l := range layers {
			d, err := l.Digest()
			if err != nil {
				return err
			}
			size, err := l.Size()
			if err != nil {
				return err
			}
			if err := blob(d.String(), size, l.Compressed); err != nil {
				return err
			}
		}
		config, err := n.Image.Image.RawConfigFile()
		if err != nil {
			return err
		}
		manifest, err := n.Image.Image.Manifest()
		if err != nil {
			return err
		}
		raw, err := n.Image.Image.RawManifest()
		if err != nil {
			return err
		}
		of := func(b []byte) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		}
		if err := errors.Join(blob(manifest.Config.Digest.String(), int64(len(config)), of(config)), blob(n.Image.Digest, int64(len(raw)), of(raw))); err != nil {
			return err
		}
		h, err := v1.NewHash(n.Image.Digest)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Digest: h, Size: int64(len(raw)),
			Platform:    &v1.Platform{OS: "linux", Architecture: architecture()},
			Annotations: map[string]string{"io.containerd.image.name": n.Ref, "org.opencontainers.image.ref.name": n.Ref},
		})
	}
	b, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return errors.Join(bytesOf("index.json", b), t.Close())
}

// Push sends an image to a registry under a reference, with the credentials of the
// user's Docker or Podman configuration. It returns the reference with the digest.
func Push(ctx context.Context, img *Image, ref string) (string, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return "", err
	}
	if err := remote.Write(r, img.Image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return r.Context().Name() + "@" + img.Digest, nil
}

// Publish pushes those images of a registry that it lacks and that were built here, by
// the names that pods use (Image.RefIn); names of other registries are left alone. It
// returns how many were pushed.
func (b *Builder) Publish(ctx context.Context, registry string, refs []string) (int, error) {
	n := 0
	seen := map[string]bool{}
	for _, ref := range refs {
		if !strings.HasPrefix(ref, registry+"/") || seen[ref] {
			continue
		}
		seen[ref] = true
		d, err := name.NewDigest(ref)
		if err != nil {
			return n, err
		}
		opts := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
		if _, err := remote.Head(d, opts...); err == nil {
			continue
		}
		// It is not there, or the registry cannot be reached, which pushing will say.
		img, err := b.Find(ctx, Registry+strings.TrimPrefix(ref, registry))
		if err != nil {
			return n, err
		}
		if err := remote.Write(d, img.Image, opts...); err != nil {
			return n, fmt.Errorf("push %s: %w", ref, err)
		}
		n++
	}
	return n, nil
}
