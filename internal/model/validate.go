package model

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/diag"
	"github.com/stratahq/strata/internal/par"
	"github.com/stratahq/strata/internal/suggest"
)

// validator checks a repository. It holds indexes that several checks share.
type validator struct {
	r         *Repository
	c         Contracts
	list      diag.List
	workloads map[string]*Workload
	envs      []string
	teams     []string
	wnames    []string
	// conflicts that were reported: another environment would repeat them.
	conflicts map[string]bool
}

// Validate checks what must hold across the repository's documents. It returns
// diagnostics that name files and paths; places are filled in by the caller. In
// what order the documents stand makes no difference.
func (r *Repository) Validate(c Contracts) diag.List {
	r = r.byFile()
	v := &validator{r: r, c: c, workloads: r.WorkloadsByName(), conflicts: map[string]bool{}, envs: r.EnvironmentNames()}
	v.wnames = SortedKeys(v.workloads)
	if r.Platform != nil {
		v.teams = SortedKeys(r.Platform.Spec.Teams)
		v.platform(r.Platform)
	}
	v.duplicates()
	for _, e := range r.Environments {
		v.environment(e)
	}
	v.accounts()
	v.networks()
	v.promotions()
	v.eachWorkload()
	for _, rel := range r.Releases {
		v.release(rel)
	}
	for _, e := range r.Environments {
		v.placement(e)
	}
	v.exceptions()
	return v.list
}

// eachWorkload checks the workloads by themselves, on all cores: what is said
// about one does not depend on the others' diagnostics, and the indexes are
// only read.
func (v *validator) eachWorkload() {
	lists := make([]diag.List, len(v.r.Workloads))
	// The context never ends and the function never fails.
	_ = par.Each(context.Background(), len(lists), func(i int) error {
		one := *v
		one.list = nil
		one.workload(v.r.Workloads[i])
		lists[i] = one.list
		return nil
	})
	for _, l := range lists {
		v.list.Add(l...)
	}
}

// byFile returns r with its documents in the order of their files: of two that are
// in conflict the later file is the one that is reported.
func (r *Repository) byFile() *Repository {
	out := *r
	out.Environments = slices.SortedStableFunc(slices.Values(r.Environments), func(a, b *Environment) int { return strings.Compare(a.Source.File, b.Source.File) })
	out.Workloads = slices.SortedStableFunc(slices.Values(r.Workloads), func(a, b *Workload) int { return strings.Compare(a.Source.File, b.Source.File) })
	out.Releases = slices.SortedStableFunc(slices.Values(r.Releases), func(a, b *Release) int { return strings.Compare(a.Source.File, b.Source.File) })
	return &out
}

func (v *validator) err(rule, file string, path diag.Path, format string, args ...any) *diag.Diagnostic {
	return v.list.Errorf(rule, file, path, format, args...)
}

// unknown reports a reference to something that is not there, with the nearest
// right spelling or the list of what is.
func (v *validator) unknown(rule, file string, path diag.Path, what, name string, known []string) *diag.Diagnostic {
	d := v.err(rule, file, path, "there is no %s %q", what, name)
	if part, owner, ok := strings.Cut(what, " of "); ok {
		d.Summary = fmt.Sprintf("%s has no %s %q", owner, part, name)
	}
	switch near := suggest.Nearest(name, known); {
	case near != "":
		d.Remedy = fmt.Sprintf("Did you mean %q?", near)
	case len(known) == 0:
		d.Remedy = fmt.Sprintf("There is no %s yet.", what)
	case len(known) <= 30:
		d.Remedy = fmt.Sprintf("Known: %s.", strings.Join(known, ", "))
	}
	return d
}

func (v *validator) platform(p *Platform) {
	file := p.Source.File
	for i, a := range p.Spec.Access {
		for j, t := range a.Teams {
			if !slices.Contains(v.teams, t) {
				v.unknown(RuleUnknownTeam, file, diag.P("spec", "access", i, "teams", j), "team", t, v.teams)
			}
		}
		for j, e := range a.Environments {
			v.envRef(file, diag.P("spec", "access", i, "environments", j), e)
		}
	}
	for _, t := range v.teams {
		if t == "default" || t == "kube" || strings.HasPrefix(t, "kube-") || strings.HasPrefix(t, "strata-") || strings.HasPrefix(t, "istio-") {
			d := v.err(RuleReservedName, file, diag.P("spec", "teams", t), "team %q would own a namespace that the platform or Kubernetes itself uses", t)
			d.OnKey = true
			d.Remedy = "Choose a name that is not \"default\" and does not start with kube-, strata- or istio-."
		}
	}
}

func (v *validator) envRef(file string, path diag.Path, name string) {
	if !slices.Contains(v.envs, name) && !v.r.Broken["Environment/"+name] {
		v.unknown(RuleUnknownEnv, file, path, "environment", name, v.envs)
	}
}

// duplicates finds documents of one kind with one name.
func (v *validator) duplicates() {
	seen := map[string]string{}
	check := func(kind, name, file string) {
		key := kind + "/" + name
		if first, ok := seen[key]; ok {
			d := v.err(RuleDuplicateName, file, diag.P("metadata", "name"), "there are two %ss named %q", kind, name)
			d.Detail = "The other one is " + first + "."
			d.Remedy = "Rename one of them."
			return
		}
		seen[key] = file
	}
	for _, e := range v.r.Environments {
		check("environment", e.Metadata.Name, e.Source.File)
	}
	for _, w := range v.r.Workloads {
		check("workload", w.Metadata.Name, w.Source.File)
	}
	for _, rel := range v.r.Releases {
		check("release", rel.Metadata.Name, rel.Source.File)
	}
}

// networks finds overlapping ranges among the environments of one cloud.
func (v *validator) networks() {
	type net struct {
		env    *Environment
		prefix netip.Prefix
	}
	byCloud := map[string][]net{}
	for _, e := range v.r.Environments {
		if e.Spec.Network == nil {
			continue
		}
		cidr, path := e.Spec.Network.CIDR, diag.P("spec", "network", "cidr")
		if cidr == "" {
			// An existing network may say its range; it can overlap all the same.
			cidr, _ = e.Spec.Network.Existing["cidr"].(string)
			path = diag.P("spec", "network", "existing", "cidr")
		}
		if cidr == "" {
			continue
		}
		p, err := netip.ParsePrefix(cidr)
		if err != nil || !p.Addr().Is4() {
			v.err(RuleInvalidCIDR, e.Source.File, path, "%q is not an IPv4 range such as 10.30.0.0/16", cidr)
			continue
		}
		if p != p.Masked() {
			d := v.err(RuleInvalidCIDR, e.Source.File, path, "%s has address bits beyond its prefix", cidr)
			d.Remedy = fmt.Sprintf("Did you mean %q?", p.Masked())
			continue
		}
		if path[2] == "cidr" && (p.Bits() < 16 || p.Bits() > 24) {
			v.err(RuleInvalidCIDR, e.Source.File, path, "%s is too %s: clouds and zones need a range from /16 to /24", cidr,
				map[bool]string{true: "large", false: "small"}[p.Bits() < 16])
			continue
		}
		for _, o := range byCloud[e.Spec.Cloud] {
			if o.prefix.Overlaps(p) {
				d := v.err(RuleNetworkOverlap, e.Source.File, path, "network %s overlaps %s of environment %q", p, o.prefix, o.env.Metadata.Name)
				d.Detail = "Networks of one cloud that overlap can never be peered or routed to each other."
			}
		}
		byCloud[e.Spec.Cloud] = append(byCloud[e.Spec.Cloud], net{e, p})
	}
}

// promotions finds environments that promote from themselves, in a circle, or
// from nowhere.
func (v *validator) promotions() {
	from := map[string]string{}
	for _, e := range v.r.Environments {
		from[e.Metadata.Name] = e.Spec.PromotesFrom
	}
	for _, e := range v.r.Environments {
		path := diag.P("spec", "promotesFrom")
		name := e.Metadata.Name
		if e.Spec.PromotesFrom == "" {
			continue
		}
		v.envRef(e.Source.File, path, e.Spec.PromotesFrom)
		if e.Spec.PromotesFrom == name {
			v.err(RulePromotionCycle, e.Source.File, path, "environment %q promotes from itself", name)
			continue
		}
		chain := []string{name}
		for at := from[name]; at != "" && len(chain) <= len(from); at = from[at] {
			chain = append(chain, at)
			if at == name {
				v.err(RulePromotionCycle, e.Source.File, path, "environment %q promotes from itself in a circle: %s", name, strings.Join(chain, " ← "))
				break
			}
		}
	}
}

func (v *validator) exceptions() {
	ex := v.r.Exceptions
	if ex == nil {
		return
	}
	for i, x := range ex.Spec.Exceptions {
		at := diag.P("spec", "exceptions", i)
		if _, err := time.Parse(time.DateOnly, x.Expires); err != nil {
			v.err(RuleInvalidDate, ex.Source.File, at.With("expires"), "%q is not a day of the calendar", x.Expires)
		}
		for j, e := range x.Environments {
			v.envRef(ex.Source.File, at.With("environments", j), e)
		}
	}
}
