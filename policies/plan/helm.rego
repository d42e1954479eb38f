# Rules about Helm releases in a plan.
package strata.plan

import data.strata.lib.plan

# METADATA
# title: Charts are pinned
# description: A chart without an exact version is another program tomorrow, and nobody has seen a plan of it. Charts that lie in the module come with it.
# custom:
#   id: helm-pinned
#   severity: high
#   layer: runtime
#   controls: ["SLSA: pinned dependencies"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("helm_release")
	not own_chart(rc)
	not plan.unknown(rc, ["version"])
	not exact(plan.value(rc, ["version"]))
	msg := "the chart must have an exact version, such as 1.2.3"
}

# METADATA
# title: Charts come by an authenticated connection
# description: Who answers for a repository over plain HTTP decides what runs in the cluster.
# custom:
#   id: helm-repository
#   severity: high
#   layer: security
#   controls: ["SLSA: authenticated sources"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("helm_release")
	some field in ["repository", "chart"]
	startswith(plan.value(rc, [field]), "http://")
	msg := sprintf("%s must not be fetched over plain HTTP", [field])
}

own_chart(rc) if startswith(plan.value(rc, ["chart"]), ".")

own_chart(rc) if startswith(plan.value(rc, ["chart"]), "/")

exact(version) if regex.match(`^v?[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`, version)
