package check

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/graph"
	"github.com/stratahq/strata/internal/manifest"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/par"
	"github.com/stratahq/strata/internal/policy"
)

// Compile compiles one environment. The diagnostics must hold no error.
func (r *Result) Compile(env string) (*compile.Compiled, error) {
	if r.Diagnostics.HasErrors() {
		return nil, fmt.Errorf("the description has errors; run strata check")
	}
	return compile.Compile(r.Model, r.Catalog, env)
}

// Judged is what the policies say of some environments.
type Judged struct {
	Findings []policy.Finding
	// Diagnostics are about workloads that are valid but that Kubernetes cannot
	// express; their environments were not judged to the end.
	Diagnostics diag.List
	// Objects is how many Kubernetes objects were judged, Units how many units
	// there are, in all environments.
	Objects, Units int
}

// chunk is how many workloads are judged as one piece of parallel work.
const chunk = 256

// Judge compiles the environments and runs every policy over the model and the
// objects. today decides which exceptions have expired.
func (r *Result) Judge(ctx context.Context, today time.Time, envs ...string) (Judged, error) {
	parts := make([]Judged, len(envs))
	err := par.Each(ctx, len(envs), func(i int) error {
		var err error
		parts[i], err = r.judgeEnvironment(ctx, envs[i])
		var we *compile.WorkloadError
		if errors.As(err, &we) {
			parts[i].Diagnostics.Add(r.inexpressible(we))
			return nil
		}
		return err
	})
	if err != nil {
		return Judged{}, err
	}
	var out Judged
	for _, p := range parts {
		out.Findings = append(out.Findings, p.Findings...)
		out.Diagnostics.Add(p.Diagnostics...)
		out.Objects += p.Objects
		out.Units += p.Units
	}
	scope := policy.Scope{Stages: []policy.Stage{policy.StageModel, policy.StageObjects}, Environments: envs}
	out.Findings = unique(r.Policy.Except(out.Findings, r.Model.Exceptions, scope, today.Format(time.DateOnly)))
	r.locate(out.Findings)
	return out, nil
}

// locate fills in the lines of findings that say which value of a file they
// are about.
func (r *Result) locate(fs []policy.Finding) {
	var list diag.List
	var which []int
	for i, f := range fs {
		if f.File != "" && f.Line == 0 && f.Path != "" {
			list.Add(f.Diagnostic())
			which = append(which, i)
		}
	}
	manifest.Locate(list, r.Repo.Read)
	for j, i := range which {
		fs[i].Line = list[j].Range.Start.Line
	}
}

// RuleInexpressible is about a workload that is valid Score but that Kubernetes
// cannot express.
const RuleInexpressible = "not-expressible"

func (r *Result) inexpressible(e *compile.WorkloadError) diag.Diagnostic {
	d := diag.Diagnostic{Severity: diag.Error, Rule: RuleInexpressible, Summary: e.Error(), Path: diag.P("metadata", "name")}
	if w := r.Model.WorkloadsByName()[e.Workload]; w != nil {
		d.File = w.Source.File
	}
	list := diag.List{d}
	manifest.Locate(list, r.Repo.Read)
	return list[0]
}

func (r *Result) judgeEnvironment(ctx context.Context, env string) (Judged, error) {
	c, err := r.Compile(env)
	if err != nil {
		return Judged{}, err
	}
	out := Judged{Units: len(c.Graph.Units)}
	about, err := r.judgeModel(ctx, env)
	if err != nil {
		return Judged{}, err
	}
	within, objects, err := r.judgeObjects(ctx, c, env)
	if err != nil {
		return Judged{}, err
	}
	out.Objects = objects
	out.Findings = append(about, within...)
	return out, nil
}

// judgeModel judges the platform, the environment and its workloads.
func (r *Result) judgeModel(ctx context.Context, name string) ([]policy.Finding, error) {
	e, _ := r.Model.Environment(name)
	var works []policy.WorkloadInput
	for _, w := range r.Model.Workloads {
		if r.Model.Runs(e, w.Metadata.Name) {
			works = append(works, policy.WorkloadInput{Workload: w})
		}
	}
	pieces := max(1, (len(works)+chunk-1)/chunk)
	found := make([][]policy.Finding, pieces)
	err := par.Each(ctx, pieces, func(i int) error {
		part := works[i*chunk : min(len(works), (i+1)*chunk)]
		for j := range part {
			w := *part[j].Workload
			w.Metadata.Team = r.Model.OwningTeam(&w)
			part[j] = policy.WorkloadInput{Workload: &w, Resources: r.merged(e, &w)}
		}
		var err error
		found[i], err = r.Policy.Model(ctx, policy.ModelInput{
			Platform:     r.Model.Platform,
			Environments: []policy.EnvironmentInput{{Environment: e, Workloads: part}},
		})
		return err
	})
	return flatten(found), err
}

// merged returns a workload's resources as they are in an environment.
func (r *Result) merged(e *model.Environment, w *model.Workload) map[string]model.Resource {
	out := make(map[string]model.Resource, len(w.Resources))
	for name, res := range w.Resources {
		eff := model.EffectiveResource(r.Catalog, e, w, name)
		res.Class, res.Params = eff.Class, eff.Params
		out[name] = res
	}
	return out
}

// judgeObjects renders every kube unit and judges its objects.
func (r *Result) judgeObjects(ctx context.Context, c *compile.Compiled, env string) ([]policy.Finding, int, error) {
	e, _ := r.Model.Environment(env)
	facts := policy.EnvironmentOf(e)
	var units []graph.Unit
	for _, u := range c.Graph.Units {
		if u.Kind == graph.Kube && !u.Existing {
			units = append(units, u)
		}
	}
	found := make([][]policy.Finding, len(units))
	counts := make([]int, len(units))
	err := par.Each(ctx, len(units), func(i int) error {
		u := units[i]
		objs, err := c.Objects(u)
		if err != nil {
			return err
		}
		counts[i] = len(objs)
		judged := make([]any, len(objs))
		for j, o := range objs {
			judged[j] = o
		}
		found[i], err = r.Policy.Objects(ctx, policy.ObjectContext{Environment: &facts, Unit: u.Addr, Layer: u.Layer}, judged...)
		return err
	})
	objects := 0
	for _, n := range counts {
		objects += n
	}
	return flatten(found), objects, err
}

func flatten(lists [][]policy.Finding) []policy.Finding {
	var out []policy.Finding
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// unique drops repetitions: the platform and the environment are judged with
// every piece of work. The findings are sorted, so equal ones stand together.
func unique(fs []policy.Finding) []policy.Finding {
	out := fs[:0]
	for i, f := range fs {
		if i == 0 || !reflect.DeepEqual(f, fs[i-1]) {
			out = append(out, f)
		}
	}
	return out
}
