# What an EKS cluster needs besides Kubernetes, as Helm releases at exact versions: External
# Secrets always; with an ingress domain cert-manager, the AWS Load Balancer Controller and
# external-dns; where Istio is the mesh its definitions and control plane and the node agents
# istio-cni and ztunnel; KEDA where strata-control, which would register the same metrics API,
# is not there. metrics-server is an add-on of EKS itself and comes with the module cluster.
#
# Each release waits until it is healthy and is taken back where it is not (atomic). Two pods
# and a disruption budget where a chart has them, no root, nothing written to the root file
# system, no capabilities, limits of memory. The namespaces keep to the restricted Pod Security
# Standard, except istio-system, where node agents change the network of pods.
#
# A controller that acts in AWS has a role of its own by EKS Pod Identity: external-dns and
# cert-manager in one hosted zone, cert-manager only for the records of challenges, the load
# balancer controller on what carries the cluster's name in a tag. External Secrets gets the
# role of the module secrets.
#
# Keys of values were checked against these versions of the charts' own sources: external-secrets
# 2.0 (values.yaml), cert-manager 1.17 (values.yaml), aws-load-balancer-controller 1.6 (values.yaml
# and deployment), external-dns 1.5 and 1.14 (values.yaml and schema), Istio 1.26 (values.yaml of
# istiod, cni and ztunnel), KEDA 2.11 (values.yaml) and 2.16 (table of values). Not checked: that no later version of these, up to the one that is
# installed, renamed one of them; and the SELinux type that node agents have on Bottlerocket,
# which is that of other agents of nodes there. No version of this module has been applied to a
# cluster in AWS yet.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id # .name is deprecated from provider 6 on
  dns_suffix = data.aws_partition.current.dns_suffix

  ingress = var.ingress_domain != null

  # The namespaces and the Pod Security Standard of each.
  namespaces = merge(
    { external-secrets = "restricted" },
    local.ingress ? { cert-manager = "restricted", aws-load-balancer-controller = "restricted", external-dns = "restricted" } : {},
    # istio-cni and ztunnel act on the network of the node and of its pods.
    var.istio ? { istio-system = "privileged" } : {},
    var.keda ? { keda = "restricted" } : {},
  )

  # What every container has that needs no more.
  container = {
    allowPrivilegeEscalation = false
    capabilities             = { drop = ["ALL"] }
    readOnlyRootFilesystem   = true
    runAsNonRoot             = true
  }
  pod = {
    runAsNonRoot   = true
    seccompProfile = { type = "RuntimeDefault" }
  }

  small  = { requests = { cpu = "20m", memory = "64Mi" }, limits = { memory = "256Mi" } }
  medium = { requests = { cpu = "50m", memory = "128Mi" }, limits = { memory = "512Mi" } }
}

# Helm can make a namespace, but not with the labels that say what its pods may do.
resource "helm_release" "namespaces" {
  name      = "namespaces"
  namespace = "kube-system"
  chart     = "${path.module}/namespaces"

  atomic          = true
  cleanup_on_fail = true
  max_history     = 5

  values = [yamlencode({ namespaces = local.namespaces })]
}
