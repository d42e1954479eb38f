package model

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/proxy/config"
)

// BuiltImage is what a Score file writes for the image that the platform builds
// from the workload's folder.
const BuiltImage = "."

func (v *validator) release(rel *Release) {
	file, env := rel.Source.File, rel.Metadata.Name
	v.envRef(file, diag.P("metadata", "name"), env)
	e, ok := v.r.Environment(env)
	if !ok {
		return
	}
	for _, name := range SortedKeys(rel.Spec.Workloads) {
		at := diag.P("spec", "workloads", name)
		w, ok := v.workloads[name]
		if !ok {
			if !v.r.Broken["Workload/"+name] {
				v.unknown(RuleUnknownWorkload, file, at, "workload", name, v.wnames).OnKey = true
			}
			continue
		}
		images := rel.Spec.Workloads[name].Images
		for _, c := range SortedKeys(images) {
			if _, ok := w.Containers[c]; !ok {
				v.unknown(RuleUnknownContainer, file, at.With("images", c), "container of workload "+name, c, SortedKeys(w.Containers)).OnKey = true
				continue
			}
			v.trusted(e, file, at.With("images", c), images[c])
		}
		if e.Spec.Cloud == CloudLocal {
			continue
		}
		for _, c := range SortedKeys(w.Containers) {
			if _, ok := images[c]; ok {
				continue
			}
			img := w.Containers[c].Image
			if strings.Contains(img, "@sha256:") {
				v.trusted(e, w.Source.File, diag.P("containers", c, "image"), img)
				continue
			}
			d := v.err(RuleImageNotPinned, file, at, "container %q of workload %q has no image with a digest in environment %q", c, name, env)
			d.OnKey = true
			d.Detail = "Outside local environments an image is named by digest, so that what was tested is what runs."
			d.Remedy = "Add spec.workloads." + name + ".images." + c + ": registry/name@sha256:..."
		}
	}
}

// trusted checks that an image comes from a registry that the platform names.
func (v *validator) trusted(e *Environment, file string, at diag.Path, image string) {
	if v.r.Platform == nil || e.Spec.Cloud == CloudLocal {
		return
	}
	trusted := slices.Clone(v.r.Platform.Spec.Trusted)
	if r := v.r.Platform.Spec.Registry; r != "" {
		trusted = append(trusted, r)
	}
	if len(trusted) == 0 {
		return
	}
	for _, t := range trusted {
		if strings.HasPrefix(image, strings.TrimSuffix(t, "/")+"/") {
			return
		}
	}
	d := v.err(RuleUntrusted, file, at, "image %q comes from a registry that the platform does not trust", image)
	d.Remedy = "Trusted: " + joinComma(trusted) + " (spec.registry and spec.trustedRegistries of strata.yaml)."
}

// sharedUse is one workload's claim on a shared resource or a route.
type sharedUse struct {
	w   *Workload
	eff Effective
}

// placement checks what holds among the workloads that run in environment e.
func (v *validator) placement(e *Environment) {
	shared := map[addr.Resource]sharedUse{}
	routes := map[string]sharedUse{}
	missing := map[string]bool{}
	noIngress := false
	running := v.running(e)
	for _, w := range v.r.Workloads {
		if !running[w.Metadata.Name] {
			continue
		}
		over := e.Spec.Workloads[w.Metadata.Name]
		for _, name := range SortedKeys(w.Resources) {
			r := w.Resources[name]
			con, ok := v.c.Resource(r.Type)
			if !ok {
				continue
			}
			if !con.Spec.Native {
				v.module(e, con, over.Resources[name].Existing != nil, missing)
			}
			if r.Type == TypeService {
				v.callee(e, w, name, running)
			}
			overridden := over.Resources[name].Params != nil || e.Spec.Resources[r.Type].Params != nil
			needs := r.ID != "" || r.Type == TypeRoute || r.Type == TypeGPU || r.Type == TypeAutoscaler && overridden
			if !needs {
				continue
			}
			eff := EffectiveResource(v.c, e, w, name)
			switch {
			case r.Type == TypeRoute:
				if e.Spec.Ingress == nil && !noIngress {
					noIngress = true
					d := v.err(RuleNoIngress, e.Source.File, diag.P("spec"), "environment %q has no spec.ingress, but workload %q has a route", e.Metadata.Name, w.Metadata.Name)
					d.OnKey = true
					d.Remedy = "Add ingress: {domain: ...}."
				}
				v.route(e, w, eff, routes)
				v.gateway(e, w, eff)
			case r.Type == TypeGPU:
				v.accelerator(e, w, eff)
			case r.Type == TypeAutoscaler:
				v.scaling(e.Source.File, diag.P("spec", "workloads", w.Metadata.Name, "resources", name, "params"), eff.Params)
			}
			if r.ID != "" {
				v.shared(e, w, eff, shared)
			}
		}
	}
}

// running returns the names of the workloads that run in e.
func (v *validator) running(e *Environment) map[string]bool {
	out := map[string]bool{}
	if e.Spec.Cloud == CloudLocal {
		for _, n := range v.wnames {
			out[n] = true
		}
		return out
	}
	if rel, ok := v.r.Release(e.Metadata.Name); ok {
		for n := range maps.Keys(rel.Spec.Workloads) {
			out[n] = true
		}
	}
	return out
}

// module reports, once for each type, that a cloud has no module for it.
func (v *validator) module(e *Environment, con *Contract, existing bool, reported map[string]bool) {
	typ := con.Metadata.Name
	if existing || reported[typ] {
		return
	}
	if _, ok := v.c.ModuleFor(con, e.Spec.Cloud); ok {
		return
	}
	reported[typ] = true
	d := v.err(RuleNoModule, e.Source.File, diag.P("spec", "cloud"), "no module fulfils resource type %q in cloud %q", typ, e.Spec.Cloud)
	d.Remedy = "Name what exists already with spec.workloads.WORKLOAD.resources.NAME.existing, or write a module with a contract.yaml."
}

func (v *validator) callee(e *Environment, w *Workload, name string, running map[string]bool) {
	target, _ := w.Resources[name].Params["name"].(string)
	if _, known := v.workloads[target]; !known || running[target] {
		return
	}
	d := v.err(RuleNotReleased, w.Source.File, diag.P("resources", name, "params", "name"), "workload %q calls %q, which does not run in environment %q", w.Metadata.Name, target, e.Metadata.Name)
	d.Remedy = "Add " + target + " to releases/" + e.Metadata.Name + ".yaml, or remove the call."
}

// RouteHost returns the full host name of a route resource in environment e:
// names without a dot are put below the ingress domain of the route's class.
func RouteHost(e *Environment, w *Workload, eff Effective) string {
	host, _ := eff.Params["host"].(string)
	if parts, err := ParseTemplate(host); err == nil {
		host = expandMetadata(parts, w)
	}
	if host == "" {
		host = w.Metadata.Name
	}
	if strings.Contains(host, ".") || e.Spec.Ingress == nil {
		return host
	}
	if eff.Class == "internal" {
		return host + "." + e.Spec.Ingress.Internal()
	}
	return host + "." + e.Spec.Ingress.Domain
}

// Internal returns the domain of internal routes.
func (i Ingress) Internal() string {
	if i.InternalDomain != "" {
		return i.InternalDomain
	}
	return "internal." + i.Domain
}

func expandMetadata(parts []TemplatePart, w *Workload) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
		if len(p.Ref) > 1 && p.Ref[0] == "metadata" {
			s, _ := w.Metadata.Lookup(p.Ref[1:])
			b.WriteString(s)
		}
	}
	return b.String()
}

func (v *validator) route(e *Environment, w *Workload, eff Effective, seen map[string]sharedUse) {
	p, _ := eff.Params["path"].(string)
	if p == "" {
		p = "/"
	}
	key := RouteHost(e, w, eff) + p
	o, taken := seen[key]
	seen[key] = sharedUse{w, eff}
	if taken && !v.repeated(w, eff.Name) {
		d := v.err(RuleRouteConflict, w.Source.File, diag.P("resources", eff.Name), "route %s of environment %q is also taken by %s", key, e.Metadata.Name, o.w.Metadata.Name)
		d.OnKey = true
		d.Detail = "The other one is resource " + o.eff.Name + " in " + o.w.Source.File + "."
	}
}

// limited are the parameters of a route that only gateways of our own know.
var limited = []string{"maxRequestBytes", "rateLimit", "token"}

// gateway checks that the environment's gateways can do what a route asks of them.
func (v *validator) gateway(e *Environment, w *Workload, eff Effective) {
	class := e.GatewayClass()
	if e.Spec.Ingress == nil || class == config.GatewayClass {
		return
	}
	for _, name := range limited {
		if eff.Params[name] == nil || v.repeated(w, eff.Name+" "+name) {
			continue
		}
		d := v.err(RuleRouteGateway, w.Source.File, diag.P("resources", eff.Name), "gateways of class %q, as in environment %q, know no %s of routes", class, e.Metadata.Name, name)
		d.OnKey = true
		d.Detail = "A gateway that does not know it would let every request in."
		d.Remedy = "Leave it out, or have the environment's routes served by the class " + config.GatewayClass + "."
	}
}

func (v *validator) accelerator(e *Environment, w *Workload, eff Effective) {
	n, _ := Int(eff.Params["count"])
	if n == 0 || e.Spec.Cloud == CloudLocal || e.Spec.Cluster == nil || e.Spec.Cluster.Existing != nil {
		return
	}
	want, _ := eff.Params["model"].(string)
	var have []string
	for _, p := range e.Spec.Cluster.NodePools {
		if p.Accelerator != "" {
			have = append(have, p.Accelerator)
		}
	}
	if want == "" && len(have) > 0 || slices.Contains(have, want) {
		return
	}
	d := v.err(RuleNoAccelerator, e.Source.File, diag.P("spec", "cluster", "nodePools"), "no node pool of environment %q has the accelerator %q that workload %q asks for", e.Metadata.Name, want, w.Metadata.Name)
	d.OnKey = true
	d.Remedy = "Add a node pool with accelerator: " + want + ", or set resources: {gpu: {params: {count: 0}}} for this environment."
	if len(have) > 0 {
		d.Detail = "Accelerators here: " + joinComma(have) + "."
	}
}

// shared checks that workloads which share a resource ask for the same.
func (v *validator) shared(e *Environment, w *Workload, eff Effective, seen map[addr.Resource]sharedUse) {
	key := addr.Resource{Type: eff.Type, Class: eff.Class, ID: eff.ID}
	o, ok := seen[key]
	if !ok {
		seen[key] = sharedUse{w, eff}
		return
	}
	if reflect.DeepEqual(o.eff.Params, eff.Params) && reflect.DeepEqual(o.eff.Existing, eff.Existing) || v.repeated(w, eff.Name) {
		return
	}
	d := v.err(RuleResourceConflict, w.Source.File, diag.P("resources", eff.Name), "shared resource %s has other parameters here than in workload %q (environment %q)", key, o.w.Metadata.Name, e.Metadata.Name)
	d.OnKey = true
	d.Detail = "Workloads that name the same type, class and id share one resource; it can only have one set of parameters. See resource " + o.eff.Name + " in " + o.w.Source.File + "."
	d.Remedy = "Write the same parameters in both, or set them for the type in the environment."
}

// repeated reports whether a conflict of this resource was reported already,
// and remembers it.
func (v *validator) repeated(w *Workload, resource string) bool {
	key := w.Source.File + "#" + resource
	was := v.conflicts[key]
	v.conflicts[key] = true
	return was
}
