output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}

output "region" {
  description = "Region of the bucket."
  value       = var.region
}

output "kms_key" {
  description = "ARN of the key that encrypts the state."
  value       = aws_kms_key.this.arn
}
