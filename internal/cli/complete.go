package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

// complete offers names from the repository for shell completion. It stays
// silent about everything that is wrong.
func (a *app) complete(c *cobra.Command, names func(*model.Repository) []string) ([]string, cobra.ShellCompDirective) {
	repo, err := manifest.Open(a.dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer repo.Close()
	m, _, err := repo.Load(c.Context(), "")
	if err != nil || m.Platform == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names(m), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeEnvironments(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.complete(c, (*model.Repository).EnvironmentNames)
}

func unknownEnvironment(name string, all []string) error {
	if near := suggest.Nearest(name, all); near != "" {
		return fmt.Errorf("there is no environment %q; did you mean %q?", name, near)
	}
	return fmt.Errorf("there is no environment %q; there are: %s", name, strings.Join(all, ", "))
}

// knownTypes refuses resource types that the catalog does not have.
func (a *app) knownTypes(m *model.Repository, types []string) error {
	cat, _ := catalog.New(m.Contracts)
	for _, t := range types {
		if _, ok := cat.Resource(t); ok {
			continue
		}
		if near := suggest.Nearest(t, cat.ResourceTypes()); near != "" {
			return fmt.Errorf("there is no resource type %q; did you mean %q?", t, near)
		}
		return fmt.Errorf("there is no resource type %q; known: %s", t, strings.Join(cat.ResourceTypes(), ", "))
	}
	return nil
}

// cacheKey names the cache of one output folder.
func cacheKey(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Base(dir) + "-" + hex.EncodeToString(sum[:4])
}
