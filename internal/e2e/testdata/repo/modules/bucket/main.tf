terraform {
  required_version = ">= 1.10"
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "name" {
  description = "Name of the bucket."
  type        = string
}

variable "days" {
  description = "Days that files are kept."
  type        = number
}

variable "subnets" {
  description = "Subnets that use it."
  type        = list(string)
}

resource "aws_s3_bucket" "this" {
  bucket = var.name
  tags   = { Name = var.name, Subnets = join(" ", var.subnets) }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.days
    }
  }
}

output "name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}
