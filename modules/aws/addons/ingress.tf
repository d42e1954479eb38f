# Issues the gateways' certificates and those of webhooks.
resource "helm_release" "cert_manager" {
  count = local.ingress ? 1 : 0

  name      = "cert-manager"
  namespace = "cert-manager"

  repository = local.charts["cert-manager"].repository
  chart      = local.charts["cert-manager"].chart
  version    = local.charts["cert-manager"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    # Definitions stay when the release goes: with them all certificates would go.
    crds = { enabled = true, keep = true }
    global = {
      leaderElection = { namespace = "cert-manager" }
      rbac           = { aggregateClusterRoles = false }
    }

    replicaCount             = 2
    podDisruptionBudget      = { enabled = true, minAvailable = 1 }
    serviceAccount           = { create = true, name = "cert-manager" }
    securityContext          = local.pod
    containerSecurityContext = local.container
    resources                = local.medium

    webhook = {
      replicaCount             = 2
      timeoutSeconds           = 10
      podDisruptionBudget      = { enabled = true, minAvailable = 1 }
      securityContext          = local.pod
      containerSecurityContext = local.container
      resources                = local.small
    }

    cainjector = {
      replicaCount             = 2
      podDisruptionBudget      = { enabled = true, minAvailable = 1 }
      securityContext          = local.pod
      containerSecurityContext = local.container
      resources                = local.medium
    }

    startupapicheck = {
      securityContext          = local.pod
      containerSecurityContext = local.container
      resources                = local.small
    }
  })]

  depends_on = [
    aws_eks_pod_identity_association.controller,
    aws_iam_role_policy.controller,
    helm_release.namespaces,
  ]
}

# Makes network load balancers for the gateways' Services, and nothing else: no load
# balancers of HTTP, for which there would be Ingresses.
resource "helm_release" "load_balancer_controller" {
  count = local.ingress ? 1 : 0

  name      = "aws-load-balancer-controller"
  namespace = "aws-load-balancer-controller"

  repository = local.charts["aws-load-balancer-controller"].repository
  chart      = local.charts["aws-load-balancer-controller"].chart
  version    = local.charts["aws-load-balancer-controller"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    clusterName = var.cluster_name
    region      = local.region
    vpcId       = var.vpc_id # pods cannot ask the node's metadata
    defaultTags = local.tags

    replicaCount        = 2
    podDisruptionBudget = { maxUnavailable = 1 }
    serviceAccount      = { create = true, name = "aws-load-balancer-controller" }
    podSecurityContext  = merge(local.pod, { fsGroup = 65534 })
    securityContext     = local.container
    resources           = local.medium

    # Its webhook's key is cert-manager's: Helm would keep one that it makes in its records.
    enableCertManager = true
    # Gateways ask for it by an annotation. A webhook for every Service would let nobody make
    # one while this is down.
    enableServiceMutatorWebhook = false
    enableShield                = false
    enableWaf                   = false
    enableWafv2                 = false
    createIngressClassResource  = false
    ingressClassParams          = { create = false }
    defaultTargetType           = "ip"
  })]

  depends_on = [
    aws_eks_pod_identity_association.controller,
    aws_iam_role_policy.controller,
    helm_release.cert_manager,
  ]
}

# Writes the names of routes into the environment's zone.
resource "helm_release" "external_dns" {
  count = local.ingress ? 1 : 0

  name      = "external-dns"
  namespace = "external-dns"

  repository = local.charts["external-dns"].repository
  chart      = local.charts["external-dns"].chart
  version    = local.charts["external-dns"].version

  # It starts when there is the Gateway API, which is not this module's. An environment whose
  # objects somebody else applies may have that later than this.
  wait            = false
  cleanup_on_fail = true
  max_history     = 5

  values = [yamlencode({
    provider      = { name = "aws" }
    sources       = ["gateway-httproute"]
    policy        = "sync"
    registry      = "txt"
    txtOwnerId    = var.cluster_name # two clusters do not take each other's records
    txtPrefix     = "strata-"
    domainFilters = [var.zone_name]
    extraArgs     = ["--zone-id-filter=${var.zone_id}", "--aws-zone-type=public"]
    env           = [{ name = "AWS_REGION", value = local.region }]

    # One at a time: the chart has no election of a leader.
    deploymentStrategy = { type = "Recreate" }
    serviceAccount     = { create = true }
    podSecurityContext = merge(local.pod, { fsGroup = 65534 })
    securityContext    = merge(local.container, { privileged = false, runAsUser = 65532, runAsGroup = 65532 })
    resources          = local.small
  })]

  depends_on = [
    aws_eks_pod_identity_association.controller,
    aws_iam_role_policy.controller,
    helm_release.namespaces,
  ]
}
