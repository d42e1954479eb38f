package compile

import (
	"maps"
	"path"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/compile/stack"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// stackContext returns what all roots of an environment share.
func (c *Compiled) stackContext() stack.Context {
	p, e := c.repo.Platform, c.env
	s := stack.Context{
		Platform: p.Metadata.Name, Environment: e.Metadata.Name, Cloud: e.Spec.Cloud, Region: e.Spec.Region,
		Protected: e.Spec.Protected, AccountID: e.AccountID(), State: e.Spec.State, Tags: map[string]string{},
	}
	for _, tags := range []map[string]string{p.Metadata.Labels, p.Spec.Tags, e.Metadata.Labels, e.Spec.Tags} {
		maps.Copy(s.Tags, tags)
	}
	a := e.Spec.Account
	if a == nil {
		return s
	}
	s.Role = a.Role
	if role, ok := a.Existing["deployer_role"].(string); ok && s.Role == "" {
		s.Role = role
	}
	if a.Create != nil {
		account := addr.Foundation(e.Metadata.Name, "account")
		s.AccountRef = &graph.Ref{Unit: account, Output: "account_id", Type: "string"}
		if s.Role == "" {
			s.RoleRef = &graph.Ref{Unit: account, Output: "deployer_role", Type: "string"}
		}
	}
	return s
}

// rootContext is the context for one unit's root, which knows the way from its
// own folder to the modules.
func (c *Compiled) rootContext(u graph.Unit) stack.Context {
	s := c.stack
	up := strings.Repeat("../", strings.Count(path.Join(StacksDir, u.Addr.Name), "/")+1)
	s.ModuleSource = func(module string) string { return up + ModulePath(module) }
	return s
}

// RootOptions say how the root that is run differs from the one that is kept.
type RootOptions struct {
	// Unknown names the variables that have no value yet; see
	// stack.RenderProvisional.
	Unknown []string
	// StateFile is an absolute path: state is kept there instead of where the
	// environment says.
	StateFile string
}

// Root renders the OpenTofu root of a unit as it is run. It is safe to call
// concurrently.
func (c *Compiled) Root(u graph.Unit, o RootOptions) ([]byte, error) {
	s := c.rootContext(u)
	if o.StateFile != "" {
		s.State = &model.State{Backend: "local"}
		s.StatePath = func(addr.Unit) string { return o.StateFile }
	}
	return stack.RenderProvisional(s, u, o.Unknown)
}

// Variables returns the variables of a tofu unit's root, sorted by name.
func (c *Compiled) Variables(u graph.Unit) []stack.Variable { return stack.Variables(c.stack, u) }

// Environment returns the environment that was compiled.
func (c *Compiled) Environment() *model.Environment { return c.env }

// Modules lists the modules that the environment's units call, sorted.
func (c *Compiled) Modules() []string {
	used := map[string]bool{}
	for _, u := range c.Graph.Units {
		if u.Kind == graph.Tofu && !u.Existing {
			used[u.Module] = true
		}
	}
	return model.SortedKeys(used)
}

// ModulePath returns where a module lies in a rendered environment.
func ModulePath(module string) string {
	if name, ok := strings.CutPrefix(module, catalog.BuiltinPrefix); ok {
		return path.Join(ModulesDir, "strata", name)
	}
	return path.Join(ModulesDir, "own", strings.TrimPrefix(module, "modules/"))
}

// stackDigest is the part of a stack.Context that can be written as JSON.
type stackDigest struct {
	Context map[string]any
	State   *model.State
	Tags    map[string]string
}

func digestable(s stack.Context) stackDigest {
	return stackDigest{
		Context: map[string]any{
			"platform": s.Platform, "environment": s.Environment, "cloud": s.Cloud, "region": s.Region, "protected": s.Protected,
			"account": s.AccountID, "accountRef": s.AccountRef, "role": s.Role, "roleRef": s.RoleRef,
		},
		State: s.State, Tags: s.Tags,
	}
}
