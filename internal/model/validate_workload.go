package model

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/suggest"
)

// Resource types that Strata itself gives a meaning in Kubernetes.
const (
	TypeService    = "service"
	TypeRoute      = "route"
	TypeSecret     = "secret"
	TypeVolume     = "volume"
	TypeAutoscaler = "horizontal-pod-autoscaler"
	TypeSchedule   = "schedule"
	TypeGPU        = "gpu"
)

func (v *validator) workload(w *Workload) {
	file := w.Source.File
	v.team(w)
	v.annotations(w)
	for _, name := range SortedKeys(w.Containers) {
		v.container(w, name)
	}
	v.beforeCycles(w)
	v.ports(w)
	v.reservedPorts(w)
	v.reservedNames(w)
	byType := map[string][]string{}
	for _, name := range SortedKeys(w.Resources) {
		r, at := w.Resources[name], diag.P("resources", name)
		con, ok := v.c.Resource(r.Type)
		if !ok {
			v.unknownType(file, at.With("type"), r.Type)
			continue
		}
		byType[r.Type] = append(byType[r.Type], name)
		v.class(file, at.With("class"), r.Type, r.Class)
		v.params(file, at.With("params"), r.Type, r.Params, true)
		for _, k := range SortedKeys(r.Params) {
			v.paramTemplates(w, at.With("params", k), r.Params[k], !con.Spec.Native)
		}
		if con.Spec.Native {
			v.native(w, name)
		}
	}
	v.single(w, byType)
}

// native checks the types that Strata itself gives a meaning.
func (v *validator) native(w *Workload, name string) {
	r, at := w.Resources[name], diag.P("resources", name, "params")
	switch r.Type {
	case TypeService:
		v.call(w, r, at)
	case TypeRoute:
		v.portParam(w.Source.File, at, w, r.Params["port"], "")
	case TypeAutoscaler:
		p := v.c.Defaults(r.Type)
		merged := map[string]any{}
		merge(merged, p)
		merge(merged, r.Params)
		v.scaling(w.Source.File, at, merged)
	}
}

func (v *validator) scaling(file string, at diag.Path, params map[string]any) {
	lo, ok1 := Int(params["min"])
	hi, ok2 := Int(params["max"])
	if ok1 && ok2 && lo > hi {
		v.err(RuleScalingBounds, file, at.With("max"), "max %d is less than min %d", hi, lo)
	}
}

// call checks a service resource: the other workload and its port.
func (v *validator) call(w *Workload, r Resource, at diag.Path) {
	target, _ := r.Params["name"].(string)
	if target == "" || strings.Contains(target, "${") {
		return
	}
	o, ok := v.workloads[target]
	if !ok {
		if !v.r.Broken["Workload/"+target] {
			v.unknown(RuleUnknownWorkload, w.Source.File, at.With("name"), "workload", target, v.wnames)
		}
		return
	}
	v.portParam(w.Source.File, at, o, r.Params["port"], target)
}

// portParam checks a port given by name or number against the ports of o.
func (v *validator) portParam(file string, at diag.Path, o *Workload, port any, target string) {
	if _, err := o.Port(port); err != nil {
		path := at.With("port")
		d := v.err(RuleUnknownPort, file, path, "%v", err)
		if o.Service != nil {
			names := SortedKeys(o.Service.Ports)
			if s, ok := port.(string); ok {
				if near := suggest.Nearest(s, names); near != "" {
					d.Remedy = fmt.Sprintf("Did you mean %q?", near)
					return
				}
			}
			if len(names) > 0 {
				d.Remedy = fmt.Sprintf("Ports of %s: %s.", o.Metadata.Name, joinComma(names))
				return
			}
		}
		d.Remedy = fmt.Sprintf("Add the port under service.ports of workload %q.", o.Metadata.Name)
	}
}

// Port finds a port of the workload by name or number; nil means the only one.
// The error says why there is none.
func (w *Workload) Port(want any) (name string, err error) {
	var ports map[string]ServicePort
	if w.Service != nil {
		ports = w.Service.Ports
	}
	names := SortedKeys(ports)
	if want == nil {
		if len(names) == 1 {
			return names[0], nil
		}
		return "", fmt.Errorf("workload %q has %d ports, so a port must be named", w.Metadata.Name, len(names))
	}
	if s, ok := want.(string); ok {
		if _, ok := ports[s]; ok {
			return s, nil
		}
	}
	if n, ok := Int(want); ok {
		for _, name := range names {
			if ports[name].Port == n {
				return name, nil
			}
		}
	}
	return "", fmt.Errorf("workload %q has no port %v", w.Metadata.Name, want)
}

// OwningTeam returns the team that owns the workload: the one it names, or the
// platform's only one.
func (r *Repository) OwningTeam(w *Workload) string {
	if w.Metadata.Team == "" && r.Platform != nil && len(r.Platform.Spec.Teams) == 1 {
		return SortedKeys(r.Platform.Spec.Teams)[0]
	}
	return w.Metadata.Team
}

func (v *validator) team(w *Workload) {
	if v.r.Platform == nil {
		return
	}
	team := v.r.OwningTeam(w)
	if team == "" {
		d := v.err(RuleUnknownTeam, w.Source.File, diag.P("metadata"), "workload %q names no team", w.Metadata.Name)
		d.OnKey = true
		d.Detail = "A workload lives in its team's namespace."
		d.Remedy = "Add metadata.team; teams: " + joinComma(v.teams) + "."
		return
	}
	if !slices.Contains(v.teams, team) {
		v.unknown(RuleUnknownTeam, w.Source.File, diag.P("metadata", "team"), "team", team, v.teams)
	}
}

// annotations are copied to objects that everybody may read.
func (v *validator) annotations(w *Workload) {
	for _, k := range SortedKeys(w.Metadata.Annotations) {
		v.template(w.Source.File, diag.P("metadata", "annotations", k), w, w.Metadata.Annotations[k], literal)
	}
}

func (v *validator) ports(w *Workload) {
	if w.Service == nil {
		return
	}
	seen := map[string]string{}
	for _, name := range SortedKeys(w.Service.Ports) {
		p := w.Service.Ports[name]
		proto := p.Protocol
		if proto == "" {
			proto = "TCP"
		}
		key := fmt.Sprintf("%s %d", proto, p.Port)
		if first, ok := seen[key]; ok {
			v.err(RulePortConflict, w.Source.File, diag.P("service", "ports", name, "port"), "ports %q and %q are both %s", first, name, key)
		}
		seen[key] = name
	}
}

// single checks types of which a workload has at most one, and those that
// exclude each other.
func (v *validator) single(w *Workload, byType map[string][]string) {
	for _, typ := range []string{TypeAutoscaler, TypeSchedule, TypeGPU} {
		if names := byType[typ]; len(names) > 1 {
			d := v.err(RuleScheduleConflict, w.Source.File, diag.P("resources", names[1]), "workload %q has %d resources of type %s", w.Metadata.Name, len(names), typ)
			d.OnKey = true
			d.Remedy = "Keep one."
		}
	}
	if len(byType[TypeSchedule]) > 0 {
		for _, typ := range []string{TypeAutoscaler, TypeRoute} {
			if names := byType[typ]; len(names) > 0 {
				d := v.err(RuleScheduleConflict, w.Source.File, diag.P("resources", names[0]), "a workload with a schedule cannot have a %s", typ)
				d.OnKey = true
				d.Detail = "It runs to its end as a CronJob; nothing can call or scale it meanwhile."
			}
		}
	}
	if scalers := byType[TypeAutoscaler]; len(scalers) > 0 {
		for _, name := range byType[TypeVolume] {
			p := w.Resources[name].Params
			mode, _ := p["accessMode"].(string)
			eph, _ := p["ephemeral"].(bool)
			if mode != "ReadWriteMany" && !eph {
				d := v.err(RuleVolumeScaling, w.Source.File, diag.P("resources", name), "volume %q can be mounted by one pod only, but %q scales the workload", name, scalers[0])
				d.OnKey = true
				d.Remedy = "Use accessMode: ReadWriteMany or ephemeral: true, or remove the autoscaler."
			}
		}
	}
}

func (v *validator) class(file string, at diag.Path, typ, class string) {
	con, ok := v.c.Resource(typ)
	if class == "" || !ok || len(con.Spec.Classes) == 0 || slices.Contains(con.Spec.Classes, class) {
		return
	}
	v.unknown(RuleUnknownClass, file, at, "class of "+typ, class, con.Spec.Classes)
}

func (v *validator) params(file string, at diag.Path, typ string, params map[string]any, complete bool) {
	problems := v.c.ValidateParams(typ, params)
	if !complete {
		problems = slices.DeleteFunc(problems, func(p Problem) bool { return p.Missing })
	}
	v.problems(RuleInvalidParams, file, at, problems)
}

func (v *validator) container(w *Workload, name string) {
	c, at, file := w.Containers[name], diag.P("containers", name), w.Source.File
	for _, k := range SortedKeys(c.Variables) {
		v.template(file, at.With("variables", k), w, c.Variables[k], expanded)
	}
	v.template(file, at.With("image"), w, c.Image, literal)
	for i, s := range c.Command {
		v.template(file, at.With("command", i), w, s, literal)
	}
	for i, s := range c.Args {
		v.template(file, at.With("args", i), w, s, literal)
	}
	for _, target := range SortedKeys(c.Files) {
		v.file(w, at.With("files", target), target, c.Files[target])
	}
	for _, target := range SortedKeys(c.Volumes) {
		v.mount(w, at.With("volumes", target), target, c.Volumes[target])
	}
	v.limits(file, at.With("resources"), c.Resources)
	v.probe(w, at.With("livenessProbe"), c.LivenessProbe)
	v.probe(w, at.With("readinessProbe"), c.ReadinessProbe)
}

func (v *validator) absolute(rule, file string, at diag.Path, target string) {
	if !strings.HasPrefix(target, "/") || slices.Contains(strings.Split(target, "/"), "..") || target == "/" {
		v.err(rule, file, at, "%q is not an absolute path within the container", target).OnKey = true
	}
}

func (v *validator) file(w *Workload, at diag.Path, target string, f ContainerFile) {
	v.absolute(RuleFileContent, w.Source.File, at, target)
	given := 0
	for _, b := range []bool{f.Source != "", f.Content != nil, f.BinaryContent != nil} {
		if b {
			given++
		}
	}
	if given != 1 {
		d := v.err(RuleFileContent, w.Source.File, at, "file %q needs exactly one of source, content and binaryContent; %d are given", target, given)
		d.OnKey = true
		return
	}
	if f.BinaryContent != nil {
		if _, err := f.Bytes(); err != nil {
			v.err(RuleFileContent, w.Source.File, at.With("binaryContent"), "binaryContent is not base64: %v", err)
		}
		return
	}
	if f.NoExpand {
		return
	}
	text, path := string(f.Data), at.With("source")
	if f.Content != nil {
		text, path = *f.Content, at.With("content")
	}
	v.template(w.Source.File, path, w, text, expanded)
}

func (v *validator) mount(w *Workload, at diag.Path, target string, m ContainerVolume) {
	v.absolute(RuleVolumeSource, w.Source.File, at, target)
	res, ok := m.Resource()
	if !ok {
		d := v.err(RuleVolumeSource, w.Source.File, at.With("source"), "volume source %q names no volume resource", m.Source)
		d.Remedy = "Declare a resource of type volume and write ${resources.NAME}."
		return
	}
	r, ok := w.Resources[res]
	if !ok {
		v.unknown(RuleUnknownResource, w.Source.File, at.With("source"), "resource", res, SortedKeys(w.Resources))
		return
	}
	if r.Type != TypeVolume {
		v.err(RuleVolumeSource, w.Source.File, at.With("source"), "resource %q is of type %s; only a volume can be mounted", res, r.Type)
	}
}

func (v *validator) probe(w *Workload, at diag.Path, p *Probe) {
	if p == nil {
		return
	}
	if p.HTTPGet == nil && p.Exec == nil {
		v.err(RuleProbe, w.Source.File, at, "the probe needs httpGet or exec").OnKey = true
	}
	if p.Exec != nil && len(p.Exec.Command) == 0 {
		v.err(RuleProbe, w.Source.File, at.With("exec", "command"), "the probe's command is empty")
	}
	if p.HTTPGet != nil {
		v.template(w.Source.File, at.With("httpGet", "path"), w, p.HTTPGet.Path, literal)
		for i, h := range p.HTTPGet.Headers {
			v.template(w.Source.File, at.With("httpGet", "httpHeaders", i, "value"), w, h.Value, literal)
		}
	}
}

// limits checks that limits are not below requests.
func (v *validator) limits(file string, at diag.Path, r *ContainerResources) {
	if r == nil || r.Limits == nil || r.Requests == nil {
		return
	}
	for _, q := range []struct{ name, limit, request string }{
		{"cpu", r.Limits.CPU, r.Requests.CPU},
		{"memory", r.Limits.Memory, r.Requests.Memory},
	} {
		if q.limit == "" || q.request == "" {
			continue
		}
		limit, err1 := Quantity(q.limit)
		request, err2 := Quantity(q.request)
		if err1 == nil && err2 == nil && limit.Cmp(request) < 0 {
			v.err(RuleLimits, file, at.With("limits", q.name), "the %s limit %s is below the request %s", q.name, q.limit, q.request)
		}
	}
}

// Quantity reads an amount of CPU or memory. Score writes a kilobyte as K where
// Kubernetes writes k.
func Quantity(s string) (resource.Quantity, error) {
	if strings.HasSuffix(s, "K") {
		s = strings.TrimSuffix(s, "K") + "k"
	}
	return resource.ParseQuantity(s)
}

// beforeCycles checks Score's "before": containers that exist, in no circle.
func (v *validator) beforeCycles(w *Workload) {
	names := SortedKeys(w.Containers)
	state := map[string]int{}
	var visit func(name string, chain []string)
	visit = func(name string, chain []string) {
		state[name] = 1
		chain = append(chain, name)
		for _, next := range SortedKeys(w.Containers[name].Before) {
			at := diag.P("containers", name, "before", next)
			if _, ok := w.Containers[next]; !ok {
				v.unknown(RuleUnknownContainer, w.Source.File, at, "container", next, names).OnKey = true
				continue
			}
			switch state[next] {
			case 0:
				visit(next, chain)
			case 1:
				d := v.err(RuleBeforeCycle, w.Source.File, at, "containers wait for each other in a circle: %s → %s", strings.Join(chain[slices.Index(chain, next):], " → "), next)
				d.OnKey = true
			}
		}
		state[name] = 2
	}
	for _, name := range names {
		if state[name] == 0 {
			visit(name, nil)
		}
	}
}

func joinComma(names []string) string { return strings.Join(names, ", ") }
