package node

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// TestVersions: Strata talks to the Kubernetes that it is built with. What both modules
// require of Kubernetes is of one version, that of the pinned release.
func TestVersions(t *testing.T) {
	required := func(file string) map[string]string {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := modfile.Parse(file, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, r := range f.Require {
			if strings.HasPrefix(r.Mod.Path, "k8s.io/") {
				out[r.Mod.Path] = r.Mod.Version
			}
		}
		for _, r := range f.Replace {
			if _, ok := out[r.Old.Path]; ok {
				out[r.Old.Path] = r.New.Version
			}
		}
		return out
	}
	ours, theirs := required("../../go.mod"), required("../../engines/kubernetes/go.mod")
	release, ok := strings.CutPrefix(theirs["k8s.io/kubernetes"], "v1.")
	if !ok || ours["k8s.io/api"] != "v0."+release {
		t.Errorf("Kubernetes is %s, and go.mod has k8s.io/api %s", theirs["k8s.io/kubernetes"], ours["k8s.io/api"])
	}
	for path, version := range ours {
		if there, ok := theirs[path]; ok && there != version {
			t.Errorf("%s is %s in go.mod, and %s in engines/kubernetes/go.mod", path, version, there)
		}
	}
}
