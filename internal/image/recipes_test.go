package image_test

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/needs"
)

// files returns what an image's layers hold, by absolute path, read from the layers
// alone.
func files(t *testing.T, img *image.Image) (headers map[string]*tar.Header, content map[string][]byte) {
	t.Helper()
	headers, content = map[string]*tar.Header{}, map[string][]byte{}
	layers, err := img.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for archive := tar.NewReader(r); ; {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			name := "/" + strings.TrimSuffix(h.Name, "/")
			headers[name] = h
			if content[name], err = io.ReadAll(archive); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return headers, content
}

var (
	debianName = regexp.MustCompile(`(?m)^Package: (.*)$`)
	debianVer  = regexp.MustCompile(`(?m)^Version: (.*)$`)
)

// TestRecipes builds every built-in image and holds it to what images are held to, by
// what is in its layers.
func TestRecipes(t *testing.T) {
	b := shared(t)
	for _, name := range slices.Sorted(maps.Keys(b.Recipes)) {
		t.Run(name, func(t *testing.T) {
			r := b.Recipes[name]
			for engine := range r.Spec.Engines {
				if _, err := os.Stat(b.Engines + "/" + engine); err != nil {
					needs.Skip(t, "bin/%s is not built: make engines", engine)
				}
			}
			img, err := b.Build(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			headers, content := files(t, img)
			user(t, img)
			shells := shellsOf(headers)
			if said := r.Spec.Shell != ""; (len(shells) > 0) != said {
				t.Errorf("shells: %v; the recipe gives a reason: %v", shells, said)
			}
			for file, h := range headers {
				if h.FileInfo().Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 || h.Mode&0o6000 != 0 {
					t.Errorf("%s lets its caller become somebody else", file)
				}
				if h.Typeflag == tar.TypeReg && h.Mode&0o002 != 0 {
					t.Errorf("%s can be written by anybody", file)
				}
			}
			if entry := r.Spec.Entrypoint; len(entry) > 0 && headers[entry[0]] == nil {
				t.Errorf("the entrypoint %s is not there", entry[0])
			}
			bill(t, img, content)
		})
	}
}

func user(t *testing.T, img *image.Image) {
	t.Helper()
	config, err := img.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.OS != "linux" || config.Created.Unix() != 0 {
		t.Errorf("configuration: %+v", config)
	}
}

// shellsOf returns the programs that are shells by name, wherever they are.
func shellsOf(headers map[string]*tar.Header) []string {
	var out []string
	for file, h := range headers {
		if slices.Contains([]string{"sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "fish", "busybox"}, path.Base(file)) && h.Typeflag != tar.TypeDir {
			out = append(out, file)
		}
	}
	return out
}

// bill holds both SBOMs against the packages and programs in the image's layers.
func bill(t *testing.T, img *image.Image, content map[string][]byte) {
	t.Helper()
	want := map[string]bool{}
	for file, data := range content {
		switch {
		case strings.HasPrefix(file, "/var/lib/dpkg/status.d/"):
			want["deb "+string(debianName.FindSubmatch(data)[1])+" "+string(debianVer.FindSubmatch(data)[1])] = true
		case strings.HasPrefix(file, "/usr/share/doc/") && strings.HasSuffix(file, "/copyright"):
			// A package has a file of this name: so none is in a layer without being known.
			if name := path.Base(path.Dir(file)); content["/var/lib/dpkg/status.d/"+name] == nil {
				t.Errorf("%s is of a package that the image does not know", file)
			}
		case bytes.HasPrefix(data, []byte("\x7fELF")):
			info, err := buildinfo.Read(bytes.NewReader(data))
			if err != nil {
				continue // not a Go program
			}
			want["golang stdlib "+strings.TrimPrefix(info.GoVersion, "go")] = true
			for _, m := range info.Deps {
				want["golang "+m.Path+" "+m.Version] = true
			}
		}
	}
	spdx, cyclone := readSPDX(t, img), readCycloneDX(t, img)
	for _, have := range []map[string]bool{spdx, cyclone} {
		for w := range want {
			if !have[w] {
				t.Errorf("the SBOM lacks %s", w)
			}
		}
		for h := range have {
			if !want[h] && !strings.HasSuffix(h, " ") { // our own programs have no version
				t.Errorf("the SBOM has %s, which the layers do not", h)
			}
		}
	}
}

var purl = regexp.MustCompile(`^pkg:(deb/debian|golang)/([^@?]+)(@[^?]+)?(\?arch=[a-z0-9]+&distro=debian-[0-9]+)?$`)

// kindOf checks a package URL and returns the type.
func kindOf(t *testing.T, text string) string {
	t.Helper()
	m := purl.FindStringSubmatch(text)
	if m == nil || (m[1] == "golang") != (m[4] == "") || strings.ContainsAny(m[3], "+ ") {
		t.Errorf("no package URL of a Debian package or Go module: %s", text)
		return ""
	}
	kind, _, _ := strings.Cut(m[1], "/")
	return kind
}

// readSPDX reads the SPDX document of an image and checks what the specification asks
// for: https://spdx.github.io/spdx-spec/v2.3.
func readSPDX(t *testing.T, img *image.Image) map[string]bool {
	t.Helper()
	var doc struct {
		SPDXVersion, DataLicense, SPDXID, Name, DocumentNamespace string
		CreationInfo                                              struct {
			Created  string
			Creators []string
		}
		Packages []struct {
			SPDXID, Name, VersionInfo, DownloadLocation, Supplier string
			FilesAnalyzed                                         *bool
			Checksums                                             []struct{ Algorithm, ChecksumValue string }
			ExternalRefs                                          []struct{ ReferenceCategory, ReferenceType, ReferenceLocator string }
		}
		Relationships []struct{ SpdxElementID, RelationshipType, RelatedSpdxElement string }
	}
	decode(t, img, "spdx", &doc)
	if doc.SPDXVersion != "SPDX-2.3" || doc.DataLicense != "CC0-1.0" || doc.SPDXID != "SPDXRef-DOCUMENT" || doc.Name == "" ||
		!strings.HasPrefix(doc.DocumentNamespace, "https://") || doc.CreationInfo.Created == "" || len(doc.CreationInfo.Creators) == 0 {
		t.Errorf("SPDX document: %+v", doc)
	}
	ids := map[string]bool{doc.SPDXID: true}
	out := map[string]bool{}
	idForm, supplier := regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`), regexp.MustCompile(`^(NOASSERTION|Organization: [^<>]+)$`)
	for i, p := range doc.Packages {
		if ids[p.SPDXID] || !idForm.MatchString(p.SPDXID) || p.Name == "" || p.DownloadLocation == "" || p.FilesAnalyzed == nil || *p.FilesAnalyzed ||
			!supplier.MatchString(p.Supplier) || len(p.ExternalRefs) != 1 || p.ExternalRefs[0].ReferenceType != "purl" || p.ExternalRefs[0].ReferenceCategory != "PACKAGE-MANAGER" {
			t.Errorf("SPDX package: %+v", p)
		}
		ids[p.SPDXID] = true
		for _, c := range p.Checksums {
			if c.Algorithm != "SHA256" || len(c.ChecksumValue) != 64 {
				t.Errorf("checksum: %+v", c)
			}
		}
		if i > 0 { // the first is the image
			out[kindOf(t, p.ExternalRefs[0].ReferenceLocator)+" "+p.Name+" "+p.VersionInfo] = true
		}
	}
	related := map[string]bool{}
	for _, r := range doc.Relationships {
		if !ids[r.SpdxElementID] || !ids[r.RelatedSpdxElement] {
			t.Errorf("a relationship of what is not there: %+v", r)
		}
		related[r.RelatedSpdxElement] = true
	}
	if len(related) != len(doc.Packages) {
		t.Errorf("%d packages are related to the image, of %d", len(related), len(doc.Packages))
	}
	return out
}

// readCycloneDX does the same for CycloneDX: https://cyclonedx.org/docs/1.6/json.
func readCycloneDX(t *testing.T, img *image.Image) map[string]bool {
	t.Helper()
	type component struct {
		Type, Name, Version, Purl string
		BomRef                    string `json:"bom-ref"`
		Hashes                    []struct{ Alg, Content string }
	}
	var doc struct {
		BomFormat, SpecVersion, SerialNumber string
		Version                              int
		Metadata                             struct{ Component component }
		Components                           []component
		Dependencies                         []struct {
			Ref       string
			DependsOn []string
		}
	}
	decode(t, img, "cyclonedx", &doc)
	serial := regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if doc.BomFormat != "CycloneDX" || doc.SpecVersion != "1.6" || doc.Version != 1 || !serial.MatchString(doc.SerialNumber) || doc.Metadata.Component.Type != "container" {
		t.Errorf("CycloneDX document: %+v", doc)
	}
	out := map[string]bool{}
	var refs []string
	for _, c := range doc.Components {
		if c.Type != "library" || c.Name == "" || c.BomRef == "" || slices.Contains(refs, c.BomRef) {
			t.Errorf("CycloneDX component: %+v", c)
		}
		refs = append(refs, c.BomRef)
		out[kindOf(t, c.Purl)+" "+c.Name+" "+c.Version] = true
	}
	if len(doc.Dependencies) != 1 || doc.Dependencies[0].Ref != doc.Metadata.Component.BomRef || !slices.Equal(doc.Dependencies[0].DependsOn, refs) {
		t.Errorf("dependencies: %+v", doc.Dependencies)
	}
	return out
}

func decode(t *testing.T, img *image.Image, format string, v any) {
	t.Helper()
	var first, second bytes.Buffer
	if err := errors.Join(img.SBOM(&first, format, "v1"), img.SBOM(&second, format, "v1")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("%s: two documents of one image differ", format)
	}
	if err := json.Unmarshal(first.Bytes(), v); err != nil {
		t.Fatal(err)
	}
}

// TestReproducible builds images on two clean caches, of which one is not asked for
// layers below first.
func TestReproducible(t *testing.T) {
	digests := map[string]string{}
	lists := listsNow(t)
	for _, names := range [][]string{{"base", "redis", "mariadb"}, {"mariadb", "redis", "base"}} {
		b := builder(t)
		// Other lists may name other packages, and the machine's own may change meanwhile.
		apt := filepath.Join(b.Cache, "apt")
		if err := errors.Join(os.MkdirAll(apt, 0o755), os.Symlink(lists, filepath.Join(apt, "lists"))); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			img, err := b.Build(t.Context(), b.Recipes[name])
			if err != nil {
				t.Fatal(err)
			}
			if first, ok := digests[name]; ok && first != img.Digest {
				t.Errorf("%s is %s and %s", name, first, img.Digest)
			}
			digests[name] = img.Digest
			if manifest, err := img.Image.Manifest(); err != nil || len(manifest.Layers) != len(img.Layers) {
				t.Errorf("manifest of %s: %+v, %v", name, manifest, err)
			}
		}
		shares(t, b)
	}
}

// listsNow copies the machine's lists of packages, if it has any, and returns their folder.
func listsNow(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("/var/lib/apt/lists/*_*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shares says whether images that are built upon the same recipe have its layer.
func shares(t *testing.T, b *image.Builder) {
	t.Helper()
	layers := func(name string) []v1.Hash {
		img, err := b.Built(t.Context(), b.Recipes[name])
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := img.Image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		var out []v1.Hash
		for _, l := range manifest.Layers {
			out = append(out, l.Digest)
		}
		return out
	}
	base, redis, mariadb := layers("base"), layers("redis"), layers("mariadb")
	if !slices.Equal(redis[:3], mariadb[:3]) || !slices.Equal(base, redis[:2]) || redis[3] == mariadb[3] {
		t.Errorf("layers: base %v, redis %v, mariadb %v", base, redis, mariadb)
	}
}

// TestWithout holds that what recipes leave out would come in otherwise.
func TestWithout(t *testing.T) {
	b := builder(t)
	for _, name := range slices.Sorted(maps.Keys(b.Recipes)) {
		with := *b.Recipes[name]
		left := with.Spec.Without
		if len(left) == 0 {
			continue
		}
		// A name that stands for several packages is left out for want of a choice.
		with.Spec.Without = map[string]string{}
		asked, err := b.Resolve(t.Context(), &with)
		for virtual := range left {
			if err != nil && strings.Contains(err.Error(), "provides "+virtual) {
				with.Spec.Without[virtual] = left[virtual]
				asked, err = b.Resolve(t.Context(), &with)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for out := range left {
			if with.Spec.Without[out] == "" && !slices.ContainsFunc(asked, func(p image.Package) bool { return p.Name == out }) {
				t.Errorf("%s leaves out %s, which nothing in it depends on", name, out)
			}
		}
	}
}
