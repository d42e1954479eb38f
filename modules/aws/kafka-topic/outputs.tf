output "host" {
  description = "Host name of the first broker."
  value       = local.first[0]
}

output "port" {
  description = "TCP port of the brokers."
  value       = tonumber(try(local.first[1], 9096))
}

output "topic" {
  description = "Name of the topic."
  value       = local.topic

  depends_on = [aws_cloudformation_stack.topic]
}

output "bootstrap_servers" {
  description = "Brokers to start from, as host:port joined by commas."
  value       = var.bootstrap_servers
}

output "username" {
  description = "User to sign in as, by SCRAM-SHA-512."
  value       = local.username

  depends_on = [aws_cloudformation_stack.topic]
}

output "password" {
  description = "Where the password of the user is in Secrets Manager: NAME#KEY."
  value       = "${local.secret_name}#password"

  depends_on = [aws_cloudformation_stack.topic]
}
