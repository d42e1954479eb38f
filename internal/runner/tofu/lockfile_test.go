package tofu

import (
	"strings"
	"testing"
)

func TestLockFileWithoutProviders(t *testing.T) {
	const lock = `# This file is maintained automatically by "tofu init".

provider "registry.opentofu.org/hashicorp/random" {
  version = "3.6.0"
  hashes  = ["h1:a"]
}

provider "registry.opentofu.org/stratahq/strata" {
  version = "0.1.0"
  hashes  = ["h1:b"]
}
`
	if got, err := without([]byte(lock), nil); err != nil || string(got) != lock {
		t.Errorf("nothing is left out: %v\n%s", err, got)
	}
	got, err := without([]byte(lock), []string{"registry.opentofu.org/stratahq/strata"})
	if err != nil || strings.Contains(string(got), "stratahq") || !strings.Contains(string(got), `hashicorp/random`) {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := without([]byte("provider {"), []string{"x"}); err == nil {
		t.Error("a file that is cut off is read")
	}
}
