provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  name         = "acme-local-orders-stream"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/orders/stream"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.password == "acme/local/orders/stream/password"
    error_message = "The secret is not given as its path."
  }

  assert {
    condition     = strata_certificate.this.dns_names[0] == "acme-local-orders-stream.strata-data.svc.cluster.local"
    error_message = "The certificate is for another name."
  }

  assert {
    condition     = strata_manifest.server.manifest.spec.template.spec.containers[0].ports[0].containerPort == 9094
    error_message = "The port is another."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = strata_manifest.data.protected
    error_message = "Protected data may be deleted."
  }
}

# Two long names do not become one, and both fit.
run "long_name" {
  command = plan

  variables {
    name = "acme-local-a-workload-with-a-name-that-is-longer-than-others-orders-stream"
  }

  assert {
    condition     = length(local.id) == 40
    error_message = "The name does not fit: ${local.id}."
  }
}

run "refuses_partitions" {
  command = plan

  variables {
    partitions = 0
  }

  expect_failures = [var.partitions]
}

run "refuses_replication" {
  command = plan

  variables {
    replication = 6
  }

  expect_failures = [var.replication]
}

run "refuses_retention" {
  command = plan

  variables {
    retention = -1
  }

  expect_failures = [var.retention]
}

run "refuses_inputs" {
  command = plan

  variables {
    name         = "No name"
    kubeconfig   = ""
    secret_store = "aws-secrets-manager:eu-west-1"
    secret_path  = "/acme"
  }

  expect_failures = [var.name, var.kubeconfig, var.secret_store, var.secret_path]
}
