locals {
  # The tags by which the controller knows what is this cluster's.
  own_tag     = { "elbv2.k8s.aws/cluster" = var.cluster_name }
  resource_of = { StringEquals = { for k, v in local.own_tag : "aws:ResourceTag/${k}" => v } }
  request_of  = { StringEquals = { for k, v in local.own_tag : "aws:RequestTag/${k}" => v } }

  ec2 = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  elb = "arn:${local.partition}:elasticloadbalancing:${local.region}:${local.account}"

  # Network load balancers alone. What the controller makes has its tag from the first
  # moment, and what it changes or deletes must have it.
  load_balancers = [
    {
      Sid    = "Look"
      Effect = "Allow"
      Action = [
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeAddresses",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeInstances",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeTags",
        "ec2:DescribeVpcPeeringConnections",
        "ec2:DescribeVpcs",
        "ec2:GetSecurityGroupsForVpc",
        "elasticloadbalancing:DescribeCapacityReservation",
        "elasticloadbalancing:DescribeListenerAttributes",
        "elasticloadbalancing:DescribeListenerCertificates",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeSSLPolicies",
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:DescribeTrustStores",
      ]
      Resource = "*"
    },
    {
      Sid       = "ServiceRole"
      Effect    = "Allow"
      Action    = "iam:CreateServiceLinkedRole"
      Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/elasticloadbalancing.${local.dns_suffix}/*"
      Condition = { StringEquals = { "iam:AWSServiceName" = "elasticloadbalancing.${local.dns_suffix}" } }
    },
    {
      Sid      = "SecurityGroupsInNetwork"
      Effect   = "Allow"
      Action   = "ec2:CreateSecurityGroup"
      Resource = "${local.ec2}:vpc/${var.vpc_id}"
    },
    {
      Sid       = "SecurityGroups"
      Effect    = "Allow"
      Action    = "ec2:CreateSecurityGroup"
      Resource  = "${local.ec2}:security-group/*"
      Condition = local.request_of
    },
    {
      Sid       = "TagNewSecurityGroups"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = "${local.ec2}:security-group/*"
      Condition = { StringEquals = merge(local.request_of.StringEquals, { "ec2:CreateAction" = "CreateSecurityGroup" }) }
    },
    {
      Sid    = "OwnSecurityGroups"
      Effect = "Allow"
      Action = [
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateTags",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteTags",
        "ec2:RevokeSecurityGroupIngress",
      ]
      Resource  = "${local.ec2}:security-group/*"
      Condition = local.resource_of
    },
    {
      # Lets load balancers reach the nodes.
      Sid       = "SecurityGroupOfNodes"
      Effect    = "Allow"
      Action    = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
      Resource  = "${local.ec2}:security-group/*"
      Condition = { StringEquals = { "aws:ResourceTag/kubernetes.io/cluster/${var.cluster_name}" = "owned" } }
    },
    {
      Sid       = "Make"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"]
      Resource  = ["${local.elb}:loadbalancer/net/*", "${local.elb}:targetgroup/*"]
      Condition = local.request_of
    },
    {
      Sid      = "TagNew"
      Effect   = "Allow"
      Action   = "elasticloadbalancing:AddTags"
      Resource = ["${local.elb}:loadbalancer/net/*", "${local.elb}:targetgroup/*"]
      Condition = {
        StringEquals = merge(local.request_of.StringEquals, { "elasticloadbalancing:CreateAction" = ["CreateLoadBalancer", "CreateTargetGroup"] })
      }
    },
    {
      Sid    = "Own"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:AddTags",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:ModifyCapacityReservation",
        "elasticloadbalancing:ModifyLoadBalancerAttributes",
        "elasticloadbalancing:ModifyTargetGroup",
        "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:RegisterTargets",
        "elasticloadbalancing:RemoveTags",
        "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetSecurityGroups",
        "elasticloadbalancing:SetSubnets",
      ]
      Resource  = ["${local.elb}:loadbalancer/net/*", "${local.elb}:targetgroup/*"]
      Condition = local.resource_of
    },
    {
      # A listener's permissions are asked of it and of its load balancer; not all of these
      # requests carry tags.
      Sid    = "Listeners"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:AddTags",
        "elasticloadbalancing:CreateListener",
        "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyListenerAttributes",
        "elasticloadbalancing:RemoveTags",
      ]
      Resource = ["${local.elb}:listener/net/*"]
    },
    {
      Sid       = "ListenersOfOwn"
      Effect    = "Allow"
      Action    = "elasticloadbalancing:CreateListener"
      Resource  = "${local.elb}:loadbalancer/net/*"
      Condition = local.resource_of
    },
  ]
}
