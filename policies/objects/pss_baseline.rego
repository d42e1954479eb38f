# Pod Security Standards, level baseline, as of the latest version. A rule whose
# check the level restricted replaces by another names baseline alone; every
# other rule belongs to both levels.
package strata.objects

import data.strata.lib.k8s

# METADATA
# title: Pods stay out of the node's namespaces
# description: A pod in the node's network, process or IPC namespace sees, and can disturb, everything else on the node.
# custom:
#   id: pss-host-namespaces
#   severity: critical
#   layer: security
#   controls: ["PSS baseline: Host Namespaces", "PSS restricted: Host Namespaces", "CIS Kubernetes 5.2.3-5.2.5"]
#   kinds: [pods]
deny contains msg if {
	some field in host_namespaces
	msg := sprintf("the pod must not set %s", [field])
}

host_namespaces contains "hostNetwork" if input.strata.pod.spec.hostNetwork == true

host_namespaces contains "hostPID" if input.strata.pod.spec.hostPID == true

host_namespaces contains "hostIPC" if input.strata.pod.spec.hostIPC == true

# METADATA
# title: Containers are not privileged
# description: A privileged container is root on the node.
# custom:
#   id: pss-privileged
#   severity: critical
#   layer: security
#   controls: ["PSS baseline: Privileged Containers", "PSS restricted: Privileged Containers", "CIS Kubernetes 5.2.2"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	c.securityContext.privileged == true
	msg := sprintf("container %q must not be privileged", [k8s.name(c)])
}

default_capabilities := {
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
	"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

# METADATA
# title: Containers add no capability beyond the default ones
# description: Capabilities such as SYS_ADMIN or NET_RAW give a container power over the node or its neighbours.
# custom:
#   id: pss-capabilities-baseline
#   severity: high
#   layer: security
#   controls: ["PSS baseline: Capabilities", "CIS Kubernetes 5.2.8"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	some capability in c.securityContext.capabilities.add
	not capability in default_capabilities
	msg := sprintf("container %q must not add capability %s", [k8s.name(c), capability])
}

# METADATA
# title: Pods mount nothing from the node
# description: A hostPath volume opens the node's files, and often the whole node, to the pod.
# custom:
#   id: pss-host-path
#   severity: critical
#   layer: security
#   controls: ["PSS baseline: HostPath Volumes", "CIS Kubernetes 5.2.12"]
#   kinds: [pods]
deny contains msg if {
	some v in input.strata.pod.spec.volumes
	is_object(v.hostPath)
	msg := sprintf("volume %q must not be a hostPath", [k8s.name(v)])
}

# METADATA
# title: Containers open no port on the node
# description: A host port bypasses network policies and clashes with other pods.
# custom:
#   id: pss-host-ports
#   severity: high
#   layer: networking
#   controls: ["PSS baseline: Host Ports", "PSS restricted: Host Ports", "CIS Kubernetes 5.2.13"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	some p in c.ports
	p.hostPort != 0
	p.hostPort != null
	msg := sprintf("container %q must not use host port %v", [k8s.name(c), p.hostPort])
}

# METADATA
# title: Probes and hooks ask the pod itself
# description: A host in a probe or lifecycle hook makes the node send requests elsewhere on the pod's behalf.
# custom:
#   id: pss-host-probes
#   severity: high
#   layer: networking
#   controls: ["PSS baseline: Host Probes / Lifecycle Hooks", "PSS restricted: Host Probes / Lifecycle Hooks"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	some host in handler_hosts(c)
	host != ""
	host != null
	msg := sprintf("container %q must not name host %q in a probe or lifecycle hook", [k8s.name(c), host])
}

handler_hosts(c) := probe_hosts(c) | hook_hosts(c)

probe_hosts(c) := union({
	{h | h := c.livenessProbe.httpGet.host},
	{h | h := c.livenessProbe.tcpSocket.host},
	{h | h := c.readinessProbe.httpGet.host},
	{h | h := c.readinessProbe.tcpSocket.host},
	{h | h := c.startupProbe.httpGet.host},
	{h | h := c.startupProbe.tcpSocket.host},
})

hook_hosts(c) := union({
	{h | h := c.lifecycle.postStart.httpGet.host},
	{h | h := c.lifecycle.postStart.tcpSocket.host},
	{h | h := c.lifecycle.preStop.httpGet.host},
	{h | h := c.lifecycle.preStop.tcpSocket.host},
})

# METADATA
# title: AppArmor stays on
# description: Only the runtime's default profile or one on the node may be named, in the field and in the old annotation.
# custom:
#   id: pss-apparmor
#   severity: high
#   layer: security
#   controls: ["PSS baseline: AppArmor", "PSS restricted: AppArmor"]
#   kinds: [pods]
deny contains msg if {
	profile := input.strata.pod.spec.securityContext.appArmorProfile
	is_object(profile)
	not good_profile(profile)
	msg := "the pod's AppArmor profile must be RuntimeDefault or Localhost"
}

# METADATA
# title: AppArmor stays on in every container
# description: A container may not leave the AppArmor profile of its pod for none.
# custom:
#   id: pss-apparmor-container
#   severity: high
#   layer: security
#   controls: ["PSS baseline: AppArmor", "PSS restricted: AppArmor"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	profile := c.securityContext.appArmorProfile
	is_object(profile)
	not good_profile(profile)
	msg := sprintf("container %q: the AppArmor profile must be RuntimeDefault or Localhost", [k8s.name(c)])
}

good_profile(p) if p.type in {"RuntimeDefault", "Localhost"}

# METADATA
# title: Annotations do not switch AppArmor off
# description: The annotation container.apparmor.security.beta.kubernetes.io/NAME is still honoured.
# custom:
#   id: pss-apparmor-annotation
#   severity: high
#   layer: security
#   controls: ["PSS baseline: AppArmor", "PSS restricted: AppArmor"]
#   kinds: [pods]
deny contains msg if {
	some key, value in input.strata.pod.metadata.annotations
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	not good_annotation(value)
	msg := sprintf("annotation %s must be runtime/default or localhost/...", [key])
}

good_annotation(value) if value in {"", "runtime/default", null}

good_annotation(value) if startswith(value, "localhost/") # a prefix, as upstream

selinux_types := {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

# METADATA
# title: SELinux labels stay the container runtime's
# description: A custom SELinux user or role, or a type outside the container ones, can lift the confinement.
# custom:
#   id: pss-selinux
#   severity: high
#   layer: security
#   controls: ["PSS baseline: SELinux", "PSS restricted: SELinux"]
#   kinds: [pods]
deny contains msg if {
	some wrong in selinux_wrong(input.strata.pod.spec.securityContext.seLinuxOptions)
	msg := sprintf("the pod must not set SELinux %s", [wrong])
}

# METADATA
# title: Containers keep the container runtime's SELinux labels
# description: A container may not set what its pod may not.
# custom:
#   id: pss-selinux-container
#   severity: high
#   layer: security
#   controls: ["PSS baseline: SELinux", "PSS restricted: SELinux"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	some wrong in selinux_wrong(c.securityContext.seLinuxOptions)
	msg := sprintf("container %q must not set SELinux %s", [k8s.name(c), wrong])
}

selinux_wrong(o) := {w |
	some field in ["type", "user", "role"]
	value := o[field]
	value != null
	not selinux_good(field, value)
	w := sprintf("%s %q", [field, value])
}

selinux_good("type", value) if value in selinux_types

selinux_good(field, "") if field in {"user", "role"}

# METADATA
# title: /proc stays masked
# description: An unmasked /proc shows a container the node, unless the pod has a user namespace of its own.
# custom:
#   id: pss-proc-mount
#   severity: high
#   layer: security
#   controls: ["PSS baseline: /proc Mount Type"]
#   kinds: [pods]
deny contains msg if {
	not k8s.user_namespace
	some c in input.strata.pod.containers
	bad_proc_mount(c.securityContext.procMount)
	msg := sprintf("container %q must keep procMount Default", [k8s.name(c)])
}

bad_proc_mount(mount) if not mount in {"Default", null}

# METADATA
# title: Seccomp stays on
# description: A pod or container that names a seccomp profile names the runtime's default or one on the node.
# custom:
#   id: pss-seccomp-baseline
#   severity: high
#   layer: security
#   controls: ["PSS baseline: Seccomp"]
#   kinds: [pods]
deny contains msg if {
	profile := input.strata.pod.spec.securityContext.seccompProfile
	is_object(profile)
	not good_profile(profile)
	msg := "the pod's seccomp profile must be RuntimeDefault or Localhost"
}

# METADATA
# title: Seccomp stays on in every container
# description: A container may not leave the seccomp profile of its pod for none.
# custom:
#   id: pss-seccomp-baseline-container
#   severity: high
#   layer: security
#   controls: ["PSS baseline: Seccomp"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	profile := c.securityContext.seccompProfile
	is_object(profile)
	not good_profile(profile)
	msg := sprintf("container %q: the seccomp profile must be RuntimeDefault or Localhost", [k8s.name(c)])
}

safe_sysctls := {
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_notsent_lowat",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_slow_start_after_idle",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
}

# METADATA
# title: Pods set only safe sysctls
# description: Other kernel parameters affect every container on the node.
# custom:
#   id: pss-sysctls
#   severity: high
#   layer: security
#   controls: ["PSS baseline: Sysctls", "PSS restricted: Sysctls"]
#   kinds: [pods]
deny contains msg if {
	some sysctl in input.strata.pod.spec.securityContext.sysctls
	not safe_sysctl(sysctl)
	msg := sprintf("the pod must not set sysctl %s", [k8s.name(sysctl)])
}

safe_sysctl(sysctl) if sysctl.name in safe_sysctls

# METADATA
# title: Windows pods are not host processes
# description: A host process container runs on the node itself.
# custom:
#   id: pss-windows-host-process
#   severity: critical
#   layer: security
#   controls: ["PSS baseline: HostProcess", "PSS restricted: HostProcess"]
#   kinds: [pods]
deny contains "the pod must not be a Windows host process" if {
	input.strata.pod.spec.securityContext.windowsOptions.hostProcess == true
}

# METADATA
# title: Windows containers are not host processes
# description: A host process container runs on the node itself.
# custom:
#   id: pss-windows-host-process-container
#   severity: critical
#   layer: security
#   controls: ["PSS baseline: HostProcess", "PSS restricted: HostProcess"]
#   kinds: [pods]
deny contains msg if {
	some c in input.strata.pod.containers
	c.securityContext.windowsOptions.hostProcess == true
	msg := sprintf("container %q must not be a Windows host process", [k8s.name(c)])
}
