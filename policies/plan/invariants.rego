# Strata's own rules about plans.
package strata.plan

import data.strata.lib.plan

# METADATA
# title: Protected data is not destroyed
# description: Replacing a database, a bucket or a key destroys it first. Switch the environment's protection off when that is what you want.
# custom:
#   id: protected-destroy
#   severity: critical
#   layer: provisioning
#   controls: ["Strata: protected data"]
deny contains plan.at(rc, msg) if {
	plan.protected
	some rc in input.resource_changes
	rc.mode == "managed"
	rc.type in plan.holds_data
	"delete" in rc.change.actions
	msg := sprintf("the plan %s it, and the environment is protected", [destroys(rc)])
}

destroys(rc) := "replaces" if {
	"create" in rc.change.actions
} else := "destroys"

# METADATA
# title: Resources say whose they are
# description: Tags (labels) name the environment on every resource, for bills, searches and clean-up.
# custom:
#   id: default-tags
#   severity: low
#   layer: observability
#   controls: ["AWS Well-Architected COST03"]
warn contains plan.at(rc, msg) if {
	is_object(input.strata.environment)
	some rc in input.resource_changes
	rc.mode == "managed"
	some field in ["tags_all", "effective_labels"]
	tags := rc.change.after[field]
	not plan.unknown(rc, [field])
	not tagged(rc, field, tags)
	msg := "the resource lacks the tag that names its environment"
}

tagged(_, _, tags) if {
	some key, _ in tags
	regex.match(`(?i)(^|[^a-z])environment$`, key)
}

tagged(rc, field, tags) if {
	some key, _ in tags
	plan.unknown(rc, [field, key])
}
