# What rules about the description (the model) share.
package strata.lib.description

protected if input.environment.spec.protected == true

local if input.environment.spec.cloud == "local"

tls_disabled if input.environment.spec.ingress.tls == "disabled"

# oldest_kubernetes is the oldest minor version of Kubernetes 1 that all three
# clouds still patch without extended support. Raise it with each release.
oldest_kubernetes := 33

# public_route is true for a route that the internet reaches; routes are public
# when they name no class.
public_route(resource) if {
	resource.type == "route"
	resource.class in {"public", "default", ""}
}

public_route(resource) if {
	resource.type == "route"
	not is_string(object.get(resource, "class", null))
}

database(resource) if resource.type in {"postgres", "mysql"}

# scales is true when the workload in the input has an autoscaler that can scale.
scales if {
	some r in input.workload.resources
	r.type == "horizontal-pod-autoscaler"
	not stuck(r)
}

stuck(autoscaler) if autoscaler.params.max <= autoscaler.params.min
