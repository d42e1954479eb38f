output "store" {
  description = "Driver and place of the store."
  value       = local.store

  # Who keeps secrets in it waits until there is a place for them, and an authority.
  depends_on = [strata_manifest.namespace, strata_manifest.default_deny, strata_certificate_authority.this]
}

output "path_prefix" {
  description = "Prefix of all paths of the environment in the store."
  value       = var.path_prefix
}

output "kms_key" {
  description = "Key that encrypts secrets and data: none of a cloud; the node encrypts what etcd keeps with its own."
  value       = null
}

output "reader_identity" {
  description = "Identity by which the cluster reads secrets: none, since they are in it."
  value       = null
}
