package compile

import (
	"fmt"
	"maps"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/catalog"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// platformContract is a unit that exists once in an environment.
type platformContract struct {
	name     string
	addr     func(env string) addr.Unit
	wanted   func(s model.EnvironmentSpec) bool
	existing func(s model.EnvironmentSpec) model.Existing
	params   func(e *model.Environment) map[string]any
}

func foundation(name string) func(string) addr.Unit {
	return func(env string) addr.Unit { return addr.Foundation(env, name) }
}

func inCloud(s model.EnvironmentSpec) bool { return s.Cloud != model.CloudLocal }

// platformContracts lists the platform's units in the order in which they need
// each other.
var platformContracts = []platformContract{
	{
		name: "account", addr: foundation("account"), wanted: inCloud,
		existing: func(s model.EnvironmentSpec) model.Existing {
			if s.Account.ID != "" {
				return model.Existing{"account_id": s.Account.ID, "deployer_role": s.Account.Role}
			}
			return s.Account.Existing
		},
		params: func(e *model.Environment) map[string]any {
			c := e.Spec.Account.Create
			p := map[string]any{"name": c.Name, "parent": c.Parent}
			if c.Email != "" {
				p["email"] = c.Email
			}
			if c.Budget != 0 {
				p["budget"] = c.Budget
			}
			return p
		},
	},
	{
		name: "state", addr: foundation("state"),
		wanted: func(s model.EnvironmentSpec) bool {
			return inCloud(s) && s.State.Backend != "pg"
		},
		existing: func(s model.EnvironmentSpec) model.Existing { return nil },
		params: func(e *model.Environment) map[string]any {
			return map[string]any{"bucket": e.Spec.State.Bucket}
		},
	},
	{
		name: "network", addr: foundation("network"),
		wanted: func(s model.EnvironmentSpec) bool { return true },
		existing: func(s model.EnvironmentSpec) model.Existing {
			if s.Network == nil {
				return nil
			}
			return s.Network.Existing
		},
		params: networkParams,
	},
	{
		name: "cluster", addr: foundation("cluster"),
		wanted: func(s model.EnvironmentSpec) bool { return true },
		existing: func(s model.EnvironmentSpec) model.Existing {
			if s.Cluster == nil {
				return nil
			}
			return s.Cluster.Existing
		},
		params: clusterParams,
	},
	{
		name: "registry", addr: foundation("registry"),
		wanted:   func(s model.EnvironmentSpec) bool { return s.Registry != nil },
		existing: func(s model.EnvironmentSpec) model.Existing { return s.Registry.Existing },
		params:   func(*model.Environment) map[string]any { return nil },
	},
	{
		name: "dns", addr: foundation("dns"),
		wanted: func(s model.EnvironmentSpec) bool { return s.DNS != nil || s.Ingress != nil },
		existing: func(s model.EnvironmentSpec) model.Existing {
			if s.DNS == nil {
				return nil
			}
			return s.DNS.Existing
		},
		params: func(e *model.Environment) map[string]any {
			if e.Spec.DNS != nil && e.Spec.DNS.Zone != "" {
				return map[string]any{"zone": e.Spec.DNS.Zone}
			}
			if e.Spec.Ingress == nil {
				return nil
			}
			return map[string]any{"zone": e.Spec.Ingress.Domain}
		},
	},
	{
		name:   "secrets",
		addr:   func(env string) addr.Unit { return addr.Platform(env, "secrets") },
		wanted: func(s model.EnvironmentSpec) bool { return true },
		existing: func(s model.EnvironmentSpec) model.Existing {
			if s.Secrets == nil {
				return nil
			}
			return s.Secrets.Existing
		},
		params: func(*model.Environment) map[string]any { return nil },
	},
}

func networkParams(e *model.Environment) map[string]any {
	n := e.Spec.Network
	if n == nil {
		return nil
	}
	p := map[string]any{"cidr": n.CIDR}
	if n.Zones != 0 {
		p["zones"] = n.Zones
	}
	if n.NAT != "" {
		p["nat"] = n.NAT
	}
	return p
}

func clusterParams(e *model.Environment) map[string]any {
	c := e.Spec.Cluster
	if c == nil {
		return nil
	}
	p := map[string]any{}
	if c.Version != "" {
		p["version"] = c.Version
	}
	var pools []any
	for _, np := range c.NodePools {
		pool := map[string]any{"name": np.Name, "instance": np.Instance, "min": np.Min, "max": np.Max}
		if np.Accelerator != "" {
			pool["accelerator"] = np.Accelerator
		}
		if np.Spot {
			pool["spot"] = true
		}
		if len(np.Labels) > 0 {
			labels := map[string]any{}
			for k, v := range np.Labels {
				labels[k] = v
			}
			pool["labels"] = labels
		}
		pools = append(pools, pool)
	}
	if pools != nil {
		p["nodePools"] = pools
	}
	return p
}

// platformUnits adds what exists once in the environment.
func (c *Compiled) platformUnits() error {
	env, spec := c.env.Metadata.Name, c.env.Spec
	for _, pc := range platformContracts {
		if !pc.wanted(spec) {
			continue
		}
		con, ok := c.catalog.Platform(pc.name)
		if !ok {
			return fmt.Errorf("the catalog has no contract for %q", pc.name)
		}
		u := graph.Unit{
			Addr: pc.addr(env), Layer: con.Spec.Layer, Kind: graph.Tofu,
			Contract: pc.name, Outputs: con.Spec.Outputs,
		}
		if given := pc.existing(spec); given != nil {
			u.Existing, u.Known = true, maps.Clone(map[string]any(given))
			c.add(u)
			continue
		}
		binding, ok := c.catalog.ModuleFor(con, spec.Cloud)
		if !ok {
			// Nothing to do for this in this cloud, such as an account on one's own machine.
			continue
		}
		if err := c.tofu(&u, binding, pc.params(c.env)); err != nil {
			return err
		}
		c.add(u)
	}
	if err := c.ownPlatformUnits(); err != nil {
		return err
	}
	// A node of this machine, and a cluster that was there before, have the Gateway API. So
	// do clouds whose own gateways these are.
	if c.makesCluster() && (c.kubeEnv.OwnGateways() || c.kubeEnv.Mesh == model.MeshIstio && c.kubeEnv.IngressDomain != "") {
		c.add(graph.Unit{
			Addr: addr.Platform(env, definitionsUnit), Layer: model.LayerNetworking, Kind: graph.Kube,
			DependsOn: c.have(addr.Foundation(env, "cluster")),
		})
	}
	if err := c.addAddons(); err != nil {
		return err
	}
	if c.kubeEnv.ControlImage != "" {
		c.add(graph.Unit{
			Addr: addr.Platform(env, meshUnit), Layer: model.LayerNetworking, Kind: graph.Kube,
			DependsOn: c.have(addr.Foundation(env, "cluster"), addr.Platform(env, "secrets"), addr.Platform(env, definitionsUnit)),
		})
	}
	c.add(graph.Unit{
		Addr: addr.Platform(env, "gateway"), Layer: model.LayerNetworking, Kind: graph.Kube,
		DependsOn: c.have(addr.Foundation(env, "cluster"), addr.Platform(env, definitionsUnit), addr.Platform(env, addonsUnit), addr.Platform(env, meshUnit)),
	})
	return nil
}

// meshUnit is the unit of the control plane. Pods with a proxy start when it gives them
// certificates.
const meshUnit = "mesh"

// definitionsUnit is the unit of the kinds that gateways are described by.
const definitionsUnit = "gateway-api"

// ownPlatformUnits adds a unit for each platform contract of the repository's
// own that has a module in this cloud.
func (c *Compiled) ownPlatformUnits() error {
	for _, name := range c.catalog.PlatformTypes() {
		if con, _ := c.catalog.Platform(name); con.Source.File == "" {
			continue // built in: one of platformContracts, or added on demand
		}
		if _, err := c.onDemand(name); err != nil {
			return err
		}
	}
	return nil
}

// onDemand adds the unit of a platform contract that not every environment
// has, such as the Kafka cluster under its topics, unless it is there, and returns its address. A
// contract without a module in this cloud has no unit.
func (c *Compiled) onDemand(name string) (addr.Unit, error) {
	a := addr.Platform(c.env.Metadata.Name, name)
	con, known := c.catalog.Platform(name)
	if _, there := c.unit(a); there || !known {
		return a, nil
	}
	binding, ok := c.catalog.ModuleFor(con, c.env.Spec.Cloud)
	if !ok {
		return a, nil
	}
	u := graph.Unit{Addr: a, Layer: con.Spec.Layer, Kind: graph.Tofu, Contract: name, Outputs: con.Spec.Outputs}
	if err := c.tofu(&u, binding, nil); err != nil {
		return a, err
	}
	c.add(u)
	return a, nil
}

// have returns those of the addresses that are units of this environment.
func (c *Compiled) have(as ...addr.Unit) []addr.Unit {
	var out []addr.Unit
	for _, a := range as {
		if _, ok := c.index[a]; ok {
			out = append(out, a)
		}
	}
	return out
}

// tofu fills in what a unit that calls a module has: the module and its inputs.
func (c *Compiled) tofu(u *graph.Unit, b model.ModuleBinding, params map[string]any) error {
	u.Module = b.Source
	u.Inputs = map[string]graph.Value{}
	if _, platform := c.catalog.Platform(u.Contract); platform && u.Workload == "" && !strings.HasPrefix(u.Addr.Name, "shared/") {
		params = withDefaults(c.catalog.PlatformDefaults(u.Contract), params)
	}
	for k, v := range params {
		if ref, ok := v.(graph.Ref); ok {
			u.Inputs[catalog.VariableName(u.Contract, k)] = graph.Value{Ref: &ref}
			continue
		}
		u.Inputs[catalog.VariableName(u.Contract, k)] = graph.Value{Literal: snakeKeys(v)}
	}
	for _, name := range model.SortedKeys(b.Inputs) {
		v, ok, err := c.input(u, b.Inputs[name])
		if err != nil {
			return fmt.Errorf("input %q of %s: %w", name, u.Addr, err)
		}
		if ok {
			u.Inputs[name] = v
		}
	}
	if u.Contract != "account" {
		u.DependsOn = append(u.DependsOn, c.have(addr.Foundation(u.Addr.Env, "account"))...)
	}
	return nil
}

func withDefaults(defaults, params map[string]any) map[string]any {
	out := maps.Clone(defaults)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, params)
	return out
}

// input resolves where a module's input comes from (see model.ModuleBinding).
// ok is false when an existing unit does not say the output: the module's
// default then holds.
func (c *Compiled) input(u *graph.Unit, from string) (v graph.Value, ok bool, err error) {
	src, field, found := strings.Cut(from, ".")
	if !found {
		return v, false, fmt.Errorf("source %q is not of the form UNIT.OUTPUT", from)
	}
	switch src {
	case "env":
		return c.envField(u, field)
	case "unit":
		switch field {
		case "name":
			return graph.Value{Literal: ResourceName(c.repo.Platform.Metadata.Name, u.Addr)}, true, nil
		case "secret_path":
			return graph.Value{Literal: c.secretPath(u.Addr.Name)}, true, nil
		case "team":
			return graph.Value{Literal: u.Team}, true, nil
		case "workload":
			return graph.Value{Literal: u.Workload}, true, nil
		}
		return v, false, fmt.Errorf("source %q: a unit has name, secret_path, team and workload", from)
	}
	for _, pc := range platformContracts {
		if pc.name != src {
			continue
		}
		up, there := c.unit(pc.addr(u.Addr.Env))
		if !there {
			return v, false, nil
		}
		return c.output(up, field)
	}
	a, err := c.onDemand(src)
	if err != nil {
		return v, false, err
	}
	if up, there := c.unit(a); there {
		return c.output(up, field)
	}
	return v, false, fmt.Errorf("source %q names no platform unit", from)
}

// output returns an output of a unit: known where the unit exists already.
func (c *Compiled) output(up *graph.Unit, name string) (graph.Value, bool, error) {
	out, ok := up.Outputs[name]
	if !ok {
		return graph.Value{}, false, fmt.Errorf("%s has no output %q", up.Addr, name)
	}
	if up.Existing {
		v, ok := up.Known[name]
		return graph.Value{Literal: v}, ok, nil
	}
	return graph.Value{Ref: &graph.Ref{Unit: up.Addr, Output: name, Type: out.Type, Secret: out.Secret()}}, true, nil
}

func (c *Compiled) envField(u *graph.Unit, field string) (graph.Value, bool, error) {
	switch field {
	case "name":
		return graph.Value{Literal: u.Addr.Env}, true, nil
	case "region":
		return graph.Value{Literal: c.env.Spec.Region}, true, nil
	case "cloud":
		return graph.Value{Literal: c.env.Spec.Cloud}, true, nil
	case "protected":
		return graph.Value{Literal: c.env.Spec.Protected}, true, nil
	case "platform":
		return graph.Value{Literal: c.repo.Platform.Metadata.Name}, true, nil
	case "platform_domain":
		return graph.Value{Literal: c.repo.Platform.Spec.Domain}, true, nil
	case "ingress_domain":
		if c.env.Spec.Ingress == nil {
			return graph.Value{}, false, nil
		}
		return graph.Value{Literal: c.env.Spec.Ingress.Domain}, true, nil
	case "acme":
		return graph.Value{Literal: c.env.TLS() == model.TLSACME}, true, nil
	case "istio":
		return graph.Value{Literal: c.kubeEnv.Mesh == model.MeshIstio}, true, nil
	case "keda":
		return graph.Value{Literal: c.kubeEnv.KEDA}, true, nil
	case "trust_domain":
		return graph.Value{Literal: c.kubeEnv.TrustDomain()}, true, nil
	case "secret_prefix":
		return graph.Value{Literal: c.secretPrefix()}, true, nil
	case "account_id":
		if id := c.env.AccountID(); id != "" {
			return graph.Value{Literal: id}, true, nil
		}
		if up, ok := c.unit(addr.Foundation(u.Addr.Env, "account")); ok {
			return c.output(up, "account_id")
		}
		return graph.Value{}, false, nil
	}
	return graph.Value{}, false, fmt.Errorf("an environment has no field %q for modules", field)
}

// secretPath is where secrets of a unit lie in the central secrets service.
func (c *Compiled) secretPath(name string) string { return c.secretPrefix() + "/" + name }

// secretPrefix is where this environment's secrets lie.
func (c *Compiled) secretPrefix() string {
	prefix := c.repo.Platform.Metadata.Name + "/" + c.env.Metadata.Name
	if s := c.env.Spec.Secrets; s != nil {
		if p, ok := s.Existing["path_prefix"].(string); ok && p != "" {
			prefix = strings.TrimSuffix(p, "/")
		}
	}
	return prefix
}

func kubeEnv(p *model.Platform, e *model.Environment) kube.Env {
	k := kube.Env{
		Platform: p.Metadata.Name, PlatformDomain: p.Spec.Domain,
		Name: e.Metadata.Name, Cloud: e.Spec.Cloud, Protected: e.Spec.Protected,
		Mesh: or(e.Spec.Mesh, model.MeshStrata), GatewayClass: e.GatewayClass(),
		Access: p.Spec.Access, Labels: e.Metadata.Labels,
		KEDA: e.Spec.Cloud != model.CloudLocal && !e.ControlPlane(),
	}
	if t := e.Spec.Telemetry; t != nil {
		k.Telemetry = t.Endpoint
	}
	if in := e.Spec.Ingress; in != nil {
		k.IngressDomain, k.InternalDomain = in.Domain, in.Internal()
		k.TLS = e.TLS()
	}
	return k
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
