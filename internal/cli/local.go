package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/store/sqlstore"
)

// nodeName is what the node of a local environment is called: two platforms may each
// have an environment of one name.
func nodeName(p *model.Platform, env string) string { return p.Metadata.Name + "-" + env }

// nodeDir is the folder of a local environment's node.
func nodeDir(p *model.Platform, env string) string {
	return filepath.Join(node.Root(), nodeName(p, env))
}

// localEnvironment returns the environment that args name or, where they name none,
// the only one of this machine.
func localEnvironment(m *model.Repository, args []string) (*model.Environment, error) {
	if len(args) > 0 {
		if _, err := environments(m, args); err != nil {
			return nil, err
		}
		e, _ := m.Environment(args[0])
		if e.Spec.Cloud != model.CloudLocal {
			return nil, fmt.Errorf("%s is an environment in %s, and this command is for those of this machine (cloud: local): use plan and apply", args[0], e.Spec.Cloud)
		}
		return e, nil
	}
	var found []string
	var out *model.Environment
	for _, e := range m.Environments {
		if e.Spec.Cloud == model.CloudLocal {
			found, out = append(found, e.Metadata.Name), e
		}
	}
	switch len(found) {
	case 0:
		return nil, errors.New("no environment is of this machine: make environments/local.yaml with `cloud: local`")
	case 1:
		return out, nil
	}
	return nil, fmt.Errorf("several environments are of this machine; say which: %s", strings.Join(found, ", "))
}

// ownCluster reports whether the environment runs in a cluster that Strata did not
// make.
func ownCluster(e *model.Environment) bool {
	return e.Spec.Cluster != nil && e.Spec.Cluster.Existing != nil
}

// clusterOf is the cluster that an environment runs in.
type clusterOf struct {
	check *check.Result
	env   *model.Environment
	// client talks to it; kubeconfig is the file that says how.
	client     *cluster.Client
	kubeconfig string
	// node is its node on this machine; nil for a cluster of somebody else's.
	node *node.Config
}

func (c *clusterOf) close() error { return c.check.Close() }

// cluster opens the cluster of an environment: the one that args name, or the only
// one of this machine. The caller closes it.
func (a *app) cluster(ctx context.Context, args []string) (_ *clusterOf, err error) {
	r, err := check.Load(ctx, a.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.Model.Platform == nil {
		return nil, a.showErrors(r)
	}
	c := &clusterOf{check: r}
	if len(args) > 0 {
		if _, err := environments(r.Model, args); err != nil {
			return nil, err
		}
		c.env, _ = r.Model.Environment(args[0])
	} else if c.env, err = localEnvironment(r.Model, nil); err != nil {
		return nil, err
	}
	if c.kubeconfig, err = a.kubeconfigOf(ctx, c); err != nil {
		return nil, err
	}
	if c.client, err = cluster.Open(c.kubeconfig); err != nil {
		return nil, err
	}
	return c, nil
}

// kubeconfigOf finds the kubeconfig of an environment's cluster.
func (a *app) kubeconfigOf(ctx context.Context, c *clusterOf) (string, error) {
	env := c.env.Metadata.Name
	if ownCluster(c.env) {
		file, _ := c.env.Spec.Cluster.Existing["kubeconfig"].(string)
		if file == "" {
			return "", fmt.Errorf("%s: cluster.existing has no kubeconfig, so there is no way to reach the cluster from here", c.env.Source.File)
		}
		return a.inRepository(file)
	}
	if c.env.Spec.Cloud == model.CloudLocal {
		dir := nodeDir(c.check.Model.Platform, env)
		cfg, err := node.Load(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s is not there yet: %s up %s makes it", env, a.self(), env)
		}
		if err != nil {
			return "", err
		}
		if !node.Running(dir) {
			return "", fmt.Errorf("%s is stopped: %s up %s starts it", env, a.self(), env)
		}
		c.node = &cfg
		return cfg.Kubeconfig(), nil
	}
	w, err := a.workspace(env, false)
	if err != nil {
		return "", err
	}
	db, err := sqlstore.Open(ctx, w.store())
	if err != nil {
		return "", err
	}
	defer db.Close()
	units, err := db.Units(ctx, env)
	if err != nil {
		return "", err
	}
	for _, u := range units {
		if u.Addr == addr.Foundation(env, "cluster") {
			if raw, ok := u.Outputs["kubeconfig"]; ok && len(raw) > 2 {
				return a.inRepository(strings.Trim(string(raw), `"`))
			}
		}
	}
	return "", fmt.Errorf("the cluster of %s gives no kubeconfig: name one in its file (cluster.existing.kubeconfig)", env)
}

// inRepository returns a file's name as an absolute path; relative ones start in the
// repository.
func (a *app) inRepository(file string) (string, error) {
	if filepath.IsAbs(file) {
		return file, nil
	}
	return filepath.Abs(filepath.Join(a.dir, file))
}
