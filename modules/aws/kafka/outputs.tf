output "bootstrap_servers" {
  description = "Brokers to start from, as host:port joined by commas: over TLS, signed in by SCRAM."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_scram
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_msk_cluster.this.arn
}
