output "endpoint" {
  description = "URL of the S3 service."
  value       = "https://s3.${local.region}.${data.aws_partition.current.dns_suffix}"
}

output "region" {
  description = "Region to sign requests for."
  value       = local.region
}

output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}

output "access_key_id" {
  description = "Access key of the user."
  value       = aws_cloudformation_stack.key.outputs["AccessKeyId"]
}

output "secret_key" {
  description = "Where the secret key of the user is in Secrets Manager."
  value       = local.secret_name

  depends_on = [aws_cloudformation_stack.key]
}
