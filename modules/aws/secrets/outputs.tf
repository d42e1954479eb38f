output "store" {
  description = "Driver and place of the store."
  value       = "aws-secrets-manager:${local.region}"
}

output "path_prefix" {
  description = "Prefix of all paths of the environment in the store."
  value       = var.path_prefix
}

output "kms_key" {
  description = "ARN of the key that encrypts the environment's secrets and data."
  value       = aws_kms_key.this.arn
}

output "reader_identity" {
  description = "ARN of the role by which External Secrets reads the secrets."
  value       = aws_iam_role.reader.arn
}
