output "host" {
  description = "Host name of the store."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "TCP port of the store."
  value       = local.port
}

output "username" {
  description = "User to sign in as."
  value       = local.username
}

output "password" {
  description = "Where the password of the user is in Secrets Manager."
  value       = local.secret_name

  depends_on = [aws_cloudformation_stack.user]
}
