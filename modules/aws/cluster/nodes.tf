locals {
  pools = { for p in var.node_pools : p.name => merge(p, {
    # Graviton families have a g after their generation, as m7g and c8gd do.
    arch = can(regex("^[a-z]+[0-9]+g[a-z]*\\.", p.instance)) ? "ARM_64" : "x86_64"
    min  = coalesce(p.min, 0)
    max  = p.max
  }) }

  # The label and the taint by which pods that ask for accelerators find these nodes
  # and others stay away.
  accelerator = "strata.dev/accelerator"
}

resource "aws_iam_role" "node" {
  name        = "${local.id}-node"
  description = "Nodes of ${local.id}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = { Name = "${local.id}-node" }
}

# Nodes join and pull images. What pods do they do as themselves, by Pod Identity.
resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryReadOnly"])

  role       = aws_iam_role.node.name
  policy_arn = "${local.policies}/${each.key}"
}

resource "aws_launch_template" "pool" {
  for_each = local.pools

  name                   = "${local.id}-${each.key}"
  description            = "Nodes ${each.key} of ${local.id}"
  update_default_version = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # One hop ends at the node: pods cannot ask for the node's credentials.
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  monitoring {
    enabled = true
  }

  # Bottlerocket keeps its system on the first disk and images and logs on the second.
  dynamic "block_device_mappings" {
    for_each = { "/dev/xvda" = 4, "/dev/xvdb" = var.node_disk }

    content {
      device_name = block_device_mappings.key

      ebs {
        volume_size           = block_device_mappings.value
        volume_type           = "gp3"
        encrypted             = true
        delete_on_termination = true
      }
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.key
      tags          = merge(var.tags, { Name = "${local.id}-${each.key}" })
    }
  }

  tags = { Name = "${local.id}-${each.key}" }
}

resource "aws_eks_node_group" "pool" {
  for_each = local.pools

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = var.subnet_ids
  version         = var.cluster_version

  instance_types = [each.value.instance]
  capacity_type  = each.value.spot ? "SPOT" : "ON_DEMAND"
  ami_type       = "BOTTLEROCKET_${each.value.arch}${each.value.accelerator == null ? "" : "_NVIDIA"}"

  labels = merge(each.value.labels, each.value.accelerator == null ? {} : { (local.accelerator) = each.value.accelerator })

  dynamic "taint" {
    for_each = each.value.accelerator == null ? [] : [each.value.accelerator]

    content {
      key    = local.accelerator
      value  = taint.value
      effect = "NO_SCHEDULE"
    }
  }

  scaling_config {
    min_size     = each.value.min
    max_size     = each.value.max
    desired_size = each.value.min
  }

  update_config {
    max_unavailable_percentage = 33
  }

  launch_template {
    id      = aws_launch_template.pool[each.key].id
    version = aws_launch_template.pool[each.key].latest_version
  }

  lifecycle {
    # How many there are now is for the autoscaler to say.
    ignore_changes = [scaling_config[0].desired_size]
  }

  tags = { Name = "${local.id}-${each.key}" }

  depends_on = [
    aws_eks_addon.network,
    aws_iam_role_policy_attachment.node,
  ]
}
