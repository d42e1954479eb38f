output "charts" {
  description = "Version of each chart that is installed, by its name."
  value = { for r in concat(
    [helm_release.external_secrets],
    helm_release.cert_manager,
    helm_release.load_balancer_controller,
    helm_release.external_dns,
    helm_release.istio_base,
    helm_release.istiod,
    helm_release.istio_cni,
    helm_release.ztunnel,
    helm_release.keda,
  ) : r.name => r.version }
}
