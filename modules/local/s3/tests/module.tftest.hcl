provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  name         = "acme-local-catalog-images"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/catalog/images"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.secret_key == "acme/local/catalog/images/secret_key"
    error_message = "The secret is not given as its path."
  }

  assert {
    condition     = strata_certificate.this.dns_names[0] == "acme-local-catalog-images.strata-data.svc.cluster.local"
    error_message = "The certificate is for another name."
  }

  assert {
    condition     = strata_manifest.server.manifest.spec.template.spec.containers[0].ports[0].containerPort == 9000
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
    name = "acme-local-a-workload-with-a-name-that-is-longer-than-others-catalog-images"
  }

  assert {
    condition     = length(local.id) == 40
    error_message = "The name does not fit: ${local.id}."
  }
}

run "refuses_noncurrent_days" {
  command = plan

  variables {
    noncurrent_days = 0
  }

  expect_failures = [var.noncurrent_days]
}

run "refuses_expire_days" {
  command = plan

  variables {
    expire_days = -1
  }

  expect_failures = [var.expire_days]
}

run "refuses_cors_origins" {
  command = plan

  variables {
    cors_origins = ["shop"]
  }

  expect_failures = [var.cors_origins]
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
