// Package compile turns the model and one environment into a graph of units,
// and a unit into the files it consists of. It is pure: no clock, no network,
// no randomness, and the same input gives the same bytes. What OpenTofu roots
// look like is package compile/stack's business, what Kubernetes objects look
// like package compile/kube's; this package decides which units there are and
// what flows between them.
package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/par"
)

// Format is the version of what units render to. It is part of every digest:
// raise it when the same input renders to other bytes, so that no cache keeps the old ones.
const Format = 1

// Compiled is one environment, ready to be rendered unit by unit.
type Compiled struct {
	// Graph holds the units in the order of their addresses.
	Graph *graph.Graph

	repo      *model.Repository
	catalog   *catalog.Catalog
	env       *model.Environment
	units     []graph.Unit
	index     map[addr.Unit]int
	kubeEnv   kube.Env
	teams     map[addr.Unit]kube.Team
	workloads map[addr.Unit]*kube.Workload
	admission kube.Admission
	stack     stack.Context
	context   []byte // digest of everything that all units of a kind share
}

// Compile returns the units of the environment called env. The repository must
// have passed validation; an error means that it did not, or that a rule is
// missing there.
func Compile(repo *model.Repository, cat *catalog.Catalog, env string) (*Compiled, error) {
	e, ok := repo.Environment(env)
	if !ok {
		return nil, fmt.Errorf("there is no environment %q", env)
	}
	if repo.Platform == nil {
		return nil, fmt.Errorf("the repository has no platform")
	}
	c := &Compiled{
		repo: repo, catalog: cat, env: e,
		index:     map[addr.Unit]int{},
		teams:     map[addr.Unit]kube.Team{},
		workloads: map[addr.Unit]*kube.Workload{},
	}
	c.kubeEnv = kubeEnv(repo.Platform, e)
	c.kubeEnv.ProxyImage, c.kubeEnv.ControlImage = platformImages(repo, e)
	c.kubeEnv.Region, c.kubeEnv.Addons = e.Spec.Region, c.makesCluster()
	c.stack = c.stackContext()
	shared, err := json.Marshal(struct {
		Format int
		Kube   kube.Env
		Stack  stackDigest
	}{Format, c.kubeEnv, digestable(c.stack)})
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", env, err)
	}
	c.context = shared
	if err := c.platformUnits(); err != nil {
		return nil, err
	}
	if err := c.workloadUnits(); err != nil {
		return nil, err
	}
	if err := c.admissionUnit(); err != nil {
		return nil, err
	}
	// Digests of different units have nothing to do with each other.
	err = par.Each(context.Background(), len(c.units), func(i int) error { return c.digest(&c.units[i]) })
	if err != nil {
		return nil, err
	}
	if c.Graph, err = graph.New(env, c.units); err != nil {
		return nil, fmt.Errorf("compile %s: %w", env, err)
	}
	return c, nil
}

// add records a unit. Its dependencies are completed and sorted here.
func (c *Compiled) add(u graph.Unit) {
	for _, r := range u.Refs() {
		u.DependsOn = append(u.DependsOn, r.Unit)
	}
	for _, b := range u.Bindings {
		for _, ref := range b.Refs() {
			u.DependsOn = append(u.DependsOn, ref.Unit)
		}
	}
	slices.SortFunc(u.DependsOn, addr.Unit.Compare)
	u.DependsOn = slices.Compact(u.DependsOn)
	c.index[u.Addr] = len(c.units)
	c.units = append(c.units, u)
}

func (c *Compiled) unit(a addr.Unit) (*graph.Unit, bool) {
	i, ok := c.index[a]
	if !ok {
		return nil, false
	}
	return &c.units[i], true
}

// digest fills in the unit's digest: everything its rendered form depends on.
func (c *Compiled) digest(u *graph.Unit) error {
	u.Digest = ""
	h := sha256.New()
	enc := json.NewEncoder(h)
	h.Write(c.context)
	if err := enc.Encode(u); err != nil {
		return fmt.Errorf("digest of %s: %w", u.Addr, err)
	}
	if w, ok := c.workloads[u.Addr]; ok {
		if err := enc.Encode(w); err != nil {
			return fmt.Errorf("digest of %s: %w", u.Addr, err)
		}
		if w.Meshed(c.kubeEnv) {
			fmt.Fprintln(h, c.kubeEnv.ProxyImage)
		}
	}
	if u.Addr == addr.Platform(u.Addr.Env, meshUnit) {
		fmt.Fprintln(h, c.kubeEnv.ProxyImage, c.kubeEnv.ControlImage)
	}
	if u.Addr == addr.Platform(u.Addr.Env, definitionsUnit) {
		d, err := kube.DefinitionsDigest()
		if err != nil {
			return fmt.Errorf("digest of %s: %w", u.Addr, err)
		}
		fmt.Fprintln(h, d)
	}
	if u.Addr == c.admission.Addr {
		if err := enc.Encode(c.admission); err != nil {
			return fmt.Errorf("digest of %s: %w", u.Addr, err)
		}
	}
	if t, ok := c.teams[u.Addr]; ok {
		if err := enc.Encode(t); err != nil {
			return fmt.Errorf("digest of %s: %w", u.Addr, err)
		}
	}
	u.Digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

// WorkloadError says that a workload cannot be compiled, although its document
// is valid: Kubernetes is narrower than Score.
type WorkloadError struct {
	Workload, Environment string
	Err                   error
}

// Error names the workload and the environment.
func (e *WorkloadError) Error() string {
	return fmt.Sprintf("workload %q in environment %q: %v", e.Workload, e.Environment, e.Err)
}

// Unwrap returns the cause.
func (e *WorkloadError) Unwrap() error { return e.Err }
