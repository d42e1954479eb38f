locals {
  # Add-ons that act in the cloud, and what they may do there.
  identities = {
    cni = { account = "aws-node", policy = "AmazonEKS_CNI_Policy" }
    ebs = { account = "ebs-csi-controller-sa", policy = "service-role/AmazonEBSCSIDriverPolicy" }
  }

  # Nodes become ready with these; the others need nodes that are.
  network = {
    "eks-pod-identity-agent" = null
    "kube-proxy"             = null
    # NetworkPolicies have an effect only with this.
    "vpc-cni" = jsonencode({ enableNetworkPolicy = "true" })
  }
  others = toset(length(var.node_pools) == 0 ? [] : ["aws-ebs-csi-driver", "coredns", "metrics-server"])
}

resource "aws_iam_role" "addon" {
  for_each = local.identities

  name        = "${local.id}-${each.key}"
  description = "Add-on of ${local.id}: ${each.value.account}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnEquals    = { "aws:SourceArn" = local.arn }
      }
    }]
  })

  tags = { Name = "${local.id}-${each.key}" }
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each = local.identities

  role       = aws_iam_role.addon[each.key].name
  policy_arn = "${local.policies}/${each.value.policy}"
}

resource "aws_eks_pod_identity_association" "addon" {
  for_each = local.identities

  cluster_name    = aws_eks_cluster.this.name
  namespace       = "kube-system"
  service_account = each.value.account
  role_arn        = aws_iam_role.addon[each.key].arn

  tags = { Name = "${local.id}-${each.key}" }

  depends_on = [aws_iam_role_policy_attachment.addon]
}

resource "aws_eks_addon" "network" {
  for_each = local.network

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  tags = { Name = "${local.id}-${each.key}" }

  depends_on = [aws_eks_pod_identity_association.addon]
}

resource "aws_eks_addon" "others" {
  for_each = local.others

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  tags = { Name = "${local.id}-${each.key}" }

  depends_on = [
    aws_eks_node_group.pool,
    aws_eks_pod_identity_association.addon,
  ]
}
