provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  name         = "acme-local-orders-events"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/orders/events"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.password == "acme/local/orders/events/password"
    error_message = "The secret is not given as its path."
  }

  assert {
    condition     = strata_certificate.this.dns_names[0] == "acme-local-orders-events.strata-data.svc.cluster.local"
    error_message = "The certificate is for another name."
  }

  assert {
    condition     = strata_manifest.server.manifest.spec.template.spec.containers[0].ports[0].containerPort == 5671
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
    name = "acme-local-a-workload-with-a-name-that-is-longer-than-others-orders-events"
  }

  assert {
    condition     = length(local.id) == 40
    error_message = "The name does not fit: ${local.id}."
  }
}

run "refuses_size" {
  command = plan

  variables {
    size = "huge"
  }

  expect_failures = [var.size]
}

run "refuses_maintenance_window" {
  command = plan

  variables {
    maintenance_window = "sometimes"
  }

  expect_failures = [var.maintenance_window]
}

run "refuses_queues" {
  command = plan

  variables {
    queues = ["a b"]
  }

  expect_failures = [var.queues]
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
