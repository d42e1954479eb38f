# Scales workloads by the depth of queues.
resource "helm_release" "keda" {
  count = var.keda ? 1 : 0

  name      = "keda"
  namespace = "keda"

  repository = local.charts["keda"].repository
  chart      = local.charts["keda"].chart
  version    = local.charts["keda"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    clusterName = var.cluster_name

    # Definitions stay when the release goes: with them all ScaledObjects would go.
    crds = { install = true, additionalAnnotations = { "helm.sh/resource-policy" = "keep" } }

    operator      = { replicaCount = 2 }
    metricsServer = { replicaCount = 2 }
    webhooks      = { replicaCount = 2, failurePolicy = "Ignore" } # advice on ScaledObjects, no guard
    podDisruptionBudget = {
      operator     = { minAvailable = 1 }
      metricServer = { minAvailable = 1 }
      webhooks     = { minAvailable = 1 }
    }

    # Deployments are scaled, and nothing that others define.
    rbac = { aggregateToDefaultRoles = false, enabledCustomScaledRefKinds = false }

    podSecurityContext = { operator = local.pod, metricServer = local.pod, webhooks = local.pod }
    securityContext    = { operator = local.container, metricServer = local.container, webhooks = local.container }
    resources          = { operator = local.medium, metricServer = local.medium, webhooks = local.small }
  })]

  depends_on = [helm_release.namespaces]
}
