output "name" {
  description = "Name of the cluster."
  value       = strata_cluster.this.name
}

output "endpoint" {
  description = "URL of the API server."
  value       = strata_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate authority of the API server, PEM in base64."
  value       = strata_cluster.this.certificate_authority
}

output "version" {
  description = "Kubernetes version that the cluster runs."
  value       = strata_cluster.this.version
}

output "oidc_issuer" {
  description = "Issuer of the service account tokens: none that anybody else could ask."
  value       = null
}

output "workload_security_group_id" {
  description = "Security group of the nodes: none on one machine, where network policies say who may connect."
  value       = null
}

output "kubeconfig" {
  description = "Path of a kubeconfig file of an administrator. Whoever may read the node's folder may read it."
  value       = strata_cluster.this.kubeconfig
}
