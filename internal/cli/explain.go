package cli

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/explain"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/schema"
	"github.com/stratahq/strata/internal/suggest"
)

// contracts returns the catalog of the repository, or the built-in one where
// there is no repository: explaining needs none.
func (a *app) contracts(c *cobra.Command) (*catalog.Catalog, error) {
	var own []*model.Contract
	repo, err := manifest.Open(a.dir)
	switch {
	case errors.Is(err, manifest.ErrNoRepository):
	case err != nil:
		return nil, err
	default:
		defer repo.Close()
		m, _, err := repo.Load(c.Context(), "")
		if err != nil {
			return nil, err
		}
		own = m.Contracts
	}
	cat, _ := catalog.New(own)
	return cat, nil
}

func (a *app) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [WHAT[.FIELD...]]",
		Short: "Say what a field or a resource type is",
		Long: `Explain describes the kinds of document, their fields, and the resource types
with their parameters, outputs and modules, including the repository's own.
Without an argument it lists what it knows.`,
		Example: "  strata explain\n  strata explain environment.cluster.nodePools.accelerator\n  strata explain postgres.highAvailability\n  strata explain platform.network",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		cat, err := a.contracts(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return append(cat.ResourceTypes(), "platform", "environment", "workload", "release", "exceptions", "contract"), cobra.ShellCompDirectiveNoFileComp
	}
	out := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		cat, err := a.contracts(c)
		if err != nil {
			return err
		}
		x := explain.New(cat, suggest.Nearest)
		color, width := terminal(a.stdout)
		if len(args) == 0 {
			if out.value == "json" {
				return explain.TopicsJSON(a.stdout, x.Topics())
			}
			return explain.TopicsHuman(a.stdout, x.Topics(), color, width)
		}
		doc, err := x.Lookup(args[0])
		if err != nil {
			return err
		}
		if out.value == "json" {
			return explain.JSON(a.stdout, doc)
		}
		return explain.Human(a.stdout, doc, color, width)
	}
	return cmd
}

// kinds are the documents that have a JSON Schema.
var kinds = []struct {
	name, title string
	typ         reflect.Type
}{
	{"platform", "Strata Platform: strata.yaml", reflect.TypeFor[model.Platform]()},
	{"environment", "Strata Environment: environments/NAME.yaml", reflect.TypeFor[model.Environment]()},
	{"workload", "Score workload: workloads/NAME/score.yaml", reflect.TypeFor[model.Workload]()},
	{"release", "Strata Release: releases/ENV.yaml", reflect.TypeFor[model.Release]()},
	{"exceptions", "Strata Exceptions: policies/exceptions.yaml", reflect.TypeFor[model.Exceptions]()},
	{"contract", "Strata Contract: contract.yaml beside a module", reflect.TypeFor[model.Contract]()},
}

func (a *app) schemaCommand() *cobra.Command {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	cmd := &cobra.Command{
		Use:   "schema KIND",
		Short: "Print the JSON Schema of a kind of document",
		Long: `Schema prints a JSON Schema (draft 2020-12) with which an editor completes and
checks what you write. Kinds: ` + strings.Join(names, ", ") + `.

With the YAML language server, put this on the first line of a file:

  # yaml-language-server: $schema=../.schemas/environment.json`,
		Example:   "  strata schema environment > .schemas/environment.json",
		Args:      cobra.ExactArgs(1),
		ValidArgs: names,
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		for _, k := range kinds {
			if k.name == strings.ToLower(args[0]) {
				return a.printJSON(schema.JSONSchema(k.typ, "urn:strata:schema:v1alpha1:"+k.name, k.title))
			}
		}
		if near := suggest.Nearest(args[0], names); near != "" {
			return fmt.Errorf("there is no kind %q; did you mean %q?", args[0], near)
		}
		return fmt.Errorf("there is no kind %q; kinds: %s", args[0], strings.Join(names, ", "))
	}
	cmd.AddCommand(a.schemaPullCommand())
	return cmd
}
