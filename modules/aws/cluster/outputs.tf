output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name

  # Who deploys to the cluster waits until it has nodes and its add-ons.
  depends_on = [aws_eks_addon.network, aws_eks_addon.others, aws_eks_node_group.pool]
}

output "endpoint" {
  description = "URL of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate authority of the API server, PEM in base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "version" {
  description = "Kubernetes version that the cluster runs."
  value       = aws_eks_cluster.this.version
}

output "oidc_issuer" {
  description = "Issuer of the service account tokens."
  value       = aws_eks_cluster.this.identity[0].oidc[0].issuer
}

output "workload_security_group_id" {
  description = "Security group of the nodes, which databases and brokers let in."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "kubeconfig" {
  description = "Path of a kubeconfig file: none, because its credentials would be in the state. `aws eks update-kubeconfig` makes one."
  value       = null
}
