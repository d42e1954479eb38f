# Pod Security Standards, level restricted, as of the latest version: what it
# asks for beyond baseline.
package strata.objects

import data.strata.lib.k8s

# METADATA
# title: Containers cannot gain privileges
# description: Without allowPrivilegeEscalation false, a set-user-ID program makes its caller root.
# custom:
#   id: pss-privilege-escalation
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Privilege Escalation", "CIS Kubernetes 5.2.6"]
#   kinds: [pods]
deny contains msg if {
	not k8s.windows
	some c in input.strata.pod.containers
	not c.securityContext.allowPrivilegeEscalation == false
	msg := sprintf("container %q must set allowPrivilegeEscalation to false", [k8s.name(c)])
}

# METADATA
# title: Containers drop all capabilities
# description: Capabilities that are not dropped are there for an attacker.
# custom:
#   id: pss-capabilities-drop
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Capabilities", "CIS Kubernetes 5.2.9"]
#   kinds: [pods]
deny contains msg if {
	not k8s.windows
	some c in input.strata.pod.containers
	not drops_all(c)
	msg := sprintf("container %q must drop capability ALL", [k8s.name(c)])
}

drops_all(c) if {
	some capability in c.securityContext.capabilities.drop
	capability == "ALL"
}

# METADATA
# title: Containers add no capability but NET_BIND_SERVICE
# description: Listening below port 1024 is the one thing that may need a capability.
# custom:
#   id: pss-capabilities-add
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Capabilities"]
#   kinds: [pods]
deny contains msg if {
	not k8s.windows
	some c in input.strata.pod.containers
	some capability in c.securityContext.capabilities.add
	capability != "NET_BIND_SERVICE"
	msg := sprintf("container %q may add no capability but NET_BIND_SERVICE; it adds %s", [k8s.name(c), capability])
}

# METADATA
# title: Volumes come from the cluster
# description: Inline volumes of other types bypass storage classes, quotas and the CSI drivers' checks.
# custom:
#   id: pss-volume-types
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Volume Types"]
#   kinds: [pods]
deny contains msg if {
	some v in input.strata.pod.spec.volumes
	not volume_allowed(v)
	msg := sprintf("volume %q must be a configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret", [k8s.name(v)])
}

volume_allowed(v) if is_object(v.configMap)

volume_allowed(v) if is_object(v.csi)

volume_allowed(v) if is_object(v.downwardAPI)

volume_allowed(v) if is_object(v.emptyDir)

volume_allowed(v) if is_object(v.ephemeral)

volume_allowed(v) if is_object(v.image)

volume_allowed(v) if is_object(v.persistentVolumeClaim)

volume_allowed(v) if is_object(v.projected)

volume_allowed(v) if is_object(v.secret)

# METADATA
# title: Containers run as somebody else than root
# description: runAsNonRoot must be true for the pod or for every container, and false nowhere, unless the pod has a user namespace of its own.
# custom:
#   id: pss-run-as-non-root
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Running as Non-root", "CIS Kubernetes 5.2.7"]
#   kinds: [pods]
deny contains msg if {
	not k8s.user_namespace
	some c in input.strata.pod.containers
	not non_root(c)
	msg := sprintf("container %q must set runAsNonRoot to true", [k8s.name(c)])
}

non_root(c) if c.securityContext.runAsNonRoot == true

non_root(c) if {
	not decides_root(c)
	input.strata.pod.spec.securityContext.runAsNonRoot == true
}

# A condition on an absent field does not hold, negated or not, so what may be
# absent is asked for by a rule of its own.
decides_root(c) if is_boolean(c.securityContext.runAsNonRoot)

# METADATA
# title: Pods do not ask for root
# description: runAsNonRoot false at the pod is refused even when every container says otherwise.
# custom:
#   id: pss-run-as-non-root-pod
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Running as Non-root"]
#   kinds: [pods]
deny contains "the pod must not set runAsNonRoot to false" if {
	not k8s.user_namespace
	input.strata.pod.spec.securityContext.runAsNonRoot == false
}

# METADATA
# title: User 0 runs nothing
# description: runAsUser 0 is root, whatever the image says.
# custom:
#   id: pss-run-as-user
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Running as Non-root user"]
#   kinds: [pods]
deny contains "the pod must not set runAsUser to 0" if {
	not k8s.user_namespace
	input.strata.pod.spec.securityContext.runAsUser == 0
}

# METADATA
# title: User 0 runs no container
# description: runAsUser 0 is root, whatever the image says.
# custom:
#   id: pss-run-as-user-container
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Running as Non-root user"]
#   kinds: [pods]
deny contains msg if {
	not k8s.user_namespace
	some c in input.strata.pod.containers
	c.securityContext.runAsUser == 0
	msg := sprintf("container %q must not set runAsUser to 0", [k8s.name(c)])
}

# METADATA
# title: Every container has a seccomp profile
# description: RuntimeDefault or Localhost, set for the pod or for each container.
# custom:
#   id: pss-seccomp-restricted
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Seccomp", "CIS Kubernetes 5.7.2"]
#   kinds: [pods]
deny contains msg if {
	not k8s.windows
	some c in input.strata.pod.containers
	not seccomp_confined(c)
	msg := sprintf("container %q, or its pod, must set seccomp profile RuntimeDefault or Localhost", [k8s.name(c)])
}

has_seccomp(c) if is_object(c.securityContext.seccompProfile)

seccomp_confined(c) if good_profile(c.securityContext.seccompProfile)

seccomp_confined(c) if {
	not has_seccomp(c)
	pod_has_seccomp
}

pod_has_seccomp if good_profile(input.strata.pod.spec.securityContext.seccompProfile)

# METADATA
# title: Pods do not switch seccomp off
# description: A pod may name no other seccomp profile than RuntimeDefault or one on the node, even when its containers do.
# custom:
#   id: pss-seccomp-restricted-pod
#   severity: high
#   layer: security
#   controls: ["PSS restricted: Seccomp"]
#   kinds: [pods]
deny contains "the pod must set seccomp profile RuntimeDefault or Localhost" if {
	not k8s.windows
	is_object(input.strata.pod.spec.securityContext.seccompProfile)
	not pod_has_seccomp
}

# METADATA
# title: /proc stays masked, in user namespaces too
# description: The restricted level knows no exemption for user namespaces here.
# custom:
#   id: pss-proc-mount-restricted
#   severity: high
#   layer: security
#   controls: ["PSS restricted: /proc Mount Type"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	bad_proc_mount(c.securityContext.procMount)
	msg := sprintf("container %q: procMount must be Default even in a user namespace", [k8s.name(c)])
}
