output "host" {
  description = "Host name of the broker."
  value       = try(regex("^amqps://([^:/]+)", aws_cloudformation_stack.broker.outputs["Endpoint"])[0], aws_cloudformation_stack.broker.outputs["Endpoint"])
}

output "port" {
  description = "TCP port of the broker."
  value       = local.port
}

output "vhost" {
  description = "Virtual host."
  value       = "/"
}

output "username" {
  description = "User to sign in as."
  value       = local.username
}

output "password" {
  description = "Where the password of the user is in Secrets Manager."
  value       = local.secret_name

  depends_on = [aws_cloudformation_stack.broker]
}
