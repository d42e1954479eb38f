package kube

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/gateway/routepolicy"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
)

// roles are the roles of access rules, in the order in which they are rendered.
var roles = []string{"admin", "operator", "viewer"}

// clusterRole is the ClusterRole behind a role of access rules.
func clusterRole(role string) string { return "strata-" + role }

// applies reports whether a rule holds in an environment and for a team: all
// teams when team is empty, in which case the rule must not name teams.
func applies(r model.AccessRule, env, team string) bool {
	if len(r.Environments) > 0 && !slices.Contains(r.Environments, env) {
		return false
	}
	if team == "" {
		return len(r.Teams) == 0
	}
	return slices.Contains(r.Teams, team)
}

// subjects returns the groups that hold a role, sorted.
func subjects(env Env, role, team string) []rbacv1.Subject {
	var groups []string
	for _, r := range env.Access {
		if r.Role == role && applies(r, env.Name, team) {
			groups = append(groups, r.Groups...)
		}
	}
	slices.Sort(groups)
	var subs []rbacv1.Subject
	for _, g := range slices.Compact(groups) {
		subs = append(subs, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: env.GroupsPrefix + g})
	}
	return subs
}

// teamAccess binds the rules that name the team within its namespace.
func teamAccess(env Env, t Team, meta func(string) metav1.ObjectMeta) []Object {
	var objs []Object
	for _, role := range roles {
		subs := subjects(env, role, t.Name)
		if len(subs) == 0 {
			continue
		}
		objs = append(objs, &rbacv1.RoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: meta(clusterRole(role)), Subjects: subs,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole(role)},
		})
	}
	return objs
}

// platformAccess returns the roles, and binds the rules that hold for all
// teams in the whole cluster.
func platformAccess(env Env, meta func(string) metav1.ObjectMeta) []Object {
	var objs []Object
	for _, role := range roles {
		objs = append(objs, &rbacv1.ClusterRole{TypeMeta: gvk("rbac.authorization.k8s.io/v1", "ClusterRole"), ObjectMeta: meta(clusterRole(role)), Rules: rules(role)})
	}
	for _, role := range roles {
		subs := subjects(env, role, "")
		if len(subs) == 0 {
			continue
		}
		ref := clusterRole(role)
		if role == "admin" {
			// An admin of all teams may do everything, which only the
			// cluster's own role says.
			ref = "cluster-admin"
		}
		objs = append(objs, &rbacv1.ClusterRoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ObjectMeta: meta(clusterRole(role)), Subjects: subs,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ref},
		})
	}
	return objs
}

// authorityAccess lets everybody who has a role in the environment, of whatever team, read
// what vouches for its URLs.
func authorityAccess(env Env, meta metav1.ObjectMeta) []Object {
	if !env.OwnAuthority() {
		return nil
	}
	var groups []string
	for _, r := range env.Access {
		if len(r.Environments) == 0 || slices.Contains(r.Environments, env.Name) {
			groups = append(groups, r.Groups...)
		}
	}
	slices.Sort(groups)
	var subs []rbacv1.Subject
	for _, g := range slices.Compact(groups) {
		subs = append(subs, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: env.GroupsPrefix + g})
	}
	if len(subs) == 0 {
		return nil
	}
	return []Object{
		&rbacv1.Role{TypeMeta: gvk("rbac.authorization.k8s.io/v1", "Role"), ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.WebAuthorities}, Verbs: []string{"get"}},
		}},
		&rbacv1.RoleBinding{
			TypeMeta: gvk("rbac.authorization.k8s.io/v1", "RoleBinding"), ObjectMeta: meta, Subjects: subs,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		},
	}
}

// namespaced are the kinds, by API group, that people work with in a
// namespace, without secrets. They are listed one by one so that a kind that
// somebody installs later is not open to everybody by itself.
var namespaced = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"configmaps", "endpoints", "events", "limitranges", "persistentvolumeclaims", "pods", "pods/log", "pods/status", "resourcequotas", "serviceaccounts", "services"}},
	{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "deployments", "deployments/scale", "replicasets", "statefulsets", "statefulsets/scale"}},
	{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}},
	{APIGroups: []string{"batch"}, Resources: []string{"cronjobs", "jobs"}},
	{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}},
	{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"gateways", "httproutes"}},
	{APIGroups: []string{routepolicy.Group}, Resources: []string{routepolicy.Resource}},
	{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"networkpolicies"}},
	{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}},
	{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"rolebindings", "roles"}},
}

// readOnly are kinds that nobody but the platform writes in a namespace: the store behind
// ExternalSecrets is the environment's, so that whoever writes one reads the secrets of all
// teams.
var readOnly = []rbacv1.PolicyRule{
	{APIGroups: []string{"external-secrets.io"}, Resources: []string{"externalsecrets"}},
}

var (
	readVerbs  = []string{"get", "list", "watch"}
	writeVerbs = []string{"create", "delete", "deletecollection", "patch", "update"}
)

// withVerbs returns the rules with these verbs.
func withVerbs(rs []rbacv1.PolicyRule, verbs ...string) []rbacv1.PolicyRule {
	out := slices.Clone(rs)
	for i := range out {
		out[i].Verbs = verbs
	}
	return out
}

// rules returns what a role may do. Rules about nodes and namespaces have no
// effect in a team's RoleBinding.
func rules(role string) []rbacv1.PolicyRule {
	out := withVerbs(slices.Concat(namespaced, readOnly), readVerbs...)
	out = append(out,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces", "nodes", "persistentvolumes"}, Verbs: readVerbs},
		rbacv1.PolicyRule{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"nodes", "pods"}, Verbs: readVerbs},
		rbacv1.PolicyRule{APIGroups: []string{"storage.k8s.io"}, Resources: []string{"storageclasses"}, Verbs: readVerbs},
	)
	// Operating is restarting (by deleting pods), scaling, logs and exec.
	// It is not changing a pod's template: who can do that can mount any
	// secret of the namespace.
	operate := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete"}},
		{APIGroups: []string{""}, Resources: []string{"pods/eviction", "pods/exec", "pods/portforward"}, Verbs: []string{"create"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments/scale", "statefulsets/scale"}, Verbs: []string{"patch", "update"}},
	}
	switch role {
	case "operator":
		out = append(out, operate...)
	case "admin":
		out = append(out, operate...)
		out = append(out, withVerbs(namespaced, writeVerbs...)...)
		out = append(out, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: append(slices.Clone(readVerbs), writeVerbs...)})
	}
	return out
}
