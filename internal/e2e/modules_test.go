package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestModules tests every module that comes with Strata, as its author would.
func TestModules(t *testing.T) {
	bin := tools(t)
	dirs, err := filepath.Glob("../../modules/*/*")
	if err != nil || len(dirs) < 24 {
		t.Fatal(err, dirs)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir), func(t *testing.T) {
			out, err := exec.Command(filepath.Join(bin, "strata"), "module", "test", dir).CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), "ok") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
