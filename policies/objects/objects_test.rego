package strata.objects_test

import data.strata.lib.testing as t
import data.strata.objects.deny
import data.strata.objects.warn

digest := "registry.example/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

test_image_digest_deny if t.says(deny, "by digest") with input as t.container({"image": "registry.example/app:1.2"})

test_image_digest_allow if {
	not t.says(deny, "by digest") with input as t.container({"image": digest})
	not t.says(deny, "by digest") with input as t.in_local(t.container({"image": "app:dev"}))
}

test_image_latest_deny if {
	t.says(deny, "tag latest") with input as t.container({"image": "registry.example:5000/app"})
	t.says(deny, "tag latest") with input as t.container({"image": "app:latest"})
}

test_image_latest_allow if not t.says(deny, "tag latest") with input as t.container({"image": "registry.example:5000/app:1.2"})

# A sidecar runs as long as the pod, a container that ends before the others start does not.
beside(restart) := t.pod({"initContainers": [object.union({"name": "proxy"}, restart)], "containers": [{"name": "main", "resources": {"requests": {"memory": "1Gi", "cpu": "1"}, "limits": {"memory": "1Gi"}}}]})

test_container_requests_deny if {
	t.says(deny, "must request cpu") with input as t.container({"resources": {"requests": {"memory": "1Gi"}}})
	t.says(deny, `container "proxy" must request cpu`) with input as beside({"restartPolicy": "Always"})
}

test_container_requests_allow if {
	not t.says(deny, "must request") with input as t.container({"resources": {"requests": {"memory": "1Gi", "cpu": "1"}}})
	not t.says(deny, "must request") with input as beside({})
}

test_container_memory_limit_deny if {
	t.says(deny, "must set a memory limit") with input as t.container({})
	t.says(deny, `container "proxy" must set a memory limit`) with input as beside({"restartPolicy": "Always"})
}

test_container_memory_limit_allow if {
	not t.says(deny, "must set a memory limit") with input as t.container({"resources": {"limits": {"memory": "1Gi"}}})
	not t.says(deny, "must set a memory limit") with input as beside({})
}

test_read_only_root_deny if t.says(deny, "readOnlyRootFilesystem") with input as t.secured({})

test_read_only_root_allow if not t.says(deny, "readOnlyRootFilesystem") with input as t.secured({"readOnlyRootFilesystem": true})

variable(name, value) := t.container({"env": [{"name": name, "value": value}]})

test_secret_in_variable_deny if {
	t.says(deny, "variable DB_PASSWORD") with input as variable("DB_PASSWORD", "hunter2")
	t.says(deny, "variable apiKey") with input as variable("apiKey", "k-1")
}

test_secret_in_variable_allow if {
	not t.says(deny, "must come from a Secret") with input as variable("DB_PASSWORD_FILE", "/run/password")
	not t.says(deny, "must come from a Secret") with input as variable("DB_PASSWORD", "$(PASSWORD)")
	not t.says(deny, "must come from a Secret") with input as t.container({"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s"}}}]})
}

listening(fields) := t.deployment({}, {"containers": [object.union({"name": "main", "ports": [{"containerPort": 80}]}, fields)]})

test_probe_readiness_deny if t.says(warn, "no readinessProbe") with input as listening({})

test_probe_readiness_allow if not t.says(warn, "no readinessProbe") with input as listening({"readinessProbe": {"httpGet": {"port": 80}}})

test_probe_liveness_deny if t.says(warn, "no livenessProbe") with input as listening({})

test_probe_liveness_allow if not t.says(warn, "no livenessProbe") with input as t.deployment({}, {"containers": [{"name": "worker"}]})

test_share_processes_deny if t.says(deny, "shareProcessNamespace") with input as t.pod({"shareProcessNamespace": true})

test_share_processes_allow if not t.says(deny, "shareProcessNamespace") with input as t.pod({})

test_pod_api_token_deny if t.says(deny, "the pod must set automountServiceAccountToken") with input as t.pod({})

test_pod_api_token_allow if not t.says(deny, "the pod must set automountServiceAccountToken") with input as t.pod({"automountServiceAccountToken": false})

test_service_account_token_deny if t.says(deny, "the service account must set automount") with input as t.object_of("ServiceAccount", {})

test_service_account_token_allow if not t.says(deny, "the service account must set automount") with input as t.object_of("ServiceAccount", {"automountServiceAccountToken": false})

test_default_service_account_deny if t.says(deny, "service account of its own") with input as t.pod({"serviceAccountName": "default"})

test_default_service_account_allow if not t.says(deny, "service account of its own") with input as t.pod({"serviceAccountName": "web"})

test_default_namespace_deny if t.says(deny, "namespace default") with input as t.object_of("Service", {"metadata": {"namespace": "default"}})

test_default_namespace_allow if not t.says(deny, "namespace default") with input as t.object_of("Service", {})

zones := {"topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1}]}

test_topology_spread_deny if t.says(deny, "spread over zones") with input as t.deployment({"replicas": 3}, {})

test_topology_spread_allow if {
	not t.says(deny, "spread over zones") with input as t.deployment({"replicas": 3}, zones)
	not t.says(deny, "spread over zones") with input as t.deployment({"replicas": 1}, {})
}

test_rollout_available_deny if {
	t.says(deny, "Recreate") with input as t.deployment({"strategy": {"type": "Recreate"}}, {})
	t.says(deny, "maxUnavailable 100%") with input as t.deployment({"strategy": {"rollingUpdate": {"maxUnavailable": "100%"}}}, {})
}

test_rollout_available_allow if not t.says(deny, "at every rollout") with input as t.deployment({"strategy": {"rollingUpdate": {"maxUnavailable": 0}}}, {})

test_single_replica_deny if t.says(warn, "one replica") with input as t.deployment({"replicas": 1}, {})

test_single_replica_allow if not t.says(warn, "one replica") with input as t.deployment({"replicas": 2}, {})

test_grace_period_deny if t.says(deny, "terminationGracePeriodSeconds") with input as t.pod({"terminationGracePeriodSeconds": 0})

test_grace_period_allow if not t.says(deny, "terminationGracePeriodSeconds") with input as t.pod({"terminationGracePeriodSeconds": 30})

pdb(spec) := t.object_of("PodDisruptionBudget", {"spec": spec})

test_disruption_budget_deny if {
	t.says(deny, "allows no disruption") with input as pdb({"maxUnavailable": 0})
	t.says(deny, "allows no disruption") with input as pdb({"minAvailable": "100%"})
}

test_disruption_budget_allow if not t.says(deny, "allows no disruption") with input as pdb({"maxUnavailable": 1})

hpa(spec) := t.object_of("HorizontalPodAutoscaler", {"spec": spec})

scaled(spec) := t.object_of("ScaledObject", {"spec": spec})

test_autoscaler_minimum_deny if {
	t.says(deny, "minReplicas must be at least 2") with input as hpa({"maxReplicas": 4})
	t.says(deny, "minReplicas must be at least 2") with input as scaled({"minReplicaCount": 1, "maxReplicaCount": 4})
}

test_autoscaler_minimum_allow if {
	not t.says(deny, "minReplicas must be at least 2") with input as hpa({"minReplicas": 2, "maxReplicas": 4})
	not t.says(deny, "minReplicas must be at least 2") with input as scaled({"minReplicaCount": 2, "maxReplicaCount": 4})
	not t.says(deny, "minReplicas must be at least 2") with input as t.in_local(hpa({"minReplicas": 1, "maxReplicas": 4}))
}

test_autoscaler_range_deny if t.says(warn, "cannot scale") with input as hpa({"minReplicas": 2, "maxReplicas": 2})

test_autoscaler_range_allow if not t.says(warn, "cannot scale") with input as hpa({"minReplicas": 2, "maxReplicas": 5})

test_cronjob_concurrency_deny if t.says(warn, "concurrencyPolicy") with input as t.object_of("CronJob", {"spec": {}})

test_cronjob_concurrency_allow if not t.says(warn, "concurrencyPolicy") with input as t.object_of("CronJob", {"spec": {"concurrencyPolicy": "Forbid"}})

test_recommended_labels_deny if t.says(warn, "label app.kubernetes.io/name is missing") with input as t.deployment({}, {})

test_recommended_labels_allow if {
	labels := {"app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "acme", "app.kubernetes.io/managed-by": "strata"}
	not t.says(warn, "is missing") with input as object.union(t.deployment({}, {}), {"metadata": {"labels": labels}})
}

role(rule) := t.object_of("Role", {"rules": [rule]})

test_rbac_wildcard_deny if t.says(deny, `"*" in verbs`) with input as role({"verbs": ["*"], "resources": ["pods"], "apiGroups": [""]})

test_rbac_wildcard_allow if not t.says(deny, `"*" in`) with input as role({"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]})

binding(role_name, subject) := t.object_of("ClusterRoleBinding", {"roleRef": {"name": role_name}, "subjects": [subject]})

test_rbac_cluster_admin_deny if t.says(deny, "must not be cluster-admin") with input as binding("cluster-admin", {"kind": "ServiceAccount", "name": "ci"})

test_rbac_cluster_admin_allow if {
	not t.says(deny, "must not be cluster-admin") with input as binding("cluster-admin", {"kind": "Group", "name": "platform"})
	not t.says(deny, "must not be cluster-admin") with input as binding("view", {"kind": "ServiceAccount", "name": "ci"})
}

test_rbac_everybody_deny if t.says(deny, "bound to system:authenticated") with input as binding("view", {"kind": "Group", "name": "system:authenticated"})

test_rbac_everybody_allow if not t.says(deny, "must not be bound to") with input as binding("view", {"kind": "Group", "name": "payments"})

in_gateways := {"metadata": {"namespace": "strata-gateway"}}

list_secrets := {"verbs": ["list"], "resources": ["secrets"]}

test_rbac_secrets_deny if {
	t.says(deny, "may read secrets") with input as role({"verbs": ["get"], "resources": ["pods", "secrets"], "apiGroups": [""]})
	t.says(deny, "may read secrets") with input as role(object.union(list_secrets, {"resourceNames": []}))
	t.says(deny, "may read secrets") with input as object.union(role(list_secrets), {"metadata": {"namespace": "shop"}})
	t.says(deny, "may read secrets") with input as object.union(t.object_of("ClusterRole", {"rules": [list_secrets]}), in_gateways)
}

test_rbac_secrets_allow if {
	not t.says(deny, "may read secrets") with input as role({"verbs": ["create"], "resources": ["secrets"], "apiGroups": [""]})
	not t.says(deny, "may read secrets") with input as object.union(role({"verbs": ["get"], "resources": ["secrets"]}), {"metadata": {"name": "strata-admin"}})
	not t.says(deny, "may read secrets") with input as role({"verbs": ["get"], "resources": ["secrets"], "resourceNames": ["own"]})
	not t.says(deny, "may read secrets") with input as object.union(role(list_secrets), in_gateways)
}

test_rbac_escalation_deny if t.says(deny, "must not grant impersonate") with input as role({"verbs": ["impersonate"], "resources": ["users"]})

test_rbac_escalation_allow if not t.says(deny, "must not grant") with input as role({"verbs": ["get"], "resources": ["users"]})

test_secret_in_text_deny if t.says(deny, "stringData.password") with input as t.object_of("Secret", {"stringData": {"password": "x"}})

test_secret_in_text_allow if not t.says(deny, "must not hold a value in text") with input as t.object_of("Secret", {"type": "Opaque"})

config(entries) := t.object_of("ConfigMap", {"data": entries})

test_secret_in_configmap_deny if {
	t.says(deny, `key "db.password"`) with input as config({"db.password": "x"})
	t.says(deny, `key "tls.pem"`) with input as config({"tls.pem": "-----BEGIN RSA PRIVATE KEY-----\nMII"})
}

test_secret_in_configmap_allow if not t.says(deny, "looks like a secret") with input as config({"db.host": "x", "password_file": "/x"})

namespace(name, level) := t.object_of("Namespace", {"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": level}}})

test_namespace_standard_deny if {
	t.says(deny, "enforce: restricted") with input as namespace("shop", "baseline")
	t.says(deny, "enforce: restricted") with input as t.object_of("Namespace", {})
}

test_namespace_standard_allow if {
	not t.says(deny, "enforce: restricted") with input as namespace("shop", "restricted")
	not t.says(deny, "enforce: restricted") with input as namespace("strata-gateway", "baseline")
}

quota(hard) := t.object_of("ResourceQuota", {"spec": {"hard": hard}})

test_quota_complete_deny if t.says(deny, "the quota must bound requests.memory") with input as quota({"requests.cpu": "1", "pods": "3"})

test_quota_complete_allow if not t.says(deny, "the quota must bound") with input as quota({"requests.cpu": "1", "requests.memory": "1Gi", "pods": "3"})

test_service_exposed_deny if {
	t.says(deny, "of type NodePort") with input as t.object_of("Service", {"spec": {"type": "NodePort"}})
	t.says(deny, "of type LoadBalancer") with input as t.object_of("Service", {"spec": {"type": "LoadBalancer"}})
}

test_service_exposed_allow if {
	not t.says(deny, "of type") with input as t.object_of("Service", {"spec": {"type": "ClusterIP"}})
	not t.says(deny, "of type") with input as t.object_of("Service", {"metadata": {"namespace": "strata-gateway"}, "spec": {"type": "LoadBalancer"}})
}

test_service_external_ips_deny if t.says(deny, "externalIPs") with input as t.object_of("Service", {"spec": {"externalIPs": ["192.0.2.1"]}})

test_service_external_ips_allow if not t.says(deny, "externalIPs") with input as t.object_of("Service", {"spec": {"externalIPs": []}})

route(parent) := t.object_of("HTTPRoute", {"spec": {"parentRefs": [parent]}})

plain := {"strata": {"environment": {"tls": "disabled"}}}

test_route_https_deny if {
	t.says(deny, "listener https") with input as route({"name": "public"})
	t.says(deny, "listener https") with input as object.union(route({"name": "public", "sectionName": "http"}), plain)
}

test_route_https_allow if {
	not t.says(deny, "listener https") with input as route({"name": "public", "sectionName": "https"})
	not t.says(deny, "listener https") with input as object.union(route({"name": "internal"}), plain)
}

gateway(listener) := t.object_of("Gateway", {"spec": {"listeners": [listener]}})

test_gateway_plain_listener_deny if t.says(deny, "serves plain HTTP") with input as gateway({"name": "http", "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}})

test_gateway_plain_listener_allow if {
	not t.says(deny, "serves plain HTTP") with input as gateway({"name": "https", "protocol": "HTTPS", "allowedRoutes": {"namespaces": {"from": "All"}}})
	not t.says(deny, "serves plain HTTP") with input as gateway({"name": "http", "protocol": "HTTP"})
}

test_ingress_tls_deny if t.says(deny, "tls section") with input as t.object_of("Ingress", {"spec": {"tls": []}})

test_ingress_tls_allow if not t.says(deny, "tls section") with input as t.object_of("Ingress", {"spec": {"tls": [{"hosts": ["a"]}]}})

netpol(name, spec) := t.object_of("NetworkPolicy", {"metadata": {"name": name}, "spec": spec})

test_network_policy_open_deny if {
	t.says(deny, "lets in everybody") with input as netpol("web", {"ingress": [{}]})
	t.says(deny, "lets in everybody") with input as netpol("web", {"ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]})
}

test_network_policy_open_allow if {
	not t.says(deny, "lets in everybody") with input as netpol("web", {"ingress": [{"from": [{"podSelector": {}}]}]})

	gateway := {"podSelector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "public"}}, "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}
	not t.says(deny, "lets in everybody") with input as json.patch(netpol("public", gateway), [{"op": "add", "path": "/metadata/namespace", "value": "strata-gateway"}])

	# Labels of pods are anybody's; the namespace is not.
	t.says(deny, "lets in everybody") with input as netpol("public", gateway)
}

test_network_policy_default_deny_deny if {
	t.says(deny, "must select every pod") with input as netpol("default-deny", {"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress", "Egress"]})
	t.says(deny, "must name both") with input as netpol("default-deny", {"podSelector": {}, "policyTypes": ["Ingress"]})
	t.says(deny, "must allow nothing") with input as netpol("default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]})
}

test_network_policy_default_deny_allow if {
	not t.says(deny, "the default-deny policy") with input as netpol("default-deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
	not t.says(deny, "the default-deny policy") with input as netpol("default-deny-ingress", {"podSelector": {}, "policyTypes": ["Ingress"]})
}

test_mesh_mutual_tls_deny if t.says(deny, "must be STRICT") with input as t.object_of("PeerAuthentication", {"spec": {"mtls": {"mode": "PERMISSIVE"}}})

test_mesh_mutual_tls_allow if not t.says(deny, "must be STRICT") with input as t.object_of("PeerAuthentication", {"spec": {"mtls": {"mode": "STRICT"}}})

test_storage_class_encrypted_deny if t.says(deny, "parameters.encrypted") with input as t.object_of("StorageClass", {"provisioner": "ebs.csi.aws.com"})

test_storage_class_encrypted_allow if not t.says(deny, "parameters.encrypted") with input as t.object_of("StorageClass", {"provisioner": "ebs.csi.aws.com", "parameters": {"encrypted": "true"}})
