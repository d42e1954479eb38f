# Who may do what in the cluster, and secrets.
package strata.objects

import data.strata.lib.k8s

# METADATA
# title: Roles name what they grant
# description: A wildcard grants what the next version of the cluster adds, too.
# custom:
#   id: rbac-wildcard
#   severity: high
#   layer: security
#   controls: ["CIS Kubernetes 5.1.3"]
#   kinds: [Role, ClusterRole]
deny contains msg if {
	some rule in input.rules
	some field in ["verbs", "resources", "apiGroups"]
	"*" in rule[field]
	msg := sprintf("the role must not use \"*\" in %s", [field])
}

# METADATA
# title: Only groups of people are cluster-admin
# description: A service account, or a single user, with cluster-admin is one leaked credential away from losing the cluster.
# custom:
#   id: rbac-cluster-admin
#   severity: critical
#   layer: security
#   controls: ["CIS Kubernetes 5.1.1"]
#   kinds: [ClusterRoleBinding, RoleBinding]
deny contains msg if {
	input.roleRef.name == "cluster-admin"
	some s in input.subjects
	not s.kind == "Group"
	msg := sprintf("%s %q must not be cluster-admin", [object.get(s, "kind", "subject"), k8s.name(s)])
}

# METADATA
# title: Nothing is granted to everybody
# description: These groups hold every account, or every caller without one.
# custom:
#   id: rbac-everybody
#   severity: critical
#   layer: security
#   controls: ["CIS Kubernetes 5.1.1", "CIS Kubernetes 1.2.1"]
#   kinds: [ClusterRoleBinding, RoleBinding]
deny contains msg if {
	some s in input.subjects
	everybody(s.name)
	msg := sprintf("the role must not be bound to %s", [s.name])
}

everybody(name) if name in {"system:anonymous", "system:unauthenticated", "system:authenticated", "system:serviceaccounts", "system:masters"}

# METADATA
# title: Only administrators read secrets
# description: Who may list secrets holds every credential of the namespace. A role may name secrets of its own, and the gateways' namespace holds their certificates alone.
# custom:
#   id: rbac-secrets
#   severity: high
#   layer: security
#   controls: ["CIS Kubernetes 5.1.2"]
#   kinds: [Role, ClusterRole]
deny contains "only administrators' roles may read secrets" if {
	not endswith(input.metadata.name, "admin")
	some rule in input.rules
	"secrets" in rule.resources
	not names_some(rule)
	not certificates_only
	some verb in rule.verbs
	verb in {"get", "list", "watch", "*"}
}

names_some(rule) if {
	some _ in rule.resourceNames
}

certificates_only if {
	input.kind == "Role"
	input.metadata.namespace == "strata-gateway"
}

# METADATA
# title: Roles cannot raise themselves
# description: With escalate, bind or impersonate an account takes rights that nobody granted it.
# custom:
#   id: rbac-escalation
#   severity: high
#   layer: security
#   controls: ["CIS Kubernetes 5.1.8"]
#   kinds: [Role, ClusterRole]
deny contains msg if {
	some rule in input.rules
	some verb in rule.verbs
	verb in {"escalate", "bind", "impersonate"}
	msg := sprintf("the role must not grant %s", [verb])
}

# METADATA
# title: Secret objects carry no value
# description: Values come from the central secrets service; a Secret in text is a secret in git.
# custom:
#   id: secret-in-text
#   severity: critical
#   layer: security
#   controls: ["CIS Kubernetes 5.4.2"]
#   kinds: [Secret]
deny contains msg if {
	some field in ["data", "stringData"]
	some key, value in input[field]
	not value in {"", null}
	msg := sprintf("the Secret must not hold a value in text (%s.%s)", [field, key])
}

# METADATA
# title: ConfigMaps hold no secret
# description: Everybody who may read the namespace may read its ConfigMaps.
# custom:
#   id: secret-in-configmap
#   severity: high
#   layer: security
#   controls: ["CIS Kubernetes 5.4.2"]
#   kinds: [ConfigMap]
deny contains msg if {
	some key, value in input.data
	holds_secret(key, value)
	msg := sprintf("key %q looks like a secret; use a Secret", [key])
}

holds_secret(key, value) if {
	value != ""
	k8s.secret_name(key)
}

holds_secret(_, value) if regex.match(`-----BEGIN ([A-Z]+ )?PRIVATE KEY-----`, value)

# METADATA
# title: Namespaces enforce the restricted standard
# description: Pod Security Admission then refuses what slipped past every other check. The platform's own namespaces (strata-...) may be baseline.
# custom:
#   id: namespace-standard
#   severity: high
#   layer: security
#   controls: ["CIS Kubernetes 5.2.1"]
#   kinds: [Namespace]
deny contains "the namespace must carry pod-security.kubernetes.io/enforce: restricted" if not namespace_guarded

namespace_guarded if namespace_level == "restricted"

namespace_guarded if {
	namespace_level == "baseline"
	startswith(input.metadata.name, "strata-")
}

namespace_guarded if input.metadata.name in {"kube-system", "kube-public", "kube-node-lease"}

namespace_level := input.metadata.labels["pod-security.kubernetes.io/enforce"]

# METADATA
# title: Quotas bound CPU, memory and pods
# description: A quota that leaves one of them open bounds nothing.
# custom:
#   id: quota-complete
#   severity: low
#   layer: runtime
#   controls: ["NSA Kubernetes Hardening: resource policies"]
#   kinds: [ResourceQuota]
deny contains msg if {
	some names in [{"requests.cpu", "cpu"}, {"requests.memory", "memory"}, {"pods", "count/pods"}]
	count(names & {k | some k, _ in input.spec.hard}) == 0
	msg := sprintf("the quota must bound %s", [max(names)])
}
