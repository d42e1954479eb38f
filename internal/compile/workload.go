package compile

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

// resolved is a resource of a workload with everything that placeholders can
// ask of it: an output is a literal, a reference to a unit or a secret's path.
type resolved struct {
	eff     model.Effective
	con     *model.Contract
	unit    addr.Unit      // zero for native and existing resources
	literal map[string]any // outputs known at compile time
	secret  map[string]string
}

// workloadUnits adds teams, shared resources, resources of workloads and
// workloads. Workloads that call each other need each other's ports, so the
// called ones are looked up in the model, not among units.
func (c *Compiled) workloadUnits() error {
	env := c.env.Metadata.Name
	byName := c.repo.WorkloadsByName()
	var names []string
	for _, n := range model.SortedKeys(byName) {
		if c.repo.Runs(c.env, n) {
			names = append(names, n)
		}
	}
	teams := map[string]bool{}
	calls, callers := map[string][]kube.Call{}, map[string][]kube.Call{}
	for _, n := range names {
		w := byName[n]
		teams[c.repo.OwningTeam(w)] = true
		var err error
		if calls[n], err = c.calls(w, byName); err != nil {
			return err
		}
		for _, call := range calls[n] {
			callers[call.Workload] = append(callers[call.Workload], kube.Call{
				Workload: n, Team: c.repo.OwningTeam(w), Port: call.Port, Target: call.Target, Protocol: call.Protocol, Place: call.Place,
			})
		}
	}
	for _, t := range model.SortedKeys(teams) {
		a := addr.Team(env, t)
		c.teams[a] = kube.Team{Addr: a, Name: t, Team: c.repo.Platform.Spec.Teams[t]}
		c.add(graph.Unit{
			Addr: a, Layer: model.LayerSecurity, Kind: graph.Kube, Team: t,
			DependsOn: c.have(addr.Foundation(env, "cluster"), addr.Platform(env, addonsUnit)),
		})
	}
	for _, n := range names {
		if err := c.workload(byName[n], calls[n], callers[n]); err != nil {
			return &WorkloadError{n, env, err}
		}
	}
	return nil
}

// calls lists the service resources of w as they are in this environment, in the order
// of their names. In the mesh each one that is no UDP is a port on loopback.
func (c *Compiled) calls(w *model.Workload, byName map[string]*model.Workload) ([]kube.Call, error) {
	var out []kube.Call
	listen := config.OutboundBase
	for _, name := range model.SortedKeys(w.Resources) {
		if w.Resources[name].Type != model.TypeService {
			continue
		}
		params := model.EffectiveResource(c.catalog, c.env, w, name).Params
		target := text(params, "name")
		o, ok := byName[target]
		if !ok {
			return nil, fmt.Errorf("workload %q calls %q, which does not exist", w.Metadata.Name, target)
		}
		port, err := o.Port(params["port"])
		if err != nil {
			return nil, err
		}
		p := o.Service.Ports[port]
		call := kube.Call{
			Resource: name, Workload: target, Team: c.repo.OwningTeam(o), Port: p.Port, Target: p.Target(), Protocol: or(p.Protocol, "TCP"),
			Place: slices.Index(model.SortedKeys(o.Service.Ports), port), Traffic: config.ProtocolHTTP,
		}
		if text(params, "protocol") == config.ProtocolTCP {
			call.Traffic = config.ProtocolTCP
		}
		if call.Protocol == "TCP" {
			call.Listen = listen
			listen++
		}
		out = append(out, call)
	}
	return out, nil
}

// broker tells the autoscaler of a workload which broker has the queue that it goes by.
func (c *Compiled) broker(x *expander, k *kube.Workload) error {
	if k.Autoscaler == nil || k.Autoscaler.QueueDepth == 0 {
		return nil
	}
	var brokers []string
	for _, name := range model.SortedKeys(x.resources) {
		if res := x.resources[name]; res.eff.Type == typeAMQP {
			brokers = append(brokers, name)
			if res.unit != (addr.Unit{}) {
				k.Autoscaler.Broker = config.BrokerLabel(res.unit.Name)
			}
		}
	}
	if len(brokers) > 1 {
		return fmt.Errorf("the horizontal-pod-autoscaler goes by the depth of the queue %q, but the workload has %d brokers: %s; queueDepth wants one", k.Autoscaler.Queue, len(brokers), strings.Join(brokers, ", "))
	}
	return nil
}

// queueURL gives a workload whose replicas KEDA has follow a queue the variable that says
// where that is.
func (c *Compiled) queueURL(x *expander, k *kube.Workload) error {
	if !c.kubeEnv.KEDA || k.Autoscaler == nil || k.Autoscaler.QueueDepth == 0 || len(k.Containers) == 0 {
		return nil
	}
	for _, name := range model.SortedKeys(x.resources) {
		if x.resources[name].eff.Type != typeAMQP {
			continue
		}
		ref := func(output string) string { return "${resources." + name + "." + output + "}" }
		url, err := x.expand("amqps://" + ref("username") + ":" + ref("password") + "@" + ref("host") + ":" + ref("port") + "/" + ref("vhost"))
		if err != nil {
			return err
		}
		vars := &k.Containers[0].Variables
		at, found := slices.BinarySearchFunc(*vars, kube.QueueVariable, func(v kube.Variable, name string) int { return strings.Compare(v.Name, name) })
		if found {
			return fmt.Errorf("container %q: the variable %s is the platform's", k.Containers[0].Name, kube.QueueVariable)
		}
		*vars = slices.Insert(*vars, at, kube.Variable{Name: kube.QueueVariable, Value: url})
		return nil
	}
	return fmt.Errorf("the horizontal-pod-autoscaler goes by the depth of the queue %q, and the workload has no resource of type %s", k.Autoscaler.Queue, typeAMQP)
}

// typeAMQP is the type of brokers whose queues an autoscaler can go by.
const typeAMQP = "amqp"

func compareCalls(a, b kube.Call) int {
	return cmp.Or(strings.Compare(a.Workload, b.Workload), cmp.Compare(a.Place, b.Place))
}

func (c *Compiled) workload(w *model.Workload, calls, callers []kube.Call) error {
	env, name, team := c.env.Metadata.Name, w.Metadata.Name, c.repo.OwningTeam(w)
	a := addr.Workload(env, name)
	k := &kube.Workload{
		Addr: a, Name: name, Team: team, Annotations: w.Metadata.Annotations,
		Replicas: c.env.Spec.Workloads[name].Replicas, Calls: calls,
	}
	slices.SortFunc(callers, compareCalls)
	k.Callers = slices.Compact(callers)
	if w.Service != nil {
		for _, pn := range model.SortedKeys(w.Service.Ports) {
			p := w.Service.Ports[pn]
			k.Ports = append(k.Ports, kube.Port{Name: pn, Port: p.Port, Target: p.Target(), Protocol: or(p.Protocol, "TCP")})
		}
	}
	x := &expander{c: c, w: w, resources: map[string]*resolved{}, used: map[kube.Output]bool{}}
	// The unit of admission rules is added last, since it knows all images.
	depends := append(c.have(addr.Team(env, team), addr.Foundation(env, "cluster")), addr.Platform(env, policyUnit))
	for _, rn := range x.order() {
		res, err := c.resource(x, k, rn)
		if err != nil {
			return fmt.Errorf("resource %q: %w", rn, err)
		}
		x.resources[rn] = res
		if res.unit != (addr.Unit{}) {
			depends = append(depends, res.unit)
		}
	}
	if k.Meshed(c.kubeEnv) {
		depends = append(depends, c.have(addr.Platform(env, meshUnit))...)
	}
	if err := c.broker(x, k); err != nil {
		return err
	}
	if len(k.Routes) > 0 {
		depends = append(depends, c.have(addr.Platform(env, "gateway"))...)
	}
	for _, cn := range model.SortedKeys(w.Containers) {
		kc, err := c.container(x, cn)
		if err != nil {
			return fmt.Errorf("container %q: %w", cn, err)
		}
		k.Containers = append(k.Containers, kc)
	}
	if err := c.queueURL(x, k); err != nil {
		return err
	}
	k.Outputs = x.outputs()
	c.workloads[a] = k
	bindings, err := c.bindings(x, k)
	if err != nil {
		return err
	}
	c.add(graph.Unit{
		Addr: a, Layer: model.LayerRuntime, Kind: graph.Kube, Team: team, Workload: name,
		DependsOn: depends, Bindings: bindings,
	})
	return nil
}

// bindings says which outputs the engine puts where the workload finds them.
func (c *Compiled) bindings(x *expander, k *kube.Workload) ([]graph.Binding, error) {
	var out []graph.Binding
	for _, o := range k.Outputs {
		if o.Secret && c.env.Spec.Cloud != model.CloudLocal {
			continue // fetched by the cluster, from the central secrets service
		}
		b := graph.Binding{Kind: "ConfigMap", Namespace: k.Team, Name: kube.OutputsName(k.Name), Key: o.Key(), Ref: c.reference(x, k, o)}
		if o.Secret {
			b.Kind, b.Name, b.SecretPath = "Secret", kube.SecretsName(k.Name), o.SecretPath
		}
		out = append(out, b)
	}
	if !mixesOutputs(k) {
		return out, nil
	}
	r, err := kube.RenderWorkload(c.kubeEnv, *k)
	if err != nil {
		return nil, err
	}
	for _, t := range r.Templates {
		b := graph.Binding{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, Key: t.Key, GoTemplate: t.GoTemplate}
		if b.Template, err = c.templateParts(x, k, t); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// mixesOutputs reports whether a file of the workload holds text and outputs:
// only then is there a template to bind.
func mixesOutputs(k *kube.Workload) bool {
	for _, ct := range k.Containers {
		for _, f := range ct.Files {
			if len(f.Content) > 1 && slices.ContainsFunc(f.Content, func(p kube.Part) bool { return p.Output != nil }) {
				return true
			}
		}
	}
	return false
}

// templateParts turns a template into references and text. Secrets that the
// cluster fills in are text: the template expression that names them.
func (c *Compiled) templateParts(x *expander, k *kube.Workload, t kube.Template) ([]graph.TemplatePart, error) {
	var out []graph.TemplatePart
	var run []kube.Part
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		text, err := kube.Template{Kind: t.Kind, Name: t.Name, Key: t.Key, Parts: run, GoTemplate: t.GoTemplate}.Expand(nil)
		out, run = append(out, graph.TemplatePart{Text: text}), nil
		return err
	}
	for _, p := range t.Parts {
		if p.Output == nil || p.Output.Secret && t.GoTemplate {
			run = append(run, p)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		out = append(out, graph.TemplatePart{Ref: c.reference(x, k, *p.Output), SecretPath: p.Output.SecretPath})
	}
	return out, flush()
}

// reference names the unit that an output comes from. Secrets that no unit
// makes come from the central secrets service itself.
func (c *Compiled) reference(x *expander, k *kube.Workload, o kube.Output) *graph.Ref {
	res := x.resources[o.Resource]
	ref := &graph.Ref{Unit: res.unit, Output: o.Name, Type: res.con.Spec.Outputs[o.Name].Type, Secret: o.Secret}
	if res.unit == (addr.Unit{}) {
		ref.Unit = addr.Platform(k.Addr.Env, "secrets")
	}
	return ref
}

func (c *Compiled) container(x *expander, name string) (kube.Container, error) {
	m := x.w.Containers[name]
	over := c.env.Spec.Workloads[x.w.Metadata.Name].Containers[name]
	k := kube.Container{
		Name: name, Image: c.image(x.w, name), Command: m.Command, Args: m.Args,
		Liveness: m.LivenessProbe, Readiness: m.ReadinessProbe, Before: m.Before,
	}
	if m.Resources != nil {
		k.Resources = *m.Resources
	}
	if over.Resources != nil {
		k.Resources = *over.Resources
	}
	vars := map[string]string{}
	for _, set := range []map[string]string{m.Variables, over.Variables} {
		for key, v := range set {
			vars[key] = v
		}
	}
	for _, key := range model.SortedKeys(vars) {
		parts, err := x.expand(vars[key])
		if err != nil {
			return k, fmt.Errorf("variable %q: %w", key, err)
		}
		k.Variables = append(k.Variables, kube.Variable{Name: key, Value: parts})
	}
	for _, target := range model.SortedKeys(m.Files) {
		f, err := x.file(target, m.Files[target])
		if err != nil {
			return k, fmt.Errorf("file %q: %w", target, err)
		}
		k.Files = append(k.Files, f)
	}
	for _, target := range model.SortedKeys(m.Volumes) {
		v := m.Volumes[target]
		res, ok := v.Resource()
		if !ok {
			return k, fmt.Errorf("volume %q: source %q names no resource", target, v.Source)
		}
		k.Mounts = append(k.Mounts, kube.Mount{Path: path.Clean(target), SubPath: v.Path, Volume: res, ReadOnly: v.ReadOnly})
	}
	return k, nil
}

// image chooses a container's image: the release's, the Score file's, or, on
// one's own machine, the one that the platform builds.
func (c *Compiled) image(w *model.Workload, container string) string {
	if rel, ok := c.repo.Release(c.env.Metadata.Name); ok {
		if img := rel.Spec.Workloads[w.Metadata.Name].Images[container]; img != "" {
			return img
		}
	}
	if img := w.Containers[container].Image; img != model.BuiltImage {
		return img
	}
	return BuiltImageName(w.Metadata.Name, container)
}

// BuiltImageName is the name of the image that the platform builds for a
// container from its workload's folder, for use on the machine that built it.
func BuiltImageName(workload, container string) string {
	return localRegistry + workload + "/" + container + ":built"
}

// platformImages returns the images of the proxies and of the control plane: those of the
// release or, on one's own machine, those that the platform builds. They are empty where
// the environment has neither, and in a cloud environment without a release, where no
// workload runs.
func platformImages(repo *model.Repository, e *model.Environment) (proxy, control string) {
	rel, ok := repo.Release(e.Metadata.Name)
	switch {
	case !e.ControlPlane():
		return "", ""
	case ok && rel.Spec.Platform != nil:
		return rel.Spec.Platform.Proxy, rel.Spec.Platform.Control
	case e.Spec.Cloud == model.CloudLocal:
		return localRegistry + "proxy:built", localRegistry + "control:built"
	}
	return "", ""
}
