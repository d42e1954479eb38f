output "endpoint" {
  description = "URL of the S3 service."
  value       = "https://${local.host}:${local.port}"

  # Who uses it waits until it is there.
  depends_on = [strata_manifest.server]
}

output "region" {
  description = "Region to sign requests for."
  value       = "local"
}

output "bucket" {
  description = "Name of the bucket."
  value       = local.bucket
}

output "access_key_id" {
  description = "Access key of the user."
  value       = local.username
}

output "secret_key" {
  description = "Path of the user's secret key in the secret store."
  value       = strata_secret.this.path
}
