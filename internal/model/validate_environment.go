package model

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/stratahq/strata/internal/diag"
)

var awsAccount = regexp.MustCompile(`^[0-9]{12}$`)

// backends lists the state backends that make sense in a cloud.
var backends = map[string][]string{
	CloudAWS:   {"s3", "pg"},
	CloudGCP:   {"gcs", "pg"},
	CloudAzure: {"azurerm", "pg"},
	CloudLocal: {"local", "pg"},
}

func (v *validator) environment(e *Environment) {
	file, s := e.Source.File, e.Spec
	v.complete(e)
	if s.Account != nil {
		v.account(e)
		v.existing(file, diag.P("spec", "account", "existing"), "account", s.Account.Existing)
	}
	if s.Network != nil {
		v.existing(file, diag.P("spec", "network", "existing"), "network", s.Network.Existing)
		if s.Network.CIDR != "" && s.Network.Existing != nil {
			d := v.err(RuleInvalidExisting, file, diag.P("spec", "network", "cidr"), "the network exists already, so its range cannot be chosen")
			d.Remedy = "Remove spec.network.cidr, or move it into spec.network.existing."
		}
	}
	if s.Cluster != nil {
		v.existing(file, diag.P("spec", "cluster", "existing"), "cluster", s.Cluster.Existing)
		v.nodePools(e)
	}
	if s.Secrets != nil {
		v.existing(file, diag.P("spec", "secrets", "existing"), "secrets", s.Secrets.Existing)
	}
	if s.Addons != nil {
		v.existing(file, diag.P("spec", "addons", "existing"), "addons", s.Addons.Existing)
	}
	if s.DNS != nil {
		v.existing(file, diag.P("spec", "dns", "existing"), "dns", s.DNS.Existing)
	}
	if s.Registry != nil {
		v.existing(file, diag.P("spec", "registry", "existing"), "registry", s.Registry.Existing)
	}
	if s.State != nil {
		v.state(e)
	}
	v.approvals(e)
	v.mesh(e)
	if _, ok := v.r.Release(e.Metadata.Name); !ok && s.Cloud != CloudLocal && !v.r.Broken["Release/"+e.Metadata.Name] {
		d := v.list.Warnf(RuleNoRelease, file, diag.P("metadata", "name"), "environment %q has no release, so no workload runs in it", e.Metadata.Name)
		d.Remedy = "List workloads and their images in releases/" + e.Metadata.Name + ".yaml."
	}
	for _, typ := range SortedKeys(s.Resources) {
		at := diag.P("spec", "resources", typ)
		if _, ok := v.c.Resource(typ); !ok {
			v.unknownType(file, at, typ).OnKey = true
			continue
		}
		v.class(file, at.With("class"), typ, s.Resources[typ].Class)
		v.params(file, at.With("params"), typ, s.Resources[typ].Params, false)
	}
	for _, name := range SortedKeys(s.Workloads) {
		v.override(e, name)
	}
}

// complete finds settings that an environment in a cloud cannot do without.
func (v *validator) complete(e *Environment) {
	s := e.Spec
	if s.Cloud == CloudLocal || s.Cloud == "" {
		return
	}
	for _, need := range []struct {
		name    string
		missing bool
		why     string
	}{
		{"account", s.Account == nil, "every environment has an account, project or subscription of its own, so that one cannot harm another"},
		{"region", s.Region == "", "the provider has to know where"},
		{"state", s.State == nil, "OpenTofu state must outlive the machine that runs it"},
		{"network", s.Network == nil, "everything is in a private network"},
		{"cluster", s.Cluster == nil, "workloads run on Kubernetes"},
	} {
		if need.missing {
			d := v.err(RuleIncompleteEnv, e.Source.File, diag.P("spec"), "environment %q in cloud %s needs spec.%s", e.Metadata.Name, s.Cloud, need.name)
			d.OnKey = true
			d.Detail = "Reason: " + need.why + "."
			d.Remedy = "strata explain environment." + need.name + " shows its fields."
		}
	}
	if s.Network != nil && s.Network.CIDR == "" && s.Network.Existing == nil {
		v.err(RuleIncompleteEnv, e.Source.File, diag.P("spec", "network"), "the network needs a cidr, or existing").OnKey = true
	}
	if s.Cluster != nil && s.Cluster.Existing == nil {
		if s.Cluster.Version == "" {
			v.err(RuleIncompleteEnv, e.Source.File, diag.P("spec", "cluster"), "the cluster needs a version, or existing").OnKey = true
		}
		if len(s.Cluster.NodePools) == 0 {
			v.err(RuleIncompleteEnv, e.Source.File, diag.P("spec", "cluster"), "the cluster needs at least one node pool, or existing").OnKey = true
		}
	}
}

func (v *validator) account(e *Environment) {
	a, at := e.Spec.Account, diag.P("spec", "account")
	given := 0
	for _, b := range []bool{a.ID != "", a.Existing != nil, a.Create != nil} {
		if b {
			given++
		}
	}
	if given != 1 {
		d := v.err(RuleInvalidAccount, e.Source.File, at, "the account needs exactly one of id, existing and create; %d are given", given)
		d.OnKey = true
	}
	if e.Spec.Cloud == CloudAWS && a.ID != "" && !awsAccount.MatchString(a.ID) {
		d := v.err(RuleInvalidAccount, e.Source.File, at.With("id"), "an AWS account id has twelve digits, not %q", a.ID)
		d.Remedy = "Quote it: YAML drops leading zeros of a number."
	}
	if a.ShareAccount && a.Reason == "" {
		v.err(RuleSharedAccount, e.Source.File, at.With("shareAccount"), "sharing an account needs a reason").Remedy = "Add spec.account.reason."
	}
}

// AccountID returns the id of the account that the environment is pinned to, or
// "" when Strata creates the account.
func (e *Environment) AccountID() string {
	if e.Spec.Account == nil {
		return ""
	}
	if e.Spec.Account.ID != "" {
		return e.Spec.Account.ID
	}
	id, _ := e.Spec.Account.Existing["account_id"].(string)
	return id
}

// accounts finds environments that share an account without saying so.
func (v *validator) accounts() {
	first := map[string]*Environment{}
	for _, e := range v.r.Environments {
		id := e.AccountID()
		if id == "" {
			continue
		}
		key := e.Spec.Cloud + "/" + id
		o, taken := first[key]
		if !taken {
			first[key] = e
			continue
		}
		if e.Spec.Account.ShareAccount || o.Spec.Account.ShareAccount {
			continue
		}
		path := diag.P("spec", "account", "id")
		if e.Spec.Account.ID == "" {
			path = diag.P("spec", "account", "existing", "account_id")
		}
		d := v.err(RuleSharedAccount, e.Source.File, path, "environments %q and %q share account %s", o.Metadata.Name, e.Metadata.Name, id)
		d.Detail = "An account is the strongest wall between environments that a cloud has."
		d.Remedy = "Give each its own, or write shareAccount: true with a reason."
	}
}

func (v *validator) existing(file string, at diag.Path, contract string, given Existing) {
	if given == nil {
		return
	}
	c, ok := v.c.Platform(contract)
	if !ok {
		return
	}
	v.problems(RuleInvalidExisting, file, at, v.c.ValidateExisting(c, given))
}

func (v *validator) problems(rule, file string, at diag.Path, ps []Problem) {
	for _, p := range ps {
		d := v.err(rule, file, at.With(p.Path...), "%s", p.Message)
		if p.Unknown {
			d.OnKey = true
		}
		if p.Suggestion != "" {
			d.Remedy = fmt.Sprintf("Did you mean %q?", p.Suggestion)
		}
	}
}

func (v *validator) nodePools(e *Environment) {
	seen := map[string]bool{}
	for i, p := range e.Spec.Cluster.NodePools {
		at := diag.P("spec", "cluster", "nodePools", i)
		if seen[p.Name] {
			v.err(RuleDuplicateName, e.Source.File, at.With("name"), "there are two node pools named %q", p.Name)
		}
		seen[p.Name] = true
		if p.Max > 0 && p.Min > p.Max {
			v.err(RuleScalingBounds, e.Source.File, at.With("max"), "node pool %q: max %d is less than min %d", p.Name, p.Max, p.Min)
		}
	}
}

func (v *validator) state(e *Environment) {
	st, at := e.Spec.State, diag.P("spec", "state")
	want := backends[e.Spec.Cloud]
	if want != nil && !slices.Contains(want, st.Backend) {
		d := v.err(RuleStateBackend, e.Source.File, at.With("backend"), "backend %q does not fit cloud %q", st.Backend, e.Spec.Cloud)
		d.Detail = "State lives in the environment's own account, in the cloud's own object storage, or in PostgreSQL."
		d.Remedy = fmt.Sprintf("Use %s.", orList(want))
		return
	}
	switch st.Backend {
	case "s3", "gcs", "azurerm":
		if st.Bucket == "" {
			v.err(RuleStateBackend, e.Source.File, at, "backend %q needs a bucket", st.Backend).OnKey = true
		}
	}
	if st.Backend == "azurerm" && (st.Account == "" || st.ResourceGroup == "") {
		v.err(RuleStateBackend, e.Source.File, at, "backend azurerm needs storageAccount and resourceGroup").OnKey = true
	}
}

func orList(names []string) string {
	out := names[0]
	for i, n := range names[1:] {
		if i == len(names)-2 {
			out += " or " + n
		} else {
			out += ", " + n
		}
	}
	return out
}

// approvals finds environments that nobody can approve.
func (v *validator) approvals(e *Environment) {
	a := e.Spec.Approvals
	if a == nil || v.r.Platform == nil {
		return
	}
	eligible := 0
	for _, p := range v.r.Platform.Spec.People {
		if len(a.Groups) == 0 || slices.ContainsFunc(a.Groups, func(g string) bool { return slices.Contains(p.Groups, g) }) {
			eligible++
		}
	}
	need := a.Required
	if a.NotAuthor && need > 0 {
		need++
	}
	if need > eligible {
		d := v.err(RuleApprovals, e.Source.File, diag.P("spec", "approvals", "required"), "%d approvals are required but only %d %s may give one", a.Required, eligible, peopleWord(eligible))
		if a.NotAuthor {
			d.Detail = "The author of a plan does not count (notAuthor)."
		}
		d.Remedy = "Add people with keys and groups to spec.people of strata.yaml."
	}
}

func peopleWord(n int) string {
	if n == 1 {
		return "person"
	}
	return "people"
}

func (v *validator) unknownType(file string, at diag.Path, typ string) *diag.Diagnostic {
	types := v.c.ResourceTypes()
	d := v.unknown(RuleUnknownType, file, at, "resource type", typ, types)
	d.Detail = "Known types: " + joinComma(types) + ". A type of your own is a contract.yaml beside an OpenTofu module, such as modules/" + typ + "/contract.yaml (strata explain contract)."
	return d
}

// override checks what an environment changes for a workload.
func (v *validator) override(e *Environment, name string) {
	at := diag.P("spec", "workloads", name)
	w, ok := v.workloads[name]
	if !ok {
		if !v.r.Broken["Workload/"+name] {
			v.unknown(RuleUnknownWorkload, e.Source.File, at, "workload", name, v.wnames).OnKey = true
		}
		return
	}
	o := e.Spec.Workloads[name]
	for _, rn := range SortedKeys(o.Resources) {
		rat := at.With("resources", rn)
		res, ok := w.Resources[rn]
		if !ok {
			v.unknown(RuleUnknownResource, e.Source.File, rat, "resource of workload "+name, rn, SortedKeys(w.Resources)).OnKey = true
			continue
		}
		con, ok := v.c.Resource(res.Type)
		if !ok {
			continue
		}
		ro := o.Resources[rn]
		v.class(e.Source.File, rat.With("class"), res.Type, ro.Class)
		v.params(e.Source.File, rat.With("params"), res.Type, ro.Params, false)
		if ro.Existing != nil {
			v.problems(RuleInvalidExisting, e.Source.File, rat.With("existing"), v.c.ValidateExisting(con, ro.Existing))
		}
	}
	for _, cn := range SortedKeys(o.Containers) {
		cat := at.With("containers", cn)
		if _, ok := w.Containers[cn]; !ok {
			v.unknown(RuleUnknownContainer, e.Source.File, cat, "container of workload "+name, cn, SortedKeys(w.Containers)).OnKey = true
			continue
		}
		for _, k := range SortedKeys(o.Containers[cn].Variables) {
			v.template(e.Source.File, cat.With("variables", k), w, o.Containers[cn].Variables[k], expanded)
		}
		v.limits(e.Source.File, cat.With("resources"), o.Containers[cn].Resources)
	}
}
