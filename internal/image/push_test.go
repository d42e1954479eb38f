package image_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/stratahq/strata/internal/image"
)

// TestPush pushes an image to a registry, as it was built and as it was found in the
// cache, and pulls what a cluster would.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	b := builder(t)
	built, err := b.Build(t.Context(), b.Recipes["pause"])
	if err != nil {
		t.Fatal(err)
	}
	found, err := b.Find(t.Context(), built.Ref())
	if err != nil {
		t.Fatal(err)
	}
	for repository, img := range map[string]*image.Image{"apps/built": built, "apps/found": found} {
		ref, err := image.Push(t.Context(), img, host+"/"+repository+":1")
		if err != nil {
			t.Fatal(err)
		}
		if want := host + "/" + repository + "@" + built.Digest; ref != want {
			t.Errorf("pushed %s; want %s", ref, want)
		}
		pinned, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		pulled, err := remote.Image(pinned)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(pulled); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"not a name", "127.0.0.1:1/apps/pause:1"} {
		if _, err := image.Push(t.Context(), built, bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("push to %s: %v", bad, err)
		}
	}
}

// TestValid holds images to the OCI's rules: digests, sizes and what is in the layers.
func TestValid(t *testing.T) {
	b := shared(t)
	for _, name := range []string{"static", "pause", "redis"} {
		img, err := b.Build(t.Context(), b.Recipes[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(img.Image); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUpdateLists builds by lists of packages of the cache's own, as where the machine
// has none.
func TestUpdateLists(t *testing.T) {
	b := builder(t)
	if err := b.UpdateLists(t.Context()); err != nil {
		t.Fatal(err)
	}
	img, err := b.Build(t.Context(), b.Recipes["static"])
	if err != nil {
		t.Fatal(err)
	}
	if len(img.Packages()) < 5 {
		t.Errorf("packages: %v", img.Packages())
	}
}
