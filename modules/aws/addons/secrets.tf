# Reads the central secrets service for ExternalSecrets. Its role is the module secrets',
# which knows the paths; the names of the namespace and of the service account are what that
# module gives the role to.
resource "helm_release" "external_secrets" {
  name      = "external-secrets"
  namespace = "external-secrets"

  repository = local.charts["external-secrets"].repository
  chart      = local.charts["external-secrets"].chart
  version    = local.charts["external-secrets"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    replicaCount        = 2
    leaderElect         = true
    podDisruptionBudget = { enabled = true, minAvailable = 1 }
    serviceAccount      = { create = true, name = "external-secrets" }
    podSecurityContext  = merge(local.pod, { enabled = true })
    securityContext     = merge(local.container, { enabled = true, runAsUser = 1000, seccompProfile = { type = "RuntimeDefault" } })
    resources           = local.medium

    # Only what Strata renders: ExternalSecrets that read one ClusterSecretStore. Nothing
    # writes to the service, and nothing makes objects in other namespaces.
    crds = {
      createClusterExternalSecret = false
      createClusterGenerator      = false
      createClusterPushSecret     = false
      createPushSecret            = false
    }
    processClusterExternalSecret = false
    processClusterGenerator      = false
    processClusterPushSecret     = false
    processPushSecret            = false

    # Who may edit a namespace may not thereby read every secret of the environment.
    rbac = {
      aggregateToEdit = false
      servicebindings = { create = false }
    }

    webhook = {
      replicaCount        = 2
      failurePolicy       = "Fail" # it judges ExternalSecrets and stores alone
      podDisruptionBudget = { enabled = true, minAvailable = 1 }
      podSecurityContext  = merge(local.pod, { enabled = true })
      securityContext     = merge(local.container, { enabled = true, runAsUser = 1000, seccompProfile = { type = "RuntimeDefault" } })
      resources           = local.small
    }

    certController = {
      podSecurityContext = merge(local.pod, { enabled = true })
      securityContext    = merge(local.container, { enabled = true, runAsUser = 1000, seccompProfile = { type = "RuntimeDefault" } })
      resources          = local.medium
    }
  })]

  depends_on = [helm_release.namespaces]
}
