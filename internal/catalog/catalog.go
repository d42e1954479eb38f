// Package catalog holds the contracts of resource types and of platform units:
// those built in, which are YAML files beside this package, and those that a
// platform team adds in its own repository. It checks own contracts, describes
// parameters, validates what users give for them and for existing resources,
// and says which module fulfils a contract in which cloud.
//
// It does not decode user files (package manifest does), does not decide which
// units an environment has (package compile does), and never looks at a module's
// code.
package catalog

import (
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

// Catalog is the set of all contracts of one repository. Its methods may be
// called from several goroutines at once; what they return is shared and must
// not be changed.
type Catalog struct {
	resources map[string]*entry
	platform  map[string]*entry
}

// entry is a contract with what is derived from it. The schema is compiled when
// it is first asked for: checking a handful of workloads should not pay for the
// schemas of every type.
type entry struct {
	contract *model.Contract
	defaults map[string]any
	schema   func() (*jsonschema.Schema, error)
}

func newEntry(c *model.Contract) *entry {
	return &entry{
		contract: c,
		defaults: defaultsOf(c.Spec.Params),
		schema:   sync.OnceValues(func() (*jsonschema.Schema, error) { return compileSchema(c.Spec.Params) }),
	}
}

// New returns the catalog of the built-in contracts and of a repository's own.
// An own contract with a mistake is reported and stays in the catalog, so that
// the mistake does not bring an "unknown type" at every use with it; only one
// that takes the name of another is left out.
func New(own []*model.Contract) (*Catalog, diag.List) {
	c := &Catalog{resources: map[string]*entry{}, platform: map[string]*entry{}}
	for _, b := range builtins() {
		c.scope(b)[b.Metadata.Name] = newEntry(b)
	}
	own = slices.Clone(own)
	slices.SortStableFunc(own, func(a, b *model.Contract) int { return strings.Compare(a.Source.File, b.Source.File) })

	var ds diag.List
	// An own contract may refer to another's outputs, so all are added
	// before any is checked.
	for _, o := range own {
		set, name := c.scope(o), o.Metadata.Name
		if prev, ok := set[name]; ok {
			reportDuplicate(&ds, o, prev.contract)
			continue
		}
		set[name] = newEntry(o)
	}
	for _, o := range own {
		if e := c.scope(o)[o.Metadata.Name]; e.contract == o {
			c.check(&ds, e)
		}
	}
	return c, ds
}

func (c *Catalog) scope(k *model.Contract) map[string]*entry {
	if k.Spec.Scope == model.ScopePlatform {
		return c.platform
	}
	return c.resources
}

// Resource returns the contract of a resource type.
func (c *Catalog) Resource(typ string) (*model.Contract, bool) { return contractOf(c.resources, typ) }

// Platform returns the contract of a platform unit, such as "network".
func (c *Catalog) Platform(name string) (*model.Contract, bool) { return contractOf(c.platform, name) }

func contractOf(set map[string]*entry, name string) (*model.Contract, bool) {
	e, ok := set[name]
	if !ok {
		return nil, false
	}
	return e.contract, true
}

// ResourceTypes returns the names of all resource types, sorted.
func (c *Catalog) ResourceTypes() []string { return model.SortedKeys(c.resources) }

// PlatformTypes returns the names of all platform contracts, sorted.
func (c *Catalog) PlatformTypes() []string { return model.SortedKeys(c.platform) }

// Suggest returns the resource type that typ was probably meant to be, or "".
func (c *Catalog) Suggest(typ string) string { return suggest.Nearest(typ, c.ResourceTypes()) }

// Defaults returns the parameters of a resource type that have a default, by
// name. It is nil when the type is unknown.
func (c *Catalog) Defaults(typ string) map[string]any { return defaultsIn(c.resources, typ) }

// PlatformDefaults is Defaults for a platform contract.
func (c *Catalog) PlatformDefaults(name string) map[string]any { return defaultsIn(c.platform, name) }

func defaultsIn(set map[string]*entry, name string) map[string]any {
	if e, ok := set[name]; ok {
		return e.defaults
	}
	return nil
}

// BuiltinPrefix begins the source of a module that comes with Strata, as in
// "builtin:aws/postgres".
const BuiltinPrefix = "builtin:"

// ModuleFor returns the module that fulfils a contract in a cloud. The binding's
// Source is relative to the repository, or begins with BuiltinPrefix. It is
// false when the contract has no module there: the type is then either native
// or not available in that cloud.
func (c *Catalog) ModuleFor(k *model.Contract, cloud string) (model.ModuleBinding, bool) {
	m, ok := k.Spec.Modules[cloud]
	if ok && !strings.HasPrefix(m.Source, BuiltinPrefix) {
		m.Source = path.Join(path.Dir(k.Source.File), m.Source)
	}
	return m, ok
}
