# What workloads must look like to survive rollouts, zones and nodes.
package strata.objects

import data.strata.lib.k8s

# METADATA
# title: Pods mount no API token unless they need it
# description: A token that is mounted is a token that can be stolen.
# custom:
#   id: pod-api-token
#   severity: medium
#   layer: security
#   controls: ["CIS Kubernetes 5.1.6"]
#   kinds: [pods]
deny contains "the pod must set automountServiceAccountToken to false" if {
	not input.strata.pod.spec.automountServiceAccountToken == false
}

# METADATA
# title: Service accounts mount no API token
# description: The pod that needs the API says so itself.
# custom:
#   id: service-account-token
#   severity: medium
#   layer: security
#   controls: ["CIS Kubernetes 5.1.6"]
#   kinds: [ServiceAccount]
deny contains "the service account must set automountServiceAccountToken to false" if {
	not input.automountServiceAccountToken == false
}

# METADATA
# title: Each workload has a service account of its own
# description: What is granted to the default account is granted to every pod of the namespace.
# custom:
#   id: default-service-account
#   severity: medium
#   layer: security
#   controls: ["CIS Kubernetes 5.1.5"]
#   kinds: [pods]
deny contains "the pod must name a service account of its own" if not own_account

own_account if not input.strata.pod.spec.serviceAccountName in {"", "default", null}

# METADATA
# title: Nothing lives in the namespace "default"
# description: The default namespace has no owner, no quota and no network policy.
# custom:
#   id: default-namespace
#   severity: low
#   layer: security
#   controls: ["CIS Kubernetes 5.6.4"]
#   kinds: [pods, Service, Ingress, HTTPRoute]
deny contains "the object must not be in namespace default" if input.metadata.namespace == "default"

# METADATA
# title: Replicas spread over zones
# description: A zone that fails must not take every replica with it.
# custom:
#   id: topology-spread
#   severity: medium
#   layer: runtime
#   controls: ["Strata: three zones"]
#   kinds: [Deployment, StatefulSet]
deny contains "the pods must spread over zones (topologySpreadConstraints or podAntiAffinity)" if {
	not k8s.local
	not single
	not spread
}

single if input.spec.replicas in {0, 1}

spread if {
	some t in input.strata.pod.spec.topologySpreadConstraints
	t.topologyKey == "topology.kubernetes.io/zone"
}

spread if is_object(input.strata.pod.spec.affinity.podAntiAffinity)

# METADATA
# title: A rollout leaves the workload serving
# description: Recreate, or a rolling update that may take all pods at once, is an outage with every release.
# custom:
#   id: rollout-available
#   severity: medium
#   layer: runtime
#   controls: ["Strata: graceful rollout"]
#   kinds: [Deployment]
deny contains msg if {
	k8s.protected
	some msg in rollout_wrong
}

rollout_wrong contains "the strategy Recreate stops all pods at every rollout" if input.spec.strategy.type == "Recreate"

rollout_wrong contains "maxUnavailable 100% stops all pods at every rollout" if input.spec.strategy.rollingUpdate.maxUnavailable == "100%"

# METADATA
# title: Protected environments run more than one replica
# description: One replica is an outage whenever its node is drained.
# custom:
#   id: single-replica
#   severity: low
#   layer: runtime
#   controls: ["Strata: high availability"]
#   kinds: [Deployment, StatefulSet]
warn contains "one replica is an outage whenever its node is drained" if {
	k8s.protected
	input.spec.replicas == 1
}

# METADATA
# title: Pods get time to stop
# description: A grace period of 0 kills connections and skips the disruption budget.
# custom:
#   id: grace-period
#   severity: medium
#   layer: runtime
#   controls: ["Strata: graceful rollout"]
#   kinds: [pods]
deny contains "terminationGracePeriodSeconds must not be 0" if input.strata.pod.spec.terminationGracePeriodSeconds == 0

# METADATA
# title: Disruption budgets let nodes be drained
# description: A budget that allows no disruption at all blocks every upgrade of the cluster.
# custom:
#   id: disruption-budget
#   severity: medium
#   layer: runtime
#   controls: ["Strata: upgradable clusters"]
#   kinds: [PodDisruptionBudget]
deny contains "the budget allows no disruption and blocks every node's upgrade" if budget_blocks

budget_blocks if input.spec.maxUnavailable in {0, "0", "0%"}

budget_blocks if input.spec.minAvailable == "100%"

# METADATA
# title: Autoscalers keep two replicas in protected environments
# description: A workload that scales down to one pod has an outage with every drained node.
# custom:
#   id: autoscaler-minimum
#   severity: medium
#   layer: runtime
#   controls: ["Strata: high availability"]
#   kinds: [HorizontalPodAutoscaler, ScaledObject]
deny contains "minReplicas must be at least 2 in a protected environment" if {
	k8s.protected
	not two_at_least
}

two_at_least if replicas.least >= 2

# What KEDA is asked for has the same bounds by other names.
replicas := {"least": input.spec.minReplicas, "most": input.spec.maxReplicas} if input.kind == "HorizontalPodAutoscaler"

replicas := {"least": input.spec.minReplicaCount, "most": input.spec.maxReplicaCount} if input.kind == "ScaledObject"

# METADATA
# title: Autoscalers can scale
# description: An autoscaler whose maximum is its minimum does nothing.
# custom:
#   id: autoscaler-range
#   severity: low
#   layer: runtime
#   controls: ["Strata: metric-driven autoscaling"]
#   kinds: [HorizontalPodAutoscaler, ScaledObject]
warn contains "maxReplicas is not above minReplicas: the autoscaler cannot scale" if {
	replicas.least >= replicas.most
}

# METADATA
# title: Scheduled jobs do not pile up
# description: With concurrencyPolicy Allow, the default, a slow run meets its successor.
# custom:
#   id: cronjob-concurrency
#   severity: low
#   layer: runtime
#   controls: ["Strata: scheduled work"]
#   kinds: [CronJob]
warn contains "concurrencyPolicy should be Forbid or Replace" if not exclusive_runs

exclusive_runs if input.spec.concurrencyPolicy in {"Forbid", "Replace"}

# METADATA
# title: Workloads carry the recommended labels
# description: Logs, metrics and traces are joined by app.kubernetes.io/name, part-of and managed-by.
# custom:
#   id: recommended-labels
#   severity: low
#   layer: observability
#   controls: ["Kubernetes recommended labels"]
#   kinds: [Deployment, StatefulSet, DaemonSet, CronJob]
warn contains msg if {
	some label in {"app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"} - labels_set
	msg := sprintf("label %s is missing", [label])
}

labels_set contains "app.kubernetes.io/name" if is_string(input.metadata.labels["app.kubernetes.io/name"])

labels_set contains "app.kubernetes.io/part-of" if is_string(input.metadata.labels["app.kubernetes.io/part-of"])

labels_set contains "app.kubernetes.io/managed-by" if is_string(input.metadata.labels["app.kubernetes.io/managed-by"])
