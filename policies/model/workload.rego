# Rules about workloads as they are in one environment.
package strata.model

import data.strata.lib.description
import data.strata.lib.k8s

# METADATA
# title: Each workload has a team that can be reached
# description: Who is called at night is written down before the night.
# custom:
#   id: workload-owner
#   severity: medium
#   layer: observability
#   controls: ["SOC 2 CC1.3"]
#   kinds: [Workload]
deny contains {"msg": "the workload must name a team with a contact", "path": ["metadata"]} if not owned

owned if input.platform.spec.teams[input.workload.metadata.team].contact != ""

# METADATA
# title: Databases of protected environments are highly available
# description: A single database server is an outage whenever its host is patched.
# custom:
#   id: database-availability
#   severity: high
#   layer: provisioning
#   controls: ["AWS Well-Architected REL10"]
#   kinds: [Workload]
deny contains {"msg": sprintf("database %s must be highly available", [name]), "path": ["resources", name]} if {
	description.protected
	some name, r in input.workload.resources
	description.database(r)
	not r.params.highAvailability == true
}

# METADATA
# title: Databases are backed up
# description: Seven days are enough to notice on Monday what broke on Friday.
# custom:
#   id: database-backups
#   severity: critical
#   layer: provisioning
#   controls: ["CIS AWS Foundations 2.2", "Strata: no database without backups"]
#   kinds: [Workload]
deny contains {"msg": sprintf("database %s must keep backups for at least 7 days", [name]), "path": ["resources", name, "params"]} if {
	description.protected
	some name, r in input.workload.resources
	description.database(r)
	r.params.backupDays < 7
}

# METADATA
# title: Public workloads of protected environments scale
# description: The internet decides how much traffic comes. An autoscaler whose max is its min does not scale.
# custom:
#   id: public-autoscaling
#   severity: medium
#   layer: runtime
#   controls: ["Strata: metric-driven autoscaling"]
#   kinds: [Workload]
deny contains {"msg": "a public workload in a protected environment needs a horizontal-pod-autoscaler that can scale", "path": ["resources", name]} if {
	description.protected
	some name, r in input.workload.resources
	description.public_route(r)
	not description.scales
}

# METADATA
# title: Autoscalers of protected environments start at two
# description: One replica is an outage whenever its node is drained.
# custom:
#   id: autoscaling-floor
#   severity: medium
#   layer: runtime
#   controls: ["Strata: high availability"]
#   kinds: [Workload]
deny contains {"msg": sprintf("autoscaler %s must keep at least 2 replicas", [name]), "path": ["resources", name, "params", "min"]} if {
	description.protected
	some name, r in input.workload.resources
	r.type == "horizontal-pod-autoscaler"
	r.params.min < 2
}

# METADATA
# title: Public routes have TLS
# description: A public route in an environment without TLS is readable on its way.
# custom:
#   id: public-route-tls
#   severity: critical
#   layer: networking
#   controls: ["Strata: no public route without TLS"]
#   kinds: [Workload]
deny contains {"msg": sprintf("public route %s has no TLS in this environment", [name]), "path": ["resources", name]} if {
	description.tls_disabled
	not description.local
	some name, r in input.workload.resources
	description.public_route(r)
}

# METADATA
# title: Scheduled workloads do not overlap themselves
# description: A run that meets its predecessor does the work twice, or half.
# custom:
#   id: schedule-concurrency
#   severity: medium
#   layer: runtime
#   controls: ["Strata: scheduled work"]
#   kinds: [Workload]
deny contains {"msg": sprintf("schedule %s must forbid or replace concurrent runs", [name]), "path": ["resources", name, "params", "concurrency"]} if {
	some name, r in input.workload.resources
	r.type == "schedule"
	r.params.concurrency == "Allow"
}

# METADATA
# title: Score files hold no secret
# description: A value in text is a value in git, for ever.
# custom:
#   id: variable-secret
#   severity: critical
#   layer: security
#   controls: ["CIS Kubernetes 5.4.1"]
#   kinds: [Workload]
deny contains {"msg": sprintf("variable %s of container %s must come from a resource", [key, name]), "path": ["containers", name, "variables", key]} if {
	some name, c in input.workload.containers
	some key, value in c.variables
	k8s.secret_name(key)
	value != ""
	not contains(value, "${")
}
