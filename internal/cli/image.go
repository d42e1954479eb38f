package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/node"
)

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build images from recipes, say what is in them, and bring them to where they run",
		Long: `Image builds OCI images without Docker and without root: from Debian packages as
the machine's apt resolves and verifies them, Go programs and files. The same
inputs give the same digest. No image runs as root, and none has a shell whose
recipe does not say why.

There are built-in recipes, such as those of databases for local environments, and
a workload has one of its own in workloads/NAME/image.yaml:

  apiVersion: strata/v1alpha1
  kind: Image
  metadata: {name: checkout}       # the workload's name
  spec:
    from: static                   # certificate authorities, time zones, a user
    go: .                          # a main package, built for Linux without C
    to: /usr/bin/checkout
    entrypoint: [/usr/bin/checkout]

In place of go, or beside it, packages names Debian packages and files has files to
write; from: base has the C library and OpenSSL.`,
	}
	cmd.AddCommand(a.imageListCommand(), a.imageBuildCommand(), a.imageInspectCommand(), a.imageSBOMCommand(), a.imagePushCommand(), a.imageLoadCommand())
	return cmd
}

// recipe is a recipe that there is here, and where it comes from.
type recipe struct {
	*image.Recipe
	// Source is "built-in" or the file within the repository.
	source string
}

const builtIn = "built-in"

// recipes returns the repository's own recipes and the built-in ones, those first; each
// by name.
func (a *app) recipes(b *image.Builder) ([]recipe, error) {
	own, err := image.ReadWorkloads(a.dir)
	if err != nil {
		return nil, a.showRecipeErrors(err)
	}
	var out []recipe
	for _, name := range slices.Sorted(maps.Keys(own)) {
		out = append(out, recipe{own[name], filepath.ToSlash(filepath.Join(manifest.WorkloadsDir, name, image.RecipeFile))})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Recipes)) {
		out = append(out, recipe{b.Recipes[name], builtIn})
	}
	return out, nil
}

// showRecipeErrors prints mistakes in recipes with the lines that they are in.
func (a *app) showRecipeErrors(err error) error {
	var list diag.List
	sources := map[string][]byte{}
	for _, e := range flatten(err) {
		var invalid *image.InvalidError
		if !errors.As(e, &invalid) {
			return err
		}
		for _, d := range invalid.List {
			sources[d.File] = invalid.Source
			list.Add(d)
		}
	}
	color, width := terminal(a.stderr)
	if err := diag.Human(a.stderr, list, func(file string) []byte { return sources[file] }, diag.HumanOptions{Color: color, Width: width}); err != nil {
		return err
	}
	return exitError{ExitError}
}

// flatten returns the errors that were joined.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// pick returns the recipes of some names; all where there are none. A workload's recipe
// comes before a built-in one of its name.
func pick(all []recipe, names []string) ([]recipe, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []recipe
	for _, name := range names {
		i := slices.IndexFunc(all, func(r recipe) bool { return r.Metadata.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no recipe %s; there are %s", name, strings.Join(recipeNames(all), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func recipeNames(all []recipe) []string {
	var out []string
	for _, r := range all {
		out = append(out, r.Metadata.Name)
	}
	return out
}

func (a *app) completeRecipes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	b, err := image.NewBuilder(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	own, _ := image.ReadWorkloads(a.dir)
	return append(slices.Sorted(maps.Keys(own)), slices.Sorted(maps.Keys(b.Recipes))...), cobra.ShellCompDirectiveNoFileComp
}

// imageBuilder returns a builder that says on standard error what it does.
func (a *app) imageBuilder() (*image.Builder, error) {
	return image.NewBuilder(func(s string) { fmt.Fprintln(a.stderr, s) })
}

func (a *app) imageListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List recipes, and the images that are built of them",
		Long: `Ls lists the recipes of workloads and the built-in ones. An image counts as built
when it is what the recipe, its sources and the known lists of packages give now.`,
		Args: cobra.NoArgs,
	}
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, _ []string) error {
		if err := format.check(); err != nil {
			return err
		}
		b, err := image.NewBuilder(nil)
		if err != nil {
			return err
		}
		all, err := a.recipes(b)
		if err != nil {
			return err
		}
		var rows []view.Image
		for _, r := range all {
			img, err := b.Built(c.Context(), r.Recipe)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			rows = append(rows, view.Image{Name: r.Metadata.Name, Source: r.source, Image: img})
		}
		if format.value == "json" {
			return view.ImagesJSON(a.stdout, rows)
		}
		return view.Images(a.stdout, rows)
	}
	return cmd
}

func (a *app) imageBuildCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "build [NAME...]",
		Short: "Build images; all of them where none is named",
		Long: `Build builds images of recipes. Layers that are there already are not made again.

Packages are those of the machine's apt sources, as its own lists know them; where it
has none, lists are fetched. --update fetches them in any case, and builds go by these
from then on: so images get security updates.`,
		Example:           "  strata image build\n  strata image build postgres checkout\n  strata image build --update -o json",
		ValidArgsFunction: a.completeRecipes,
	}
	var update bool
	cmd.Flags().BoolVar(&update, "update", false, "fetch lists of packages first")
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		b, err := a.imageBuilder()
		if err != nil {
			return err
		}
		all, err := a.recipes(b)
		if err != nil {
			return err
		}
		picked, err := pick(all, args)
		if err != nil {
			return err
		}
		if update {
			if err := b.UpdateLists(c.Context()); err != nil {
				return err
			}
		}
		var rows []view.Image
		for _, r := range picked {
			img, err := b.Build(c.Context(), r.Recipe)
			if err != nil {
				return err
			}
			rows = append(rows, view.Image{Name: r.Metadata.Name, Source: r.source, Image: img})
			if format.value == "text" {
				fmt.Fprintln(a.stdout, img.Ref())
			}
		}
		if format.value == "json" {
			return view.ImagesJSON(a.stdout, rows)
		}
		return nil
	}
	return cmd
}

// one builds the image that a command is about.
func (a *app) one(ctx context.Context, name string) (recipe, *image.Image, error) {
	b, err := a.imageBuilder()
	if err != nil {
		return recipe{}, nil, err
	}
	all, err := a.recipes(b)
	if err != nil {
		return recipe{}, nil, err
	}
	picked, err := pick(all, []string{name})
	if err != nil {
		return recipe{}, nil, err
	}
	img, err := b.Build(ctx, picked[0].Recipe)
	return picked[0], img, err
}

func (a *app) imageInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "inspect NAME", Short: "Show what an image consists of and how it starts", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRecipes,
	}
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		r, img, err := a.one(c.Context(), args[0])
		if err != nil {
			return err
		}
		config, err := img.Image.ConfigFile()
		if err != nil {
			return err
		}
		row := view.Image{Name: r.Metadata.Name, Source: r.source, Image: img, Config: &config.Config, Shell: r.Spec.Shell}
		if format.value == "json" {
			return view.ImageJSON(a.stdout, row)
		}
		_, width := terminal(a.stdout)
		return view.ImageDetails(a.stdout, row, width)
	}
	return cmd
}

func (a *app) imageSBOMCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sbom NAME",
		Short: "Write the software bill of materials of an image",
		Long: `Sbom lists every Debian package and Go module of an image, with package URLs that
vulnerability scanners know, as SPDX 2.3 or CycloneDX 1.6 in JSON. The same image
gives the same document.`,
		Example:           "  strata image sbom checkout > checkout.spdx.json\n  strata image sbom postgres -o cyclonedx",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeRecipes,
	}
	format := formatFlag(cmd, image.SBOMFormats...)
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		_, img, err := a.one(c.Context(), args[0])
		if err != nil {
			return err
		}
		return img.SBOM(a.stdout, format.value, a.version)
	}
	return cmd
}

func (a *app) imagePushCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "push NAME REFERENCE",
		Short: "Push an image to a registry",
		Long: `Push builds an image, sends it to a registry with the credentials of the user's Docker
or Podman configuration, and prints the name with the digest, as releases have it.`,
		Example:           "  strata image push checkout registry.acme.example/apps/checkout:1.4",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeRecipes,
	}
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		_, img, err := a.one(c.Context(), args[0])
		if err != nil {
			return err
		}
		ref, err := image.Push(c.Context(), img, args[1])
		if err != nil {
			return err
		}
		if format.value == "json" {
			return a.printJSON(map[string]string{"version": view.ImageVersion, "name": img.Name, "ref": ref, "digest": img.Digest})
		}
		fmt.Fprintln(a.stdout, ref)
		return nil
	}
	return cmd
}

func (a *app) imageLoadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load [NAME...]",
		Short: "Load images into the node of a local environment",
		Long: `Load builds images, all where none is named, and brings those that a node lacks into
its containerd, where pods find them by the names that are printed. The node is that
of the repository's local environment, unless --env or --node names another.`,
		Example:           "  strata image load checkout\n  strata image load --node acme-local",
		ValidArgsFunction: a.completeRecipes,
	}
	var name, env string
	cmd.Flags().StringVar(&name, "node", "", "name of the node")
	cmd.Flags().StringVar(&env, "env", "", "environment that the node is of")
	cmd.MarkFlagsMutuallyExclusive("node", "env")
	_ = cmd.RegisterFlagCompletionFunc("env", a.completeEnvironments)
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		socket, err := a.nodeSocket(c.Context(), name, env)
		if err != nil {
			return err
		}
		b, err := a.imageBuilder()
		if err != nil {
			return err
		}
		all, err := a.recipes(b)
		if err != nil {
			return err
		}
		picked, err := pick(all, args)
		if err != nil {
			return err
		}
		var list []image.Named
		for _, r := range picked {
			img, err := b.Build(c.Context(), r.Recipe)
			if err != nil {
				return err
			}
			list = append(list, image.Named{Ref: img.Ref(), Image: img})
		}
		n, err := image.Load(c.Context(), socket, list)
		if err != nil {
			return err
		}
		refs := make([]string, len(list))
		for i, l := range list {
			refs[i] = l.Ref
		}
		if format.value == "json" {
			return a.printJSON(map[string]any{"version": view.ImageVersion, "refs": refs, "loaded": n})
		}
		for _, ref := range refs {
			fmt.Fprintln(a.stdout, ref)
		}
		fmt.Fprintf(a.stderr, "%s loaded, %d there already\n", plural(n, "image"), len(list)-n)
		return nil
	}
	return cmd
}

// nodeSocket finds the containerd of a node, by its name or its environment.
func (a *app) nodeSocket(ctx context.Context, name, env string) (_ string, err error) {
	if name == "" {
		r, err := check.Load(ctx, a.dir)
		if err != nil {
			return "", fmt.Errorf("%w\nOutside of a repository, --node says which node is meant", err)
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		if r.Model.Platform == nil {
			return "", a.showErrors(r)
		}
		var args []string
		if env != "" {
			args = []string{env}
		}
		e, err := localEnvironment(r.Model, args)
		if err != nil {
			return "", err
		}
		name = nodeName(r.Model.Platform, e.Metadata.Name)
	}
	c, err := node.Load(filepath.Join(node.Root(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no node %s in %s: %s up makes that of an environment", name, node.Root(), a.self())
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(c.Socket()); err != nil {
		return "", fmt.Errorf("the node %s is stopped: %s up starts it", name, a.self())
	}
	return c.Socket(), nil
}
