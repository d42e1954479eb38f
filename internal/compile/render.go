package compile

import (
	"encoding/json"
	"fmt"
	"path"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/output"
)

// Folders of a rendered environment.
const (
	StacksDir  = "stacks"
	ObjectsDir = "objects"
	ModulesDir = "modules"
)

// Objects renders the Kubernetes objects of a kube unit, in apply order. It is
// safe to call concurrently.
func (c *Compiled) Objects(u graph.Unit) ([]kube.Object, error) {
	var objs []kube.Object
	var err error
	if w, ok := c.workloads[u.Addr]; ok {
		var r kube.Rendered
		r, err = kube.RenderWorkload(c.kubeEnv, *w)
		objs = r.Objects
	} else if t, ok := c.teams[u.Addr]; ok {
		objs, err = kube.RenderTeam(c.kubeEnv, t)
	} else if u.Addr == addr.Platform(u.Addr.Env, meshUnit) {
		objs, err = kube.RenderControl(c.kubeEnv, kube.Platform{Addr: u.Addr})
	} else if u.Addr == addr.Platform(u.Addr.Env, definitionsUnit) {
		objs, err = kube.RenderDefinitions(c.kubeEnv, kube.Platform{Addr: u.Addr})
	} else if u.Addr == c.admission.Addr {
		objs, err = kube.RenderAdmission(c.kubeEnv, c.admission)
	} else if u.Addr == addr.Platform(u.Addr.Env, "gateway") {
		objs, err = kube.RenderPlatform(c.kubeEnv, kube.Platform{Addr: u.Addr})
	} else {
		return nil, fmt.Errorf("%s has no Kubernetes objects", u.Addr)
	}
	switch {
	case err != nil && u.Workload != "":
		return nil, &WorkloadError{u.Workload, u.Addr.Env, err}
	case err != nil:
		return nil, fmt.Errorf("render %s: %w", u.Addr, err)
	}
	return objs, nil
}

// Files renders a unit: the OpenTofu root, or the objects as YAML and, where
// outputs of other units flow in, the list of bindings. Paths are relative to the
// environment's folder. It is safe to call concurrently. Units that exist
// already have no files.
func (c *Compiled) Files(u graph.Unit) ([]output.File, error) {
	switch {
	case u.Existing:
		return nil, nil
	case u.Kind == graph.Tofu:
		dir := path.Join(StacksDir, u.Addr.Name)
		b, err := stack.Render(c.rootContext(u), u)
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", u.Addr, err)
		}
		return []output.File{{Path: path.Join(dir, stack.FileName), Content: b}}, nil
	}
	objs, err := c.Objects(u)
	if err != nil {
		return nil, err
	}
	b, err := kube.MarshalYAML(objs)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", u.Addr, err)
	}
	files := []output.File{{Path: path.Join(ObjectsDir, u.Addr.Name+".yaml"), Content: b}}
	if len(u.Bindings) > 0 {
		b, err := json.MarshalIndent(map[string]any{"version": "1", "unit": u.Addr, "bindings": u.Bindings}, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", u.Addr, err)
		}
		files = append(files, output.File{Path: path.Join(ObjectsDir, u.Addr.Name+".bindings.json"), Content: append(b, '\n')})
	}
	return files, nil
}

// Items returns the environment as parts for package output.
func (c *Compiled) Items() []output.Item {
	items := make([]output.Item, 0, len(c.Graph.Units))
	for _, u := range c.Graph.Units {
		if u.Existing {
			continue
		}
		items = append(items, output.Item{
			Key: u.Addr.Name, Digest: u.Digest,
			Render: func() ([]output.File, error) { return c.Files(u) },
		})
	}
	return items
}
