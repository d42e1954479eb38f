# Where an environment's secrets are: AWS Secrets Manager below a path of the
# environment's own, a key that encrypts them and the environment's data, and a role
# with which External Secrets reads exactly this path from the cluster.
#
# Rotated by AWS: the key once a year. Passwords of databases are RDS's, which
# rotates them weekly.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  region     = data.aws_region.current.id # .name is deprecated from provider 6 on
  root       = "arn:${local.partition}:iam::${local.account}:root"

  # The platform and the environment are the tags that everything of this
  # environment has.
  tag_platform    = split("/", var.path_prefix)[0]
  tag_environment = split("/", var.path_prefix)[1]

  secrets = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret"
}

# What External Secrets is in the cluster: the pods of this service account get
# the role by EKS Pod Identity, and nobody else does.
resource "aws_eks_pod_identity_association" "reader" {
  cluster_name    = var.cluster_name
  namespace       = "external-secrets"
  service_account = "external-secrets"
  role_arn        = aws_iam_role.reader.arn

  tags = { Name = "${var.name}-reader" }
}

resource "aws_iam_role" "reader" {
  name        = "${var.name}-reader"
  description = "External Secrets reads secrets below ${var.path_prefix}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${var.cluster_name}" }
      }
    }]
  })

  tags = { Name = "${var.name}-reader" }
}

resource "aws_iam_role_policy" "reader" {
  name = "read"
  role = aws_iam_role.reader.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "OwnPaths"
        Effect = "Allow"
        Action = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        # MSK prescribes how the names of its secrets begin, and takes no slashes.
        Resource = ["${local.secrets}:${var.path_prefix}/*", "${local.secrets}:AmazonMSK_${replace(var.path_prefix, "/", "_")}_*"]
      },
      {
        # RDS names the secrets that it manages itself, and gives them the tags
        # that the database has when it is made.
        Sid      = "DatabasesOfThisEnvironment"
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = "${local.secrets}:rds!*"
        Condition = {
          StringEquals = {
            "secretsmanager:ResourceTag/platform"    = local.tag_platform
            "secretsmanager:ResourceTag/environment" = local.tag_environment
          }
        }
      },
      {
        Sid      = "OwnKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = aws_kms_key.this.arn
        Condition = {
          StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.${local.dns_suffix}" }
        }
      },
    ]
  })
}
