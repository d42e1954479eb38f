# Rules about the platform and its environments as described.
package strata.model

import data.strata.lib.description

# METADATA
# title: The platform has an identity provider
# description: Without one, people share credentials, and nobody knows who did what.
# custom:
#   id: identity-provider
#   severity: high
#   layer: security
#   controls: ["CIS AWS Foundations 1.21", "Strata: enterprise identity"]
#   kinds: [Platform]
deny contains {"msg": "the platform must name its identity provider", "path": ["spec"]} if not identity

identity if is_object(input.platform.spec.identity)

# METADATA
# title: Administrators are a group of their own
# description: A group that holds everybody makes everybody an administrator.
# custom:
#   id: admin-groups
#   severity: critical
#   layer: security
#   controls: ["CIS Kubernetes 5.1.1"]
#   kinds: [Platform]
deny contains {"msg": sprintf("group %q holds everybody and must not be admin", [group]), "path": ["spec", "access", i, "groups"]} if {
	some i, rule in input.platform.spec.access
	rule.role == "admin"
	some group in rule.groups
	catch_all(group)
}

catch_all(group) if lower(group) in {"*", "all", "all-users", "authenticated", "domain users", "employees", "everybody", "everyone", "users"}

# METADATA
# title: Two people can approve
# description: When only one person may sign approvals, an absent person stops every release and an author approves alone. Without anybody there are no approvals to give yet.
# custom:
#   id: approvers
#   severity: low
#   layer: security
#   controls: ["SOC 2 CC8.1"]
#   kinds: [Platform]
warn contains {"msg": "list at least two people who may sign approvals", "path": ["spec", "people"]} if count(approvers) == 1

approvers := {name | some name, _ in input.platform.spec.people}

# METADATA
# title: Protected environments require approvals
# description: A change to a protected environment is seen by somebody other than its author before it is applied.
# custom:
#   id: protected-approvals
#   severity: critical
#   layer: security
#   controls: ["SOC 2 CC8.1", "Strata: prod requires approvals"]
#   kinds: [Environment]
deny contains {"msg": msg, "path": ["spec", "approvals"]} if {
	description.protected
	some msg in approvals_wrong
}

approvals_wrong contains "a protected environment must require at least one approval" if not approvals_required

approvals_wrong contains "the author of a plan must not approve it (notAuthor)" if {
	not input.environment.spec.approvals.notAuthor == true
}

approvals_required if input.environment.spec.approvals.required >= 1

# METADATA
# title: Protected environments get what was tried elsewhere
# description: Releases are promoted from an environment in which they have run.
# custom:
#   id: protected-promotion
#   severity: high
#   layer: provisioning
#   controls: ["SOC 2 CC8.1"]
#   kinds: [Environment]
deny contains {"msg": "a protected environment must name the environment it promotes from", "path": ["spec", "protected"]} if {
	description.protected
	not promoted
}

promoted if input.environment.spec.promotesFrom != ""

# METADATA
# title: Cloud environments serve TLS
# description: With ingress TLS disabled, passwords and sessions cross the internet in the clear.
# custom:
#   id: environment-tls
#   severity: critical
#   layer: networking
#   controls: ["Strata: no public route without TLS"]
#   kinds: [Environment]
deny contains {"msg": "an environment outside local must not disable TLS", "path": ["spec", "ingress", "tls"]} if {
	description.tls_disabled
	not description.local
}

# METADATA
# title: Protected environments span zones
# description: With one zone, its failure is the environment's failure.
# custom:
#   id: protected-zones
#   severity: high
#   layer: networking
#   controls: ["AWS Well-Architected REL10"]
#   kinds: [Environment]
deny contains {"msg": "a protected environment must spread over at least 2 zones", "path": ["spec", "network", "zones"]} if {
	description.protected
	input.environment.spec.network.zones < 2
}

# METADATA
# title: Zones do not share one NAT gateway in protected environments
# description: A shared gateway takes every zone's outbound traffic with it when its zone fails.
# custom:
#   id: protected-nat
#   severity: medium
#   layer: networking
#   controls: ["AWS Well-Architected REL10"]
#   kinds: [Environment]
deny contains {"msg": "a protected environment must have a NAT gateway in each zone", "path": ["spec", "network", "nat"]} if {
	description.protected
	input.environment.spec.network.nat == "shared"
}

# METADATA
# title: Clusters run a version that is still patched
# description: Security fixes go to the newest minor versions only.
# custom:
#   id: cluster-version
#   severity: high
#   layer: runtime
#   controls: ["CIS EKS 5.4", "NSA Kubernetes Hardening: patching"]
#   kinds: [Environment]
deny contains {"msg": msg, "path": ["spec", "cluster", "version"]} if {
	version := input.environment.spec.cluster.version
	parts := split(version, ".")
	parts[0] == "1"
	to_number(parts[1]) < description.oldest_kubernetes
	msg := sprintf("Kubernetes %s is no longer patched; use 1.%d or newer", [version, description.oldest_kubernetes])
}

# METADATA
# title: Protected environments do not live on spot capacity alone
# description: The cloud may take all spot machines back at once.
# custom:
#   id: protected-spot
#   severity: high
#   layer: runtime
#   controls: ["AWS Well-Architected REL11"]
#   kinds: [Environment]
deny contains {"msg": "a protected environment needs a node pool without spot machines and accelerators", "path": ["spec", "cluster", "nodePools"]} if {
	description.protected
	some _ in input.environment.spec.cluster.nodePools
	not steady_pool
}

steady_pool if {
	some pool in input.environment.spec.cluster.nodePools
	not pool.spot == true
	not accelerated(pool)
}

accelerated(pool) if pool.accelerator != ""

# METADATA
# title: Protected environments keep two nodes
# description: With one node, every upgrade of it is an outage.
# custom:
#   id: protected-nodes
#   severity: medium
#   layer: runtime
#   controls: ["AWS Well-Architected REL11"]
#   kinds: [Environment]
deny contains {"msg": "the node pools of a protected environment must keep at least 2 nodes", "path": ["spec", "cluster", "nodePools"]} if {
	description.protected
	some _ in input.environment.spec.cluster.nodePools
	sum([pool.min | some pool in input.environment.spec.cluster.nodePools; not accelerated(pool)]) < 2
}

# METADATA
# title: State is encrypted with a key of one's own
# description: State holds every address and identifier of the environment; whoever lacks the key cannot read a copy of it.
# custom:
#   id: state-encryption
#   severity: medium
#   layer: provisioning
#   controls: ["CIS AWS Foundations 2.1", "Strata: encrypted state"]
#   kinds: [Environment]
deny contains {"msg": "the state must be encrypted with a key of your own (kmsKey)", "path": ["spec", "state"]} if {
	input.environment.spec.state.backend in {"s3", "gcs"}
	not own_key
}

own_key if input.environment.spec.state.kmsKey != ""

# METADATA
# title: State of cloud environments is shared and locked
# description: State on one person's disk is lost with the disk, and two people overwrite each other's.
# custom:
#   id: state-remote
#   severity: high
#   layer: provisioning
#   controls: ["Strata: locked state"]
#   kinds: [Environment]
deny contains {"msg": "the state of a cloud environment must not be on a local disk", "path": ["spec", "state", "backend"]} if {
	not description.local
	input.environment.spec.state.backend == "local"
}

# METADATA
# title: Protected environments have an account of their own
# description: Whoever administers the other environment of a shared account administers this one.
# custom:
#   id: protected-account
#   severity: high
#   layer: provisioning
#   controls: ["AWS Well-Architected SEC01"]
#   kinds: [Environment]
deny contains {"msg": "a protected environment must not share its account", "path": ["spec", "account", "shareAccount"]} if {
	description.protected
	input.environment.spec.account.shareAccount == true
}

# METADATA
# title: New accounts have a budget
# description: Nobody notices a forgotten machine in an account without a budget.
# custom:
#   id: account-budget
#   severity: low
#   layer: observability
#   controls: ["AWS Well-Architected COST02"]
#   kinds: [Environment]
warn contains {"msg": "give the new account a monthly budget", "path": ["spec", "account", "create"]} if {
	is_object(input.environment.spec.account.create)
	not budgeted
}

budgeted if input.environment.spec.account.create.budget > 0
