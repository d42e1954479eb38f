# Helpers for the unit tests of rules.
package strata.lib.testing

# says is true when a message of the set (deny or warn) contains the text.
says(messages, text) if {
	some m in messages
	contains(m, text)
}

says(messages, text) if {
	some m in messages
	contains(m.msg, text)
}

# pod is an input for a Pod with this spec, in an environment in the cloud.
pod(spec) := pod_with({}, spec)

pod_with(metadata, spec) := object.union(workload("Pod", {"spec": spec}, metadata, spec), {"metadata": metadata})

# container is an input for a Pod with one container.
container(fields) := pod({"containers": [object.union({"name": "main"}, fields)]})

# secured is an input for a Pod with one container with this security context.
secured(context) := container({"securityContext": context})

# deployment is an input for a Deployment: its spec beside the template, and the
# template's spec.
deployment(spec, podspec) := workload("Deployment", {"spec": object.union({"template": {"spec": podspec}}, spec)}, {}, podspec)

workload(kind, fields, metadata, podspec) := object.union(object_of(kind, fields), {"strata": {
	"environment": {"name": "prod", "cloud": "aws", "protected": true},
	"pod": {
		"metadata": metadata,
		"spec": podspec,
		"containers": array.concat(
			object.get(podspec, "initContainers", []),
			array.concat(object.get(podspec, "containers", []), object.get(podspec, "ephemeralContainers", [])),
		),
		"lasting": array.concat(
			[c | some c in object.get(podspec, "initContainers", []); c.restartPolicy == "Always"],
			object.get(podspec, "containers", []),
		),
	},
}})

# object_of is an input for an object of any other kind.
object_of(kind, fields) := object.union(
	{
		"apiVersion": "v1",
		"kind": kind,
		"metadata": {"name": "thing", "namespace": "shop"},
		"strata": {"environment": {"name": "prod", "cloud": "aws", "protected": true}},
	},
	fields,
)

# in_local moves an input to a local environment.
in_local(o) := object.union(o, {"strata": {"environment": {"name": "local", "cloud": "local", "protected": false}}})

# change is one planned resource; what is in unknown is known after apply.
change(type, after, unknown, actions) := {
	"address": sprintf("%s.this", [type]),
	"type": type,
	"mode": "managed",
	"change": {"actions": actions, "after": after, "after_unknown": unknown},
}

# plan_of is plan for a unit of a contract.
plan_of(contract, changes) := object.union(plan(changes), {"strata": {"contract": contract}})

# plan is an input for a plan of a protected environment.
plan(changes) := {"format_version": "1.2", "resource_changes": changes, "strata": {"environment": {"name": "prod", "protected": true}}}
