locals {
  # A role's name has at most 64 characters.
  id = length(var.name) <= 34 ? var.name : "${trimsuffix(substr(var.name, 0, 25), "-")}-${substr(sha256(var.name), 0, 8)}"

  cluster_arn = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${var.cluster_name}"
  zone_arn    = var.zone_id == null ? null : "arn:${local.partition}:route53:::hostedzone/${var.zone_id}"

  tags = {
    managed-by  = "strata"
    platform    = var.platform
    environment = var.environment
  }

  # Controllers that act in AWS. Each one's namespace and service account have its name.
  controllers = toset([for name, needed in {
    aws-load-balancer-controller = local.ingress
    cert-manager                 = local.ingress && var.acme
    external-dns                 = local.ingress
  } : name if needed])

  policies = {
    aws-load-balancer-controller = jsonencode({ Version = "2012-10-17", Statement = local.load_balancers })
    cert-manager                 = jsonencode({ Version = "2012-10-17", Statement = local.challenges })
    external-dns                 = jsonencode({ Version = "2012-10-17", Statement = local.external_dns })
  }

  external_dns = [
    {
      Sid      = "Records"
      Effect   = "Allow"
      Action   = "route53:ChangeResourceRecordSets"
      Resource = local.zone_arn
      Condition = {
        "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["A", "AAAA", "CNAME", "TXT"] }
      }
    },
    {
      Sid      = "Read"
      Effect   = "Allow"
      Action   = ["route53:ListResourceRecordSets", "route53:ListTagsForResources"]
      Resource = local.zone_arn
    },
    {
      # Lists take no narrower resource.
      Sid      = "FindZone"
      Effect   = "Allow"
      Action   = "route53:ListHostedZones"
      Resource = "*"
    },
  ]

  challenges = [
    {
      Sid      = "Challenges"
      Effect   = "Allow"
      Action   = "route53:ChangeResourceRecordSets"
      Resource = local.zone_arn
      Condition = {
        "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["TXT"] }
        "ForAllValues:StringLike"   = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = ["_acme-challenge.*"] }
      }
    },
    {
      Sid      = "Read"
      Effect   = "Allow"
      Action   = "route53:ListResourceRecordSets"
      Resource = local.zone_arn
    },
    {
      Sid      = "Progress"
      Effect   = "Allow"
      Action   = "route53:GetChange"
      Resource = "arn:${local.partition}:route53:::change/*"
    },
    {
      Sid      = "FindZone"
      Effect   = "Allow"
      Action   = "route53:ListHostedZonesByName"
      Resource = "*"
    },
  ]
}

resource "aws_iam_role" "controller" {
  for_each = local.controllers

  name        = "${local.id}-${each.key}"
  description = "Add-on of ${var.cluster_name}: ${each.key}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = local.cluster_arn }
      }
    }]
  })

  tags = { Name = "${local.id}-${each.key}" }
}

resource "aws_iam_role_policy" "controller" {
  for_each = local.controllers

  name   = "controller"
  role   = aws_iam_role.controller[each.key].name
  policy = local.policies[each.key]
}

resource "aws_eks_pod_identity_association" "controller" {
  for_each = local.controllers

  cluster_name    = var.cluster_name
  namespace       = each.key
  service_account = each.key
  role_arn        = aws_iam_role.controller[each.key].arn

  tags = { Name = "${local.id}-${each.key}" }
}
