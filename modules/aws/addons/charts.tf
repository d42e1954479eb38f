locals {
  # All charts, each at one version: what raises versions reads this map.
  charts = {
    cert-manager = {
      repository = "https://charts.jetstack.io"
      chart      = "cert-manager"
      version    = "v1.19.1"
    }
    external-secrets = {
      repository = "https://charts.external-secrets.io"
      chart      = "external-secrets"
      version    = "2.0.0"
    }
    aws-load-balancer-controller = {
      repository = "https://aws.github.io/eks-charts"
      chart      = "aws-load-balancer-controller"
      version    = "1.17.1"
    }
    external-dns = {
      repository = "https://kubernetes-sigs.github.io/external-dns"
      chart      = "external-dns"
      version    = "1.20.0"
    }
    istio-base = {
      repository = "https://istio-release.storage.googleapis.com/charts"
      chart      = "base"
      version    = "1.29.2"
    }
    istiod = {
      repository = "https://istio-release.storage.googleapis.com/charts"
      chart      = "istiod"
      version    = "1.29.2"
    }
    istio-cni = {
      repository = "https://istio-release.storage.googleapis.com/charts"
      chart      = "cni"
      version    = "1.29.2"
    }
    keda = {
      repository = "https://kedacore.github.io/charts"
      chart      = "keda"
      version    = "2.19.0"
    }
    ztunnel = {
      repository = "https://istio-release.storage.googleapis.com/charts"
      chart      = "ztunnel"
      version    = "1.29.2"
    }
  }
}
