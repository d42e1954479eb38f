# A bucket, encrypted with the environment's key, versioned, reached over TLS only
# and never public, with a user that may read and write the objects of this bucket
# and nothing else.

# Waives iam-user: the S3 protocol as the contract promises it knows access keys
#   only. The user may use this bucket alone, has no password, and the secret half of
#   its key is in Secrets Manager.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_partition" "current" {}

locals {
  # Names of buckets are unique among all customers of AWS: the account makes ours so.
  stem   = length(var.name) <= 50 ? var.name : "${trimsuffix(substr(var.name, 0, 41), "-")}-${substr(sha256(var.name), 0, 8)}"
  bucket = "${local.stem}-${data.aws_caller_identity.current.account_id}"

  region      = data.aws_region.current.id # .name is deprecated from provider 6 on
  secret_name = "${var.secret_path}/secret_key"
}

resource "aws_s3_bucket" "this" {
  bucket        = local.bucket
  force_destroy = !var.protected

  tags = { Name = local.bucket }
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = var.versioning ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "tidy"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = var.expire_days == 0 ? [] : [var.expire_days]

    content {
      id     = "expire"
      status = "Enabled"

      filter {}

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_cors_configuration" "this" {
  count = length(var.cors_origins) == 0 ? 0 : 1

  bucket = aws_s3_bucket.this.id

  cors_rule {
    allowed_origins = var.cors_origins
    allowed_methods = ["GET", "HEAD", "PUT", "POST"]
    allowed_headers = ["*"]
    expose_headers  = ["ETag"]
    max_age_seconds = 3600
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TLSOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}

# The S3 protocol knows access keys only, so the workload gets a user of its own.
resource "aws_iam_user" "this" {
  name          = local.stem
  force_destroy = true

  tags = { Name = local.stem }
}

resource "aws_iam_user_policy" "this" {
  name = "bucket"
  user = aws_iam_user.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
        Resource = aws_s3_bucket.this.arn
      },
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = "${aws_s3_bucket.this.arn}/*"
      },
      {
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.kms_key
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
      },
    ]
  })
}

# CloudFormation makes the access key and puts its secret half straight into Secrets
# Manager; the provider's own resource would keep it in the state.
resource "aws_cloudformation_stack" "key" {
  name = "${local.stem}-key"

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Access key of ${local.stem}"
    Resources = {
      Key = {
        Type       = "AWS::IAM::AccessKey"
        Properties = { UserName = aws_iam_user.this.name }
      }
      Secret = {
        Type = "AWS::SecretsManager::Secret"
        Properties = {
          Name         = local.secret_name
          Description  = "Secret key of ${local.stem}"
          KmsKeyId     = var.kms_key
          SecretString = { "Fn::GetAtt" = ["Key", "SecretAccessKey"] }
        }
      }
    }
    Outputs = { AccessKeyId = { Value = { Ref = "Key" } } }
  })

  tags = { Name = "${local.stem}-key" }
}
