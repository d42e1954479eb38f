# What containers must bring beyond the Pod Security Standards.
package strata.objects

import data.strata.lib.k8s

# METADATA
# title: Images are named by digest
# description: A tag can be moved; only a digest says what runs. Local environments build their images on the spot.
# custom:
#   id: image-digest
#   severity: high
#   layer: runtime
#   controls: ["CIS Kubernetes 5.5.1", "SLSA: pinned dependencies"]
#   kinds: [pods]
deny contains msg if {
	not k8s.local
	some c in input.strata.pod.containers
	not has_digest(c)
	msg := sprintf("container %q must name its image by digest (@sha256:...)", [k8s.name(c)])
}

has_digest(c) if regex.match(`@sha256:[0-9a-f]{64}$`, c.image)

# METADATA
# title: Images are not "latest"
# description: An image without a tag, or with the tag latest, is another one at every restart.
# custom:
#   id: image-latest
#   severity: medium
#   layer: runtime
#   controls: ["CIS Kubernetes 5.5.1"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	floating(c.image)
	msg := sprintf("container %q must not run an image without tag or with tag latest", [k8s.name(c)])
}

floating(image) if {
	not contains(image, "@")
	endswith(image, ":latest")
}

floating(image) if {
	not contains(image, "@")
	parts := split(image, "/")
	not contains(parts[count(parts) - 1], ":")
}

# METADATA
# title: Containers request CPU and memory
# description: The scheduler and the autoscaler reckon with requests; a container without them is placed blindly and evicted first.
# custom:
#   id: container-requests
#   severity: medium
#   layer: runtime
#   controls: ["NSA Kubernetes Hardening: resource policies"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.lasting
	some resource in missing_requests(c)
	msg := sprintf("container %q must request %s", [k8s.name(c), resource])
}

missing_requests(c) := {"cpu", "memory"} - ({"cpu" | c.resources.requests.cpu} | {"memory" | c.resources.requests.memory})

# METADATA
# title: Containers have a memory limit
# description: Without a limit one leaking container takes the memory of its node. CPU may stay unlimited; requests share it fairly.
# custom:
#   id: container-memory-limit
#   severity: medium
#   layer: runtime
#   controls: ["NSA Kubernetes Hardening: resource policies"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.lasting
	not has_memory_limit(c)
	msg := sprintf("container %q must set a memory limit", [k8s.name(c)])
}

has_memory_limit(c) if c.resources.limits.memory

# METADATA
# title: The root file system is read-only
# description: An attacker cannot leave a program where nothing can be written. Give the container an emptyDir for what it must write.
# custom:
#   id: read-only-root
#   severity: medium
#   layer: security
#   controls: ["NSA Kubernetes Hardening: immutable container file systems"]
#   kinds: [pods]
deny contains msg if {
	not k8s.windows
	some c in input.strata.pod.containers
	not c.securityContext.readOnlyRootFilesystem == true
	msg := sprintf("container %q must set readOnlyRootFilesystem to true", [k8s.name(c)])
}

# METADATA
# title: Environment variables hold no secret
# description: A variable whose name says that it is a secret takes its value from a Secret, never from the text.
# custom:
#   id: secret-in-variable
#   severity: high
#   layer: security
#   controls: ["CIS Kubernetes 5.4.1"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	some e in c.env
	k8s.secret_name(e.name)
	literal(e.value)
	msg := sprintf("container %q: variable %s must come from a Secret", [k8s.name(c), e.name])
}

literal(value) if {
	value != ""
	not contains(value, "$(")
}

# METADATA
# title: Containers that listen say when they are ready
# description: Without a readiness probe traffic reaches a container that cannot serve it yet, at every rollout.
# custom:
#   id: probe-readiness
#   severity: medium
#   layer: runtime
#   controls: ["Strata: graceful rollout"]
#   kinds: [Deployment, StatefulSet]
warn contains msg if {
	some c in input.strata.pod.lasting
	some _ in c.ports
	not is_object(object.get(c, "readinessProbe", null))
	msg := sprintf("container %q listens on a port but has no readinessProbe", [k8s.name(c)])
}

# METADATA
# title: Containers that listen say when they hang
# description: Without a liveness probe a hung container stays until somebody notices.
# custom:
#   id: probe-liveness
#   severity: low
#   layer: runtime
#   controls: ["Strata: self-healing"]
#   kinds: [Deployment, StatefulSet]
warn contains msg if {
	some c in input.strata.pod.lasting
	some _ in c.ports
	not is_object(object.get(c, "livenessProbe", null))
	msg := sprintf("container %q listens on a port but has no livenessProbe", [k8s.name(c)])
}

# METADATA
# title: Containers do not share processes
# description: With shareProcessNamespace each container of the pod can read the others' memory and files.
# custom:
#   id: share-processes
#   severity: medium
#   layer: security
#   controls: ["NSA Kubernetes Hardening: pod security"]
#   kinds: [pods]
deny contains "the pod must not set shareProcessNamespace" if input.strata.pod.spec.shareProcessNamespace == true
