package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
)

// buildWorkloads builds the images that an environment's workloads have recipes for, and
// those of the platform's own programs that run in it, and puts their digests into the release of the environment, as promotion does for
// others: so a plan says which code runs, and changed code is a change. It returns how
// many images there are. The release that the repository holds wins.
func (a *app) buildWorkloads(ctx context.Context, r *check.Result, e *model.Environment, note func(string)) (int, error) {
	rel, ok := r.Model.Release(e.Metadata.Name)
	if !ok {
		rel = &model.Release{APIVersion: "strata/v1alpha1", Kind: "Release", Metadata: model.Metadata{Name: e.Metadata.Name}}
		r.Model.Releases = append(r.Model.Releases, rel)
	}
	if rel.Spec.Workloads == nil {
		rel.Spec.Workloads = map[string]model.WorkloadRelease{}
	}
	b, err := image.NewBuilder(note)
	if err != nil {
		return 0, err
	}
	type job struct {
		workload string
		dir      string
		missing  []string // containers
		ref      string
	}
	registry := cmp.Or(pushRegistry(e), image.Registry)
	var jobs []*job
	for _, w := range r.Model.Workloads {
		name := w.Metadata.Name
		j := &job{workload: name, dir: filepath.Join(a.dir, filepath.Dir(w.Source.File))}
		for _, c := range model.SortedKeys(w.Containers) {
			if w.Containers[c].Image == model.BuiltImage && rel.Spec.Workloads[name].Images[c] == "" {
				j.missing = append(j.missing, c)
			}
		}
		if len(j.missing) > 0 {
			jobs = append(jobs, j)
		}
	}
	var without []string
	for _, j := range jobs {
		if _, err := os.Stat(filepath.Join(j.dir, "image.yaml")); errors.Is(err, fs.ErrNotExist) {
			without = append(without, j.workload)
		}
	}
	if len(without) > 0 {
		return 0, fmt.Errorf("nothing says how the images of these workloads are built: %s. Write %s (`%s image --help` shows one), or name their images in releases/%s.yaml",
			strings.Join(without, ", "), filepath.Join(filepath.Dir(workloadFile(r, without[0])), "image.yaml"), a.self(), e.Metadata.Name)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, j := range jobs {
		g.Go(func() error {
			img, err := b.BuildWorkload(ctx, j.dir)
			if err != nil {
				return fmt.Errorf("image of %s: %w", j.workload, err)
			}
			j.ref = img.RefIn(registry)
			return nil
		})
	}
	var own *model.PlatformRelease
	if e.ControlPlane() && rel.Spec.Platform == nil {
		own = &model.PlatformRelease{}
		for name, ref := range map[string]*string{"proxy": &own.Proxy, "control": &own.Control} {
			g.Go(func() error {
				img, err := b.Build(ctx, b.Recipes[name])
				if err != nil {
					return fmt.Errorf("image of the platform's %s: %w", name, err)
				}
				*ref = img.RefIn(registry)
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	for _, j := range jobs {
		wr := rel.Spec.Workloads[j.workload]
		if wr.Images == nil {
			wr.Images = map[string]string{}
		}
		for _, c := range j.missing {
			wr.Images[c] = j.ref
		}
		rel.Spec.Workloads[j.workload] = wr
	}
	if own != nil {
		rel.Spec.Platform = own
	}
	return len(jobs), nil
}

func workloadFile(r *check.Result, name string) string {
	i := slices.IndexFunc(r.Model.Workloads, func(w *model.Workload) bool { return w.Metadata.Name == name })
	return r.Model.Workloads[i].Source.File
}

// pushRegistry is where images that are built here have to go for the environment's
// cluster to get them; empty for a node of this machine, which is given them.
func pushRegistry(e *model.Environment) string {
	if e.Spec.Cloud != model.CloudLocal || !ownCluster(e) || e.Spec.Registry == nil {
		return ""
	}
	url, _ := e.Spec.Registry.Existing["url"].(string)
	return strings.TrimSuffix(url, "/")
}

// ensureImages returns what sees to it that pods find the images that were built here:
// in the registry, or in the node that a kubeconfig is of.
func ensureImages(registry string) func(ctx context.Context, kubeconfig string, refs []string) error {
	prefix := cmp.Or(registry, image.Registry) + "/"
	return func(ctx context.Context, kubeconfig string, refs []string) error {
		refs = slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return !strings.HasPrefix(ref, prefix) })
		if len(refs) == 0 {
			return nil
		}
		b, err := image.NewBuilder(nil)
		if err != nil {
			return err
		}
		if registry != "" {
			_, err := b.Publish(ctx, registry, refs)
			return err
		}
		c, err := node.Load(filepath.Dir(kubeconfig))
		if err != nil {
			return fmt.Errorf("%s was built on this machine, and the cluster of %s is not a node of it: name a registry that both can reach in the environment's file (spec.registry.existing.url), and it is pushed there; or name an image that is in one in the release", refs[0], kubeconfig)
		}
		_, err = b.Ensure(ctx, c.Socket(), refs)
		return err
	}
}
