package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/tfmodule"
)

func (a *app) moduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "module",
		Short: "Document, check and test OpenTofu modules",
		Long: `A module fulfils a contract: it takes the contract's parameters as variables and
gives its outputs. It has main.tf, variables.tf, outputs.tf, versions.tf, a README
that module docs writes, tests/*.tftest.hcl and examples/.`,
	}
	cmd.AddCommand(a.moduleDocsCommand(), a.moduleTestCommand())
	return cmd
}

func (a *app) moduleDocsCommand() *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "docs FOLDER...",
		Short: "Write the README of modules from their HCL",
		Long: `Docs writes README.md of each module: the comment at the head of main.tf, the
example, variables, outputs, resources, and the security checks that a default
waives (comments such as "# Waives iam-user: the protocol knows keys only").

Exit codes: 0 written, 1 error, 2 with --check: a README is not what would be written.`,
		Example: "  strata module docs modules/*\n  strata module docs --check modules/*",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVar(&only, "check", false, "write nothing, and say which READMEs are out of date")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		k, err := a.moduleContracts(c)
		if err != nil {
			return err
		}
		stale := 0
		for _, dir := range args {
			m, text, err := k.readme(dir)
			if err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
			file := filepath.Join(dir, "README.md")
			have, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			switch {
			case bytes.Equal(have, []byte(text)):
			case only:
				stale++
				fmt.Fprintf(a.stdout, "%s is out of date: strata module docs %s\n", file, dir)
			default:
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // it is for everybody to read
					return err
				}
				fmt.Fprintf(a.stdout, "%s: %s, %s\n", file, plural(len(m.Variables), "variable"), plural(len(m.Outputs), "output"))
			}
		}
		if stale > 0 {
			return exitError{ExitFindings}
		}
		return nil
	}
	return cmd
}

// contracts are the contracts that modules may fulfil.
type contracts struct {
	catalog *catalog.Catalog
	root    string // the repository
}

// moduleContracts returns the built-in contracts and, within a repository, its own.
func (a *app) moduleContracts(c *cobra.Command) (*contracts, error) {
	root, err := filepath.Abs(a.dir)
	if err != nil {
		return nil, err
	}
	known, err := a.contracts(c)
	return &contracts{known, root}, err
}

// of returns what the module in a folder fulfils, in which cloud; nil for a module
// that fulfils nothing. A folder CLOUD/NAME is the one of a built-in module.
func (k *contracts) of(dir string) (*model.Contract, model.ModuleBinding, string) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, model.ModuleBinding{}, ""
	}
	names := []string{catalog.BuiltinPrefix + filepath.Base(filepath.Dir(abs)) + "/" + filepath.Base(abs)}
	if rel, err := filepath.Rel(k.root, abs); err == nil {
		names = append(names, filepath.ToSlash(rel))
	}
	for _, list := range []struct {
		types []string
		get   func(string) (*model.Contract, bool)
	}{{k.catalog.ResourceTypes(), k.catalog.Resource}, {k.catalog.PlatformTypes(), k.catalog.Platform}} {
		for _, t := range list.types {
			c, _ := list.get(t)
			for _, cloud := range []string{model.CloudAWS, model.CloudGCP, model.CloudAzure, model.CloudLocal} {
				if b, ok := k.catalog.ModuleFor(c, cloud); ok && slices.Contains(names, b.Source) {
					return c, b, cloud
				}
			}
		}
	}
	return nil, model.ModuleBinding{}, ""
}

// readme returns a module and what its README should be.
func (k *contracts) readme(dir string) (*tfmodule.Module, string, error) {
	m, err := tfmodule.Read(os.DirFS(dir))
	if err != nil {
		return nil, "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", err
	}
	o := tfmodule.ReadmeOptions{Name: filepath.Base(filepath.Dir(abs)) + "/" + filepath.Base(abs)}
	o.Contract, _, _ = k.of(dir)
	if example, err := os.ReadFile(filepath.Join(dir, "examples", "default", "main.tf")); err == nil {
		o.Example = withoutHeader(string(example))
	}
	return m, m.Readme(o), nil
}

// withoutHeader leaves out of an example what every root has.
func withoutHeader(example string) string {
	if i := strings.Index(example, "module \""); i > 0 {
		return example[i:]
	}
	return example
}
