package tofu

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// without returns a dependency lock file without some providers.
func without(lock []byte, sources []string) ([]byte, error) {
	if len(sources) == 0 {
		return lock, nil
	}
	f, diags := hclwrite.ParseConfig(lock, ".terraform.lock.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("dependency lock file: %w", diags)
	}
	for _, b := range f.Body().Blocks() {
		if l := b.Labels(); b.Type() == "provider" && len(l) == 1 && slices.Contains(sources, l[0]) {
			f.Body().RemoveBlock(b)
		}
	}
	return f.Bytes(), nil
}
