locals {
  # What IAM policies of the account may grant about the key itself. It is not
  # kms:*, so who administers a key cannot read with it.
  key_administration = {
    Sid       = "Administration"
    Effect    = "Allow"
    Principal = { AWS = local.root }
    Action = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:DisableKeyRotation",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListAliases",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:RevokeGrant",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]
    Resource = "*"
  }

  # Services keep a grant on the key for as long as they keep data under it.
  key_grants = {
    Sid       = "GrantsForServices"
    Effect    = "Allow"
    Principal = { AWS = local.root }
    Action    = "kms:CreateGrant"
    Resource  = "*"
    Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
  }

  # Services that keep data of the environment under its key.
  key_services = ["elasticache", "kafka", "mq", "rds", "s3", "secretsmanager"]
}

resource "aws_kms_key" "this" {
  description             = "Secrets and data below ${var.path_prefix}"
  enable_key_rotation     = true
  deletion_window_in_days = var.protected ? 30 : 7

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      local.key_administration,
      local.key_grants,
      {
        # Whom IAM lets use the key, uses it through one of these services and
        # never on ciphertext of his own.
        Sid       = "ThroughServices"
        Effect    = "Allow"
        Principal = { AWS = local.root }
        Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Resource  = "*"
        Condition = {
          StringEquals = { "kms:ViaService" = [for s in local.key_services : "${s}.${local.region}.${local.dns_suffix}"] }
        }
      },
      {
        # Log groups of the environment's databases and brokers.
        Sid       = "LogGroups"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.${local.dns_suffix}" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*" }
        }
      },
    ]
  })

  tags = { Name = var.name }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
