// Package kube is the runner of kube units: it plans and applies sets of Kubernetes
// objects in a real cluster, by server-side apply. What a unit consists of is package
// compile/kube's business, talking to the API server package cluster's; when a unit
// is planned or applied is for the engine to say.
//
// A unit's objects are on record in the cluster itself, in an inventory, so that what
// leaves the model is removed and nothing that Strata did not make is ever touched.
package kube

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/engine"
	"github.com/stratahq/strata/internal/plan"
)

// readyTimeout is how long the objects of a unit may take to be ready, unless
// Config says otherwise.
const readyTimeout = 5 * time.Minute

// Config is what a Runner works with.
type Config struct {
	// Platform is the platform's name: what others have made is not touched.
	Platform string
	// Dir is the repository: relative names of kubeconfig files start there.
	Dir string
	// Saved is the folder for saved plans. It must exist.
	Saved string
	// Timeout is how long the objects of one unit may take to be ready; 0 means
	// five minutes.
	Timeout time.Duration
	// Secrets says that the cluster holds the environment's secrets itself, as it
	// does in local environments: a secret that people are to give and nobody has
	// given yet is then made up, so that everything runs.
	Secrets bool
	// Images makes images available to the cluster of a kubeconfig file before
	// objects that name them are applied; nil leaves it to the cluster.
	Images func(ctx context.Context, kubeconfig string, refs []string) error
}

// Runner implements engine.Runner.
type Runner struct {
	cfg Config

	mu      sync.Mutex
	clients map[string]*cluster.Client
}

var _ engine.Runner = (*Runner)(nil)

// New returns a runner.
func New(cfg Config) *Runner {
	if cfg.Timeout <= 0 {
		cfg.Timeout = readyTimeout
	}
	return &Runner{cfg: cfg, clients: map[string]*cluster.Client{}}
}

// kubeconfig returns the file that says how to reach the task's cluster; empty while
// there is none.
func (r *Runner) kubeconfig(t engine.Task) string {
	file, _ := t.Values[engine.ClusterKubeconfig].(string)
	if file != "" && !filepath.IsAbs(file) {
		file = filepath.Join(r.cfg.Dir, file)
	}
	return file
}

// client returns a client of the task's cluster; nil where there is no cluster: it is
// still to be made, or gone.
func (r *Runner) client(t engine.Task) (*cluster.Client, error) {
	file := r.kubeconfig(t)
	if file == "" {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.clients[file]; ok {
		return c, nil
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && t.Operation == plan.Destroy {
		return nil, nil
	}
	c, err := cluster.Open(file)
	if err != nil {
		return nil, fail(t, "plan", engine.CauseConfig, err, "See that the environment's cluster exists and that this file says how to reach it.")
	}
	r.clients[file] = c
	return c, nil
}

// Recover implements engine.Runner. Applying objects again ends where a run that was
// cut off would have ended, and the inventory was written before the first of them.
func (r *Runner) Recover(context.Context, engine.Task) ([]string, error) { return nil, nil }

// Done implements engine.Runner. The inventory of a unit that was destroyed went with
// its last object.
func (r *Runner) Done(engine.Task, bool) error { return nil }
