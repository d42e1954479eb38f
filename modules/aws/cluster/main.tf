# An EKS cluster with a private endpoint, Secrets encrypted with a key of its own,
# all logs of the control plane, access entries instead of the aws-auth ConfigMap,
# and identities for pods by EKS Pod Identity. Its nodes are Bottlerocket:
# immutable, with encrypted disks and instance metadata that pods cannot reach.
#
# EKS has a switch for deletion protection, but not in all versions of the provider
# that this module takes. What keeps a protected cluster is Strata's policy
# protected-destroy, and that a plan has to be approved.

# Waives ebs-cmk: disks of nodes are encrypted with the account's own EBS key, not
#   the cluster's. A key of one's own must trust a role of AWS that a new account does
#   not have yet; the disks hold images, logs and temporary files.
# Waives eks-creator-admin: whoever makes the cluster is its administrator. That is
#   the role that environments are applied with, which has to put objects into the
#   cluster.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # A cluster's name has at most 100 characters, a role's 64.
  id = length(var.name) <= 48 ? var.name : "${trimsuffix(substr(var.name, 0, 39), "-")}-${substr(sha256(var.name), 0, 8)}"

  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix
  region     = data.aws_region.current.id # .name is deprecated from provider 6 on

  arn      = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${local.id}"
  policies = "arn:${local.partition}:iam::aws:policy"
}

# Made here so that it is encrypted and has an end: EKS would make one that has neither.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/eks/${local.id}/cluster"
  retention_in_days = var.protected ? 365 : 30
  kms_key_id        = aws_kms_key.this.arn

  tags = { Name = "/aws/eks/${local.id}/cluster" }
}

resource "aws_iam_role" "cluster" {
  name        = "${local.id}-cluster"
  description = "Control plane of ${local.id}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "eks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })

  tags = { Name = "${local.id}-cluster" }
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "${local.policies}/AmazonEKSClusterPolicy"
}

resource "aws_iam_role_policy" "secrets" {
  name = "secrets"
  role = aws_iam_role.cluster.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"]
      Resource = aws_kms_key.this.arn
    }]
  })
}

resource "aws_eks_cluster" "this" {
  name     = local.id
  version  = var.cluster_version
  role_arn = aws_iam_role.cluster.arn

  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  access_config {
    # Who may do what is in access entries alone, never in the aws-auth ConfigMap.
    authentication_mode = "API"

    # Whoever makes the cluster deploys to it: the role that the environment is
    # applied with.
    bootstrap_cluster_creator_admin_permissions = true
  }

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_access_cidrs) > 0
    public_access_cidrs     = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null
  }

  encryption_config {
    resources = ["secrets"]

    provider {
      key_arn = aws_kms_key.this.arn
    }
  }

  tags = { Name = local.id }

  # Without its permissions the control plane leaves network interfaces behind when
  # it is deleted.
  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.secrets,
    aws_iam_role_policy_attachment.cluster,
  ]
}

resource "aws_eks_access_entry" "administrator" {
  for_each = var.administrators

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key

  tags = { Name = local.id }
}

resource "aws_eks_access_policy_association" "administrator" {
  for_each = var.administrators

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.administrator[each.key].principal_arn
  policy_arn    = "arn:${local.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}
