output "host" {
  description = "Host name of the broker."
  value       = local.host

  # Who uses it waits until it is there.
  depends_on = [strata_manifest.server]
}

output "port" {
  description = "TCP port of the broker, for TLS."
  value       = local.port
}

output "vhost" {
  description = "Virtual host."
  value       = local.vhost
}

output "username" {
  description = "User to sign in as."
  value       = local.username
}

output "password" {
  description = "Path of the user's password in the secret store."
  value       = strata_secret.this.path
}
