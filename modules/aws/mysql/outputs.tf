output "host" {
  description = "Host name of the server."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "TCP port of the server."
  value       = local.port
}

output "name" {
  description = "Name of the database."
  value       = local.database
}

output "username" {
  description = "User to sign in as."
  value       = local.username
}

output "password" {
  description = "Where the password of the user is in Secrets Manager: ARN#KEY."
  value       = "${aws_db_instance.this.master_user_secret[0].secret_arn}#password"
}
