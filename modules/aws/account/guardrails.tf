# Guard rails hold for everybody in the account, whatever IAM allows. They only
# deny; what is allowed is decided by FullAWSAccess and IAM. Service-linked roles
# of AWS are exempt by nature.

locals {
  # The policies are attached to this account alone, so any account in the ARN is
  # this one; its id is not known before it is there.
  deployer_arn = "arn:${data.aws_partition.current.partition}:iam::*:role/${local.deployer}"

  not_the_deployer = { ArnNotLike = { "aws:PrincipalArn" = local.deployer_arn } }

  # Organizations allows five policies on an account, one of which is
  # FullAWSAccess, and 5,120 characters in each.
  guardrails = {
    identity = {
      description = "No root user, no way out of the organization, no IAM users but Strata's"
      statements = [
        {
          Sid      = "RootUser"
          Action   = "*"
          Resource = "*"
          Condition = {
            ArnLike = { "aws:PrincipalArn" = "arn:${data.aws_partition.current.partition}:iam::*:root" }
          }
        },
        {
          Sid      = "LeaveOrganization"
          Action   = ["organizations:LeaveOrganization", "account:CloseAccount"]
          Resource = "*"
        },
        {
          Sid       = "UsersByOthers"
          Action    = ["iam:CreateUser", "iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:AddUserToGroup"]
          Resource  = "*"
          Condition = local.not_the_deployer
        },
        {
          # The s3 module makes a user for each bucket: S3's protocol knows keys only.
          Sid       = "UsersWithoutMark"
          Action    = "iam:CreateUser"
          Resource  = "*"
          Condition = { StringNotEquals = { "aws:RequestTag/managed-by" = "strata" } }
        },
        {
          Sid       = "KeysOfUsersWithoutMark"
          Action    = "iam:CreateAccessKey"
          Resource  = "*"
          Condition = { StringNotEquals = { "iam:ResourceTag/managed-by" = "strata" } }
        },
        {
          Sid      = "Passwords"
          Action   = ["iam:CreateLoginProfile", "iam:UpdateLoginProfile"]
          Resource = "*"
        },
        {
          Sid = "DeployerRole"
          Action = [
            "iam:AttachRolePolicy",
            "iam:DeleteRole",
            "iam:DeleteRolePermissionsBoundary",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
          ]
          Resource  = local.deployer_arn
          Condition = local.not_the_deployer
        },
      ]
    }

    audit = {
      description = "Nobody switches off what records"
      statements = [
        {
          Sid = "Trails"
          Action = [
            "cloudtrail:DeleteTrail",
            "cloudtrail:PutEventSelectors",
            "cloudtrail:StopLogging",
            "cloudtrail:UpdateTrail",
            "config:DeleteConfigurationRecorder",
            "config:DeleteDeliveryChannel",
            "config:StopConfigurationRecorder",
            "guardduty:DeleteDetector",
            "guardduty:DeleteMembers",
            "guardduty:DisassociateFromAdministratorAccount",
            "guardduty:DisassociateFromMasterAccount",
            "guardduty:DisassociateMembers",
            "guardduty:StopMonitoringMembers",
            "guardduty:UpdateDetector",
            "securityhub:DisableSecurityHub",
            "securityhub:DisassociateFromAdministratorAccount",
            "access-analyzer:DeleteAnalyzer",
          ]
          Resource = "*"
        },
        {
          # The deployer removes them with the environment.
          Sid       = "Logs"
          Action    = ["ec2:DeleteFlowLogs", "logs:DeleteLogGroup", "logs:DeleteLogStream", "logs:DeleteRetentionPolicy", "logs:DisassociateKmsKey", "logs:PutRetentionPolicy"]
          Resource  = "*"
          Condition = local.not_the_deployer
        },
      ]
    }

    data = {
      description = "Nothing is published or shared, and protected resources stay"
      statements = [
        {
          Sid      = "PublicACLs"
          Action   = ["s3:CreateBucket", "s3:PutBucketAcl", "s3:PutObject", "s3:PutObjectAcl"]
          Resource = "*"
          Condition = {
            StringEquals = { "s3:x-amz-acl" = ["authenticated-read", "public-read", "public-read-write"] }
          }
        },
        {
          Sid       = "PublicAccessBlock"
          Action    = ["s3:PutAccountPublicAccessBlock", "s3:PutBucketPublicAccessBlock"]
          Resource  = "*"
          Condition = local.not_the_deployer
        },
        {
          Sid = "Sharing"
          Action = [
            "ec2:DisableEbsEncryptionByDefault",
            "ec2:DisableImageBlockPublicAccess",
            "ec2:DisableSnapshotBlockPublicAccess",
            "ec2:ModifyImageAttribute",
            "ec2:ModifySnapshotAttribute",
            "rds:ModifyDBClusterSnapshotAttribute",
            "rds:ModifyDBSnapshotAttribute",
          ]
          Resource = "*"
        },
        {
          # The cluster's API has no deletion protection of its own in every
          # supported provider version; this is it.
          Sid = "Protected"
          Action = [
            "dynamodb:DeleteTable",
            "ec2:DeleteNatGateway",
            "ec2:DeleteSubnet",
            "ec2:DeleteVolume",
            "ec2:DeleteVpc",
            "ec2:DeleteVpcEndpoints",
            "ecr:DeleteRepository",
            "eks:DeleteCluster",
            "eks:DeleteNodegroup",
            "elasticache:DeleteReplicationGroup",
            "elasticache:DeleteSnapshot",
            "elasticfilesystem:DeleteFileSystem",
            "kafka:DeleteCluster",
            "kms:DisableKey",
            "kms:ScheduleKeyDeletion",
            "mq:DeleteBroker",
            "rds:DeleteDBCluster",
            "rds:DeleteDBInstance",
            "rds:DeleteDBSnapshot",
            "secretsmanager:DeleteSecret",
          ]
          Resource = "*"
          Condition = merge(local.not_the_deployer, {
            StringEquals = { "aws:ResourceTag/protected" = "true" }
          })
        },
        {
          Sid = "ProtectionTag"
          Action = [
            "ec2:DeleteTags",
            "ecr:UntagResource",
            "eks:UntagResource",
            "elasticache:RemoveTagsFromResource",
            "elasticfilesystem:UntagResource",
            "kafka:UntagResource",
            "kms:UntagResource",
            "mq:DeleteTags",
            "rds:RemoveTagsFromResource",
            "secretsmanager:UntagResource",
          ]
          Resource = "*"
          Condition = merge(local.not_the_deployer, {
            "ForAnyValue:StringEquals" = { "aws:TagKeys" = ["protected"] }
          })
        },
        {
          # Buckets have no tag conditions; the deployer alone deletes them.
          Sid       = "Buckets"
          Action    = ["s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning", "s3:PutLifecycleConfiguration"]
          Resource  = "*"
          Condition = local.not_the_deployer
        },
      ]
    }
  }
}

resource "aws_organizations_policy" "guardrail" {
  for_each = local.guardrails

  name        = "${local.name}-${each.key}"
  description = each.value.description
  type        = "SERVICE_CONTROL_POLICY"

  content = jsonencode({
    Version   = "2012-10-17"
    Statement = [for s in each.value.statements : merge({ Effect = "Deny" }, s)]
  })

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_organizations_policy_attachment" "guardrail" {
  for_each = aws_organizations_policy.guardrail

  policy_id = each.value.id
  target_id = aws_organizations_account.this.id
}
