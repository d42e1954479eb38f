output "host" {
  description = "Host name of the server."
  value       = local.host

  # Who uses it waits until it is there.
  depends_on = [strata_manifest.server]
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
  description = "Path of the user's password in the secret store."
  value       = strata_secret.this.path
}
