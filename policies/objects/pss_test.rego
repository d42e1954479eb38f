package strata.objects_test

import data.strata.lib.testing as t
import data.strata.objects.deny

test_pss_host_namespaces_deny if {
	t.says(deny, "must not set hostNetwork") with input as t.pod({"hostNetwork": true})
	t.says(deny, "must not set hostPID") with input as t.pod({"hostPID": true})
	t.says(deny, "must not set hostIPC") with input as t.pod({"hostIPC": true})
}

test_pss_host_namespaces_allow if not t.says(deny, "must not set host") with input as t.pod({"hostNetwork": false})

test_pss_privileged_deny if t.says(deny, "must not be privileged") with input as t.secured({"privileged": true})

test_pss_privileged_allow if not t.says(deny, "must not be privileged") with input as t.secured({"privileged": false})

test_pss_capabilities_baseline_deny if t.says(deny, "must not add capability NET_RAW") with input as t.secured({"capabilities": {"add": ["NET_RAW"]}})

test_pss_capabilities_baseline_allow if not t.says(deny, "must not add capability") with input as t.secured({"capabilities": {"add": ["CHOWN"]}})

test_pss_host_path_deny if t.says(deny, "must not be a hostPath") with input as t.pod({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})

test_pss_host_path_allow if not t.says(deny, "must not be a hostPath") with input as t.pod({"volumes": [{"name": "v", "emptyDir": {}}]})

test_pss_host_ports_deny if t.says(deny, "must not use host port 80") with input as t.container({"ports": [{"hostPort": 80}]})

test_pss_host_ports_allow if not t.says(deny, "must not use host port") with input as t.container({"ports": [{"containerPort": 80, "hostPort": 0}]})

test_pss_host_probes_deny if {
	t.says(deny, `must not name host "db"`) with input as t.container({"livenessProbe": {"httpGet": {"host": "db"}}})
	t.says(deny, `must not name host "db"`) with input as t.container({"lifecycle": {"preStop": {"tcpSocket": {"host": "db"}}}})
}

test_pss_host_probes_allow if not t.says(deny, "must not name host") with input as t.container({"livenessProbe": {"httpGet": {"port": 80, "host": ""}}})

test_pss_apparmor_deny if t.says(deny, "the pod's AppArmor profile") with input as t.pod({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}})

test_pss_apparmor_allow if not t.says(deny, "the pod's AppArmor profile") with input as t.pod({"securityContext": {"appArmorProfile": {"type": "Localhost"}}})

test_pss_apparmor_container_deny if t.says(deny, "the AppArmor profile must") with input as t.secured({"appArmorProfile": {"type": "Unconfined"}})

test_pss_apparmor_container_allow if not t.says(deny, "the AppArmor profile must") with input as t.secured({"appArmorProfile": {"type": "RuntimeDefault"}})

apparmor(value) := t.pod_with({"annotations": {"container.apparmor.security.beta.kubernetes.io/main": value}}, {})

test_pss_apparmor_annotation_deny if t.says(deny, "must be runtime/default or localhost") with input as apparmor("unconfined")

test_pss_apparmor_annotation_allow if not t.says(deny, "must be runtime/default or localhost") with input as apparmor("localhost/x")

test_pss_selinux_deny if t.says(deny, `the pod must not set SELinux type "spc_t"`) with input as t.pod({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}})

test_pss_selinux_allow if not t.says(deny, "the pod must not set SELinux") with input as t.pod({"securityContext": {"seLinuxOptions": {"type": "container_t", "user": ""}}})

test_pss_selinux_container_deny if t.says(deny, `"main" must not set SELinux user "u"`) with input as t.secured({"seLinuxOptions": {"user": "u"}})

test_pss_selinux_container_allow if not t.says(deny, `"main" must not set SELinux`) with input as t.secured({"seLinuxOptions": {"type": "container_engine_t"}})

test_pss_proc_mount_deny if t.says(deny, "must keep procMount Default") with input as t.secured({"procMount": "Unmasked"})

test_pss_proc_mount_allow if not t.says(deny, "must keep procMount Default") with input as t.pod({"hostUsers": false, "containers": [{"name": "main", "securityContext": {"procMount": "Unmasked"}}]})

test_pss_proc_mount_restricted_deny if t.says(deny, "even in a user namespace") with input as t.pod({"hostUsers": false, "containers": [{"name": "main", "securityContext": {"procMount": "Unmasked"}}]})

test_pss_proc_mount_restricted_allow if not t.says(deny, "even in a user namespace") with input as t.secured({"procMount": "Default"})

test_pss_seccomp_baseline_deny if t.says(deny, "the pod's seccomp profile") with input as t.pod({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})

test_pss_seccomp_baseline_allow if not t.says(deny, "the pod's seccomp profile") with input as t.pod({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}})

test_pss_seccomp_baseline_container_deny if t.says(deny, `"main": the seccomp profile must`) with input as t.secured({"seccompProfile": {"type": "Unconfined"}})

test_pss_seccomp_baseline_container_allow if not t.says(deny, `"main": the seccomp profile must`) with input as t.secured({})

test_pss_seccomp_restricted_deny if {
	t.says(deny, "or its pod, must set seccomp profile") with input as t.secured({})
	t.says(deny, "or its pod, must set seccomp profile") with input as t.secured({"seccompProfile": {"type": "Unconfined"}})
}

test_pss_seccomp_restricted_allow if {
	not t.says(deny, "or its pod, must set seccomp profile") with input as t.secured({"seccompProfile": {"type": "RuntimeDefault"}})
	not t.says(deny, "or its pod, must set seccomp profile") with input as t.pod({"os": {"name": "windows"}, "containers": [{"name": "main"}]})
}

test_pss_seccomp_restricted_pod_deny if t.says(deny, "the pod must set seccomp profile") with input as t.pod({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})

test_pss_seccomp_restricted_pod_allow if not t.says(deny, "the pod must set seccomp profile") with input as t.pod({"securityContext": {"seccompProfile": {"type": "Localhost"}}})

test_pss_sysctls_deny if t.says(deny, "must not set sysctl kernel.msgmax") with input as t.pod({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}})

test_pss_sysctls_allow if not t.says(deny, "must not set sysctl") with input as t.pod({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}})

test_pss_windows_host_process_deny if t.says(deny, "the pod must not be a Windows") with input as t.pod({"securityContext": {"windowsOptions": {"hostProcess": true}}})

test_pss_windows_host_process_allow if not t.says(deny, "the pod must not be a Windows") with input as t.pod({"securityContext": {"windowsOptions": {"hostProcess": false}}})

test_pss_windows_host_process_container_deny if t.says(deny, `"main" must not be a Windows`) with input as t.secured({"windowsOptions": {"hostProcess": true}})

test_pss_windows_host_process_container_allow if not t.says(deny, `"main" must not be a Windows`) with input as t.secured({"windowsOptions": {}})

test_pss_privilege_escalation_deny if t.says(deny, "allowPrivilegeEscalation") with input as t.secured({})

test_pss_privilege_escalation_allow if not t.says(deny, "allowPrivilegeEscalation") with input as t.secured({"allowPrivilegeEscalation": false})

test_pss_capabilities_drop_deny if t.says(deny, "must drop capability ALL") with input as t.secured({"capabilities": {"drop": ["CHOWN"]}})

test_pss_capabilities_drop_allow if not t.says(deny, "must drop capability ALL") with input as t.secured({"capabilities": {"drop": ["ALL"]}})

test_pss_capabilities_add_deny if t.says(deny, "it adds CHOWN") with input as t.secured({"capabilities": {"add": ["CHOWN"]}})

test_pss_capabilities_add_allow if not t.says(deny, "it adds") with input as t.secured({"capabilities": {"add": ["NET_BIND_SERVICE"]}})

test_pss_volume_types_deny if t.says(deny, `volume "v" must be a configMap`) with input as t.pod({"volumes": [{"name": "v", "nfs": {"server": "x"}}]})

test_pss_volume_types_allow if not t.says(deny, `volume "v" must be a configMap`) with input as t.pod({"volumes": [{"name": "v", "image": {}}]})

test_pss_run_as_non_root_deny if t.says(deny, `"main" must set runAsNonRoot`) with input as t.secured({})

test_pss_run_as_non_root_allow if not t.says(deny, `"main" must set runAsNonRoot`) with input as t.pod({"securityContext": {"runAsNonRoot": true}, "containers": [{"name": "main"}]})

test_pss_run_as_non_root_pod_deny if t.says(deny, "the pod must not set runAsNonRoot") with input as t.pod({"securityContext": {"runAsNonRoot": false}})

test_pss_run_as_non_root_pod_allow if not t.says(deny, "the pod must not set runAsNonRoot") with input as t.pod({"hostUsers": false, "securityContext": {"runAsNonRoot": false}})

test_pss_run_as_user_deny if t.says(deny, "the pod must not set runAsUser") with input as t.pod({"securityContext": {"runAsUser": 0}})

test_pss_run_as_user_allow if not t.says(deny, "the pod must not set runAsUser") with input as t.pod({"securityContext": {"runAsUser": 1000}})

test_pss_run_as_user_container_deny if t.says(deny, `"main" must not set runAsUser`) with input as t.secured({"runAsUser": 0})

test_pss_run_as_user_container_allow if not t.says(deny, `"main" must not set runAsUser`) with input as t.secured({"runAsUser": 1})
