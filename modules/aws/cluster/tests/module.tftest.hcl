provider "aws" {
  region = "eu-west-1"
}

variables {
  name       = "acme-prod-cluster"
  subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]

  node_pools = [
    { name = "general", instance = "m7g.large", min = 3, max = 30 },
    { name = "spot", instance = "m7i.large", max = 20, spot = true },
    { name = "gpu", instance = "g6.xlarge", max = 4, accelerator = "nvidia-l4" },
  ]
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.name == "acme-prod-cluster"
    error_message = "The cluster has another name."
  }

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The endpoint is public."
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API"
    error_message = "The aws-auth ConfigMap counts."
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "Logs are missing."
  }

  assert {
    condition     = alltrue([for t in aws_launch_template.pool : t.metadata_options[0].http_tokens == "required" && t.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "Pods reach the metadata of nodes."
  }

  assert {
    condition     = aws_eks_node_group.pool["general"].ami_type == "BOTTLEROCKET_ARM_64" && aws_eks_node_group.pool["spot"].ami_type == "BOTTLEROCKET_x86_64" && aws_eks_node_group.pool["gpu"].ami_type == "BOTTLEROCKET_x86_64_NVIDIA"
    error_message = "Nodes run the wrong image."
  }

  assert {
    condition     = aws_eks_node_group.pool["spot"].capacity_type == "SPOT" && aws_eks_node_group.pool["general"].capacity_type == "ON_DEMAND"
    error_message = "Capacity is of the wrong kind."
  }

  assert {
    condition     = one(aws_eks_node_group.pool["gpu"].taint).effect == "NO_SCHEDULE" && length(aws_eks_node_group.pool["general"].taint) == 0
    error_message = "Any pod runs on expensive nodes."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 365
    error_message = "Logs of a protected cluster are kept for a year."
  }
}

run "refuses_cluster_version" {
  command = plan

  variables {
    cluster_version = "newest"
  }

  expect_failures = [var.cluster_version]
}

run "refuses_subnet_ids" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_node_pools" {
  command = plan

  variables {
    node_pools = [{ name = "a", instance = "m7g.large", min = 3, max = 1 }]
  }

  expect_failures = [var.node_pools]
}

run "refuses_node_pools_2" {
  command = plan

  variables {
    node_pools = [{ name = "a", instance = "m7g.large", max = 1 }, { name = "a", instance = "m7g.large", max = 1 }]
  }

  expect_failures = [var.node_pools]
}

run "refuses_public_access_cidrs" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}

run "refuses_inputs" {
  command = plan

  variables {
    tags = { "aws:name" = "x" }
  }

  expect_failures = [var.tags]
}
