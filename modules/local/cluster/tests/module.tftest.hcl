provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  platform    = "acme"
  environment = "local"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.name == "acme-local" && !strata_cluster.this.protected
    error_message = "The node has another name or may not be deleted."
  }
}

run "protected" {
  command = plan

  assert {
    condition     = strata_cluster.this.protected
    error_message = "A cluster may be deleted unless somebody says so."
  }
}

run "refuses_platform" {
  command = plan

  variables {
    platform = "Acme"
  }

  expect_failures = [var.platform]
}

run "refuses_environment" {
  command = plan

  variables {
    environment = "local-"
  }

  expect_failures = [var.environment]
}

run "refuses_long_name" {
  command = plan

  variables {
    environment = "an-environment-with-a-name-without-end"
  }

  expect_failures = [var.environment]
}

run "refuses_version" {
  command = plan

  variables {
    cluster_version = "2.0"
  }

  expect_failures = [var.cluster_version]
}

run "refuses_node_pools" {
  command = plan

  variables {
    node_pools = [{ name = "general", instance = "small", min = 3, max = 1 }]
  }

  expect_failures = [var.node_pools]
}
