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
}

resource "aws_kms_key" "this" {
  description             = "Images of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = var.protected ? 30 : 7

  # ECR reads and writes by its own grants, so nobody needs Decrypt.
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.key_administration, local.key_grants]
  })

  tags = { Name = var.name }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
