# The environment's secrets, kept in its own cluster, and its own certificate authority.
#
# Each secret is one Secret in the namespace strata-secrets, which nothing runs in and
# which none of the teams' roles can read; etcd keeps them encrypted. Databases and
# brokers run in strata-data, under the strictest of the Pod Security Standards and
# without any network but what their own policies open. The authority's certificate is
# published to every pod that asks for the ClusterTrustBundle strata-platform-ca; its
# key is one of the secrets.

locals {
  store = "kubernetes:strata-secrets"

  namespaces = {
    strata-secrets = "Secrets of the environment"
    strata-data    = "Databases and brokers of the environment"
  }
}

resource "strata_manifest" "namespace" {
  for_each   = local.namespaces
  kubeconfig = var.kubeconfig

  manifest = {
    apiVersion = "v1"
    kind       = "Namespace"
    metadata = {
      name        = each.key
      annotations = { "strata.dev/description" = each.value }
      labels = {
        "pod-security.kubernetes.io/enforce" = "restricted"
        "pod-security.kubernetes.io/audit"   = "restricted"
        "pod-security.kubernetes.io/warn"    = "restricted"
      }
    }
  }
}

resource "strata_manifest" "default_deny" {
  for_each   = local.namespaces
  kubeconfig = var.kubeconfig

  manifest = {
    apiVersion = "networking.k8s.io/v1"
    kind       = "NetworkPolicy"
    metadata   = { name = "default-deny", namespace = each.key }
    spec       = { podSelector = {}, policyTypes = ["Ingress", "Egress"] }
  }

  depends_on = [strata_manifest.namespace]
}

resource "strata_certificate_authority" "this" {
  kubeconfig = var.kubeconfig
  store      = local.store
  path       = "${var.path_prefix}/platform/certificate-authority"

  depends_on = [strata_manifest.namespace]
}

resource "strata_manifest" "trust" {
  kubeconfig = var.kubeconfig

  manifest = {
    apiVersion = "certificates.k8s.io/v1"
    kind       = "ClusterTrustBundle"
    metadata   = { name = "strata-platform-ca" }
    spec       = { trustBundle = strata_certificate_authority.this.certificate }
  }
}
