package compile

import (
	"fmt"
	"maps"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/graph"
)

// addonsUnit is the unit of what a cluster needs besides Kubernetes, and its contract.
const addonsUnit = "addons"

// addAddons adds the unit of the add-ons of a cluster that Strata makes. A cluster that was
// there before has those of whoever made it, and a node of this machine needs none.
func (c *Compiled) addAddons() error {
	env, spec := c.env.Metadata.Name, c.env.Spec
	if !c.makesCluster() {
		return nil
	}
	con, ok := c.catalog.Platform(addonsUnit)
	if !ok {
		return fmt.Errorf("the catalog has no contract for %q", addonsUnit)
	}
	u := graph.Unit{Addr: addr.Platform(env, addonsUnit), Layer: con.Spec.Layer, Kind: graph.Tofu, Contract: addonsUnit, Outputs: con.Spec.Outputs}
	if spec.Addons != nil && spec.Addons.Existing != nil {
		u.Existing, u.Known = true, maps.Clone(map[string]any(spec.Addons.Existing))
		c.add(u)
		return nil
	}
	binding, ok := c.catalog.ModuleFor(con, spec.Cloud)
	if !ok {
		return nil
	}
	if err := c.tofu(&u, binding, nil); err != nil {
		return err
	}
	cluster := addr.Foundation(env, "cluster")
	if up, ok := c.unit(cluster); ok {
		u.Cluster = map[string]graph.Value{}
		for _, name := range []string{"name", "endpoint", "certificate_authority"} {
			v, ok, err := c.output(up, name)
			if err != nil {
				return err
			}
			if ok {
				u.Cluster[name] = v
			}
		}
	}
	// Some of them read secrets by the identity that comes with the secrets service, and
	// some do not start before there is the Gateway API.
	u.DependsOn = append(u.DependsOn, c.have(cluster, addr.Platform(env, "secrets"), addr.Platform(env, definitionsUnit))...)
	c.add(u)
	return nil
}

// makesCluster reports whether Strata makes the environment's cluster, in a cloud.
func (c *Compiled) makesCluster() bool {
	s := c.env.Spec
	return inCloud(s) && (s.Cluster == nil || s.Cluster.Existing == nil)
}
