package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
)

// resource resolves one resource of a workload: it adds the unit that fulfils
// it, or what it means for the workload's objects.
func (c *Compiled) resource(x *expander, k *kube.Workload, name string) (*resolved, error) {
	eff := model.EffectiveResource(c.catalog, c.env, x.w, name)
	con, ok := c.catalog.Resource(eff.Type)
	if !ok {
		return nil, fmt.Errorf("unknown type %q", eff.Type)
	}
	res := &resolved{eff: eff, con: con, literal: map[string]any{}, secret: map[string]string{}}
	params, err := x.params(eff.Params)
	if err != nil {
		return nil, err
	}
	if con.Spec.Native {
		return res, c.native(x, k, res, params)
	}
	k.Needs = append(k.Needs, kube.Need{Resource: name, Type: eff.Type, Ports: con.Spec.Ports})
	if eff.Existing != nil {
		for out, v := range eff.Existing {
			if con.Spec.Outputs[out].Secret() {
				res.secret[out], _ = v.(string)
				continue
			}
			res.literal[out] = v
		}
		return res, nil
	}
	binding, ok := c.catalog.ModuleFor(con, c.env.Spec.Cloud)
	if !ok {
		return nil, fmt.Errorf("no module for type %q in cloud %q", eff.Type, c.env.Spec.Cloud)
	}
	env := c.env.Metadata.Name
	u := graph.Unit{
		Addr:  addr.WorkloadResource(env, x.w.Metadata.Name, name),
		Layer: con.Spec.Layer, Kind: graph.Tofu, Contract: eff.Type, Outputs: con.Spec.Outputs,
		Team: k.Team, Workload: k.Name,
	}
	if eff.ID != "" {
		u.Addr = addr.SharedResource(env, addr.Resource{Type: eff.Type, Class: eff.Class, ID: eff.ID})
		u.Team, u.Workload = "", ""
	}
	res.unit = u.Addr
	for out, o := range con.Spec.Outputs {
		if o.Secret() {
			res.secret[out] = c.secretPath(u.Addr.Name) + "/" + out
		}
	}
	if _, ok := c.unit(u.Addr); ok {
		return res, nil // shared, and added by the workload that came first
	}
	if err := c.tofu(&u, binding, params); err != nil {
		return nil, err
	}
	u.DependsOn = append(u.DependsOn, c.have(addr.Foundation(env, "cluster"), addr.Platform(env, "secrets"))...)
	c.add(u)
	return res, nil
}

// native gives meaning to the types that Kubernetes objects fulfil.
func (c *Compiled) native(x *expander, k *kube.Workload, res *resolved, p map[string]any) error {
	for name, v := range p {
		if _, ok := v.(graph.Ref); ok {
			return fmt.Errorf("parameter %q of type %s must be known when the description is compiled, so it cannot be an output of another resource", name, res.eff.Type)
		}
	}
	name := res.eff.Name
	switch res.eff.Type {
	case model.TypeService:
		call := k.Calls[slices.IndexFunc(k.Calls, func(call kube.Call) bool { return call.Resource == name })]
		host, port := call.Workload+"."+call.Team+".svc.cluster.local", call.Port
		if c.kubeEnv.Sidecars() && call.Listen != 0 {
			host, port = "127.0.0.1", call.Listen
		}
		scheme := or(text(p, "protocol"), "http")
		if scheme == "grpc" {
			scheme = "http" // as gRPC's own clients write it
		}
		res.literal["host"], res.literal["port"] = host, port
		res.literal["url"] = fmt.Sprintf("%s://%s:%d", scheme, host, port)
	case model.TypeRoute:
		return c.route(x, k, res, p)
	case model.TypeSecret:
		res.secret["value"] = c.secretPath(text(p, "key"))
	case model.TypeVolume:
		k.Volumes = append(k.Volumes, kube.Volume{
			Resource: name, Size: or(text(p, "size"), "10Gi"), AccessMode: or(text(p, "accessMode"), "ReadWriteOnce"),
			Class: text(p, "storageClass"), Ephemeral: p["ephemeral"] == true,
		})
		res.literal["source"] = name
	case model.TypeAutoscaler:
		m, _ := p["metrics"].(map[string]any)
		k.Autoscaler = &kube.Autoscaler{
			Min: number(p, "min"), Max: number(p, "max"),
			CPU: number(m, "cpu"), Memory: number(m, "memory"),
			RequestsPerSecond: number(m, "requestsPerSecond"), QueueDepth: number(m, "queueDepth"), Queue: text(m, "queue"),
		}
	case model.TypeSchedule:
		k.Schedule = &kube.Schedule{
			Cron: text(p, "cron"), Timezone: text(p, "timezone"), Concurrency: text(p, "concurrency"),
			Deadline: number(p, "deadline"), Retries: number(p, "retries"),
		}
	case model.TypeGPU:
		if n := number(p, "count"); n > 0 {
			k.GPU = &kube.GPU{Count: n, Model: text(p, "model")}
		}
	default:
		return fmt.Errorf("type %q is native, but nothing fulfils it", res.eff.Type)
	}
	return nil
}

func (c *Compiled) route(x *expander, k *kube.Workload, res *resolved, p map[string]any) error {
	port, err := x.w.Port(p["port"])
	if err != nil {
		return err
	}
	host := model.RouteHost(c.env, x.w, res.eff)
	r := kube.Route{
		Resource: res.eff.Name, Class: res.eff.Class, Host: host,
		Path: or(text(p, "path"), "/"), Port: x.w.Service.Ports[port].Port, Policy: routePolicy(p),
	}
	k.Routes = append(k.Routes, r)
	res.literal["host"] = host
	res.literal["url"] = c.scheme() + "://" + host + strings.TrimSuffix(r.Path, "/")
	return nil
}

// routePolicy returns what parameters of a route limit its requests by; nil where none do.
func routePolicy(p map[string]any) *routepolicy.Spec {
	out := routepolicy.Spec{MaxRequestBytes: int64(number(p, "maxRequestBytes"))}
	if m, ok := p["rateLimit"].(map[string]any); ok {
		out.RateLimit = &routepolicy.RateLimit{RequestsPerSecond: int32(number(m, "requestsPerSecond")), Burst: int32(number(m, "burst"))}
	}
	if m, ok := p["token"].(map[string]any); ok {
		out.Token = &routepolicy.Token{Issuer: text(m, "issuer")}
		list, _ := m["audiences"].([]any)
		for _, a := range list {
			if s, ok := a.(string); ok {
				out.Token.Audiences = append(out.Token.Audiences, s)
			}
		}
	}
	if out.RateLimit == nil && out.Token == nil && out.MaxRequestBytes == 0 {
		return nil
	}
	return &out
}

func text(m map[string]any, key string) string { s, _ := m[key].(string); return s }

func number(m map[string]any, key string) int { n, _ := model.Int(m[key]); return n }
