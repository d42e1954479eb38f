locals {
  # What node agents run as on Bottlerocket, where SELinux keeps other containers from
  # the files of the node.
  node_agent = { user = "system_u", role = "system_r", type = "super_t", level = "s0" }
}

resource "helm_release" "istio_base" {
  count = var.istio ? 1 : 0

  name      = "istio-base"
  namespace = "istio-system"

  repository = local.charts["istio-base"].repository
  chart      = local.charts["istio-base"].chart
  version    = local.charts["istio-base"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5

  values = [yamlencode({ global = { istioNamespace = "istio-system" } })]

  depends_on = [helm_release.namespaces]
}

resource "helm_release" "istiod" {
  count = var.istio ? 1 : 0

  name      = "istiod"
  namespace = "istio-system"

  repository = local.charts["istiod"].repository
  chart      = local.charts["istiod"].chart
  version    = local.charts["istiod"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    profile        = "ambient"
    autoscaleMin   = 2
    autoscaleMax   = 5
    seccompProfile = { type = "RuntimeDefault" }
    resources      = { requests = { cpu = "200m", memory = "512Mi" }, limits = { memory = "2Gi" } }

    # Rules about who may call whom name identities of this domain.
    meshConfig = { trustDomain = var.trust_domain }

    global = {
      istioNamespace             = "istio-system"
      logAsJson                  = true
      defaultPodDisruptionBudget = { enabled = true }
      # Of gateways' pods, whose namespace is restricted.
      proxy = { seccompProfile = { type = "RuntimeDefault" } }
    }
  })]

  depends_on = [helm_release.istio_base]
}

resource "helm_release" "istio_cni" {
  count = var.istio ? 1 : 0

  name      = "istio-cni"
  namespace = "istio-system"

  repository = local.charts["istio-cni"].repository
  chart      = local.charts["istio-cni"].chart
  version    = local.charts["istio-cni"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    profile        = "ambient"
    seLinuxOptions = local.node_agent
    resources      = { requests = { cpu = "50m", memory = "100Mi" }, limits = { memory = "512Mi" } }
    global         = { logAsJson = true }
  })]

  depends_on = [helm_release.istiod]
}

resource "helm_release" "ztunnel" {
  count = var.istio ? 1 : 0

  name      = "ztunnel"
  namespace = "istio-system"

  repository = local.charts["ztunnel"].repository
  chart      = local.charts["ztunnel"].chart
  version    = local.charts["ztunnel"].version

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5
  timeout         = 600

  values = [yamlencode({
    istioNamespace = "istio-system"
    logAsJson      = true
    seLinuxOptions = local.node_agent
    resources      = { requests = { cpu = "100m", memory = "256Mi" }, limits = { memory = "1Gi" } }
  })]

  depends_on = [helm_release.istio_cni]
}
