package image

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// part is something that an image consists of, as SBOMs describe it.
type part struct {
	name, version, purl string
	sha256              string // of the Debian package
	supplier, homepage  string
	source              string
}

// parts returns what is in an image, sorted: Debian packages and Go modules.
func (i *Image) parts() []part {
	var out []part
	for _, p := range i.Packages() {
		distro, _, _ := strings.Cut(p.Distro, "-")
		out = append(out, part{
			name: p.Name, version: p.Version, sha256: p.SHA256, supplier: p.Maintainer, homepage: p.Homepage,
			purl:   fmt.Sprintf("pkg:deb/%s/%s@%s?arch=%s&distro=%s", distro, escape(p.Name), escape(p.Version), p.Architecture, p.Distro),
			source: p.Source + " " + p.SourceVersion,
		})
	}
	for _, m := range unique(i.Modules()) {
		version := m.Version
		if m.Path == "stdlib" { // the name under which vulnerabilities of Go itself are listed
			version = strings.TrimPrefix(version, "go")
		}
		p := part{name: m.Path, version: version, purl: "pkg:golang/" + escapePath(strings.ToLower(m.Path))}
		if version == "" || version == "(devel)" { // a program of ours has no version but the image's digest
			p.version = ""
		} else {
			p.purl += "@" + escape(version)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b part) int { return cmp.Compare(a.purl, b.purl) })
	return slices.CompactFunc(out, func(a, b part) bool { return a.purl == b.purl })
}

// escape writes a text as a package URL has it
// (https://github.com/package-url/purl-spec): a colon stays.
func escape(s string) string {
	return strings.NewReplacer("+", "%20", "%3A", ":").Replace(url.QueryEscape(s))
}

func escapePath(s string) string {
	list := strings.Split(s, "/")
	for i, e := range list {
		list[i] = escape(e)
	}
	return strings.Join(list, "/")
}

// purl is the image's own package URL.
func (i *Image) purl() string {
	return fmt.Sprintf("pkg:oci/%s@%s?arch=%s&repository_url=%s", i.Name, strings.ReplaceAll(i.Digest, ":", "%3A"), architecture(), url.QueryEscape(Registry+"/"+i.Name))
}

// sbomTime is when SBOMs say that they were made: like the image, they depend on
// nothing but what is in it.
const sbomTime = "1970-01-01T00:00:00Z"

// SBOMFormats are the formats that SBOM writes.
var SBOMFormats = []string{"spdx", "cyclonedx"}

// SBOM writes what an image consists of: as SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3)
// or CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json), both in JSON. version is Strata's.
func (i *Image) SBOM(w io.Writer, format, version string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	switch format {
	case "spdx":
		return e.Encode(i.spdx(version))
	case "cyclonedx":
		return e.Encode(i.cycloneDX(version))
	}
	return fmt.Errorf("unknown format of an SBOM: %q; there are %s", format, strings.Join(SBOMFormats, " and "))
}

// object keeps the documents readable here; encoding/json sorts its keys.
type object map[string]any

func (i *Image) spdx(version string) object {
	const root = "SPDXRef-Image"
	none := "NOASSERTION"
	packages := []object{{
		"SPDXID": root, "name": i.Name, "versionInfo": i.Digest, "downloadLocation": none, "filesAnalyzed": false, "primaryPackagePurpose": "CONTAINER",
		"licenseConcluded": none, "licenseDeclared": none, "copyrightText": none, "supplier": none,
		"checksums":    []object{{"algorithm": "SHA256", "checksumValue": strings.TrimPrefix(i.Digest, "sha256:")}},
		"externalRefs": []object{{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": i.purl()}},
	}}
	relations := []object{{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": root}}
	for _, p := range i.parts() {
		sum := sha256.Sum256([]byte(p.purl))
		id := "SPDXRef-Package-" + hex.EncodeToString(sum[:8])
		o := object{
			"SPDXID": id, "name": p.name, "versionInfo": p.version, "downloadLocation": none, "filesAnalyzed": false, "primaryPackagePurpose": "LIBRARY",
			"licenseConcluded": none, "licenseDeclared": none, "copyrightText": none, "supplier": none,
			"externalRefs": []object{{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": p.purl}},
		}
		if p.sha256 != "" {
			o["checksums"] = []object{{"algorithm": "SHA256", "checksumValue": p.sha256}}
		}
		if p.supplier != "" {
			o["supplier"] = "Organization: " + strings.NewReplacer("<", "(", ">", ")").Replace(p.supplier)
		}
		if p.homepage != "" {
			o["homepage"] = p.homepage
		}
		if p.source != "" {
			o["sourceInfo"] = "built from the Debian source package " + p.source
		}
		packages = append(packages, o)
		relations = append(relations, object{"spdxElementId": root, "relationshipType": "CONTAINS", "relatedSpdxElement": id})
	}
	return object{
		"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": i.Name,
		"documentNamespace": "https://" + Registry + "/sbom/" + i.Name + "/" + strings.TrimPrefix(i.Digest, "sha256:"),
		"creationInfo":      object{"created": sbomTime, "creators": []string{"Tool: strata-" + version}},
		"packages":          packages, "relationships": relations,
	}
}

func (i *Image) cycloneDX(version string) object {
	root := i.purl()
	components := []object{}
	refs := []string{}
	for _, p := range i.parts() {
		o := object{"type": "library", "bom-ref": p.purl, "name": p.name, "version": p.version, "purl": p.purl}
		if p.sha256 != "" {
			o["hashes"] = []object{{"alg": "SHA-256", "content": p.sha256}}
		}
		if p.supplier != "" {
			o["supplier"] = object{"name": p.supplier}
		}
		if p.homepage != "" {
			o["externalReferences"] = []object{{"type": "website", "url": p.homepage}}
		}
		if p.source != "" {
			o["properties"] = []object{{"name": "strata:debian:source", "value": p.source}}
		}
		components = append(components, o)
		refs = append(refs, p.purl)
	}
	sum := sha256.Sum256([]byte(root))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // a UUID of version 8: of what its maker says
	return object{
		"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"serialNumber": fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		"metadata": object{
			"timestamp": sbomTime,
			"tools":     object{"components": []object{{"type": "application", "name": "strata", "version": version}}},
			"component": object{
				"type": "container", "bom-ref": root, "name": i.Name, "version": i.Digest, "purl": root,
				"hashes": []object{{"alg": "SHA-256", "content": strings.TrimPrefix(i.Digest, "sha256:")}},
			},
		},
		"components": components, "dependencies": []object{{"ref": root, "dependsOn": refs}},
	}
}
