provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  name         = "acme-local-storefront-cache"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/storefront/cache"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.password == "acme/local/storefront/cache/password"
    error_message = "The secret is not given as its path."
  }

  assert {
    condition     = strata_certificate.this.dns_names[0] == "acme-local-storefront-cache.strata-data.svc.cluster.local"
    error_message = "The certificate is for another name."
  }

  assert {
    condition     = strata_manifest.server.manifest.spec.template.spec.containers[0].ports[0].containerPort == 6379
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
    name = "acme-local-a-workload-with-a-name-that-is-longer-than-others-storefront-cache"
  }

  assert {
    condition     = length(local.id) == 40
    error_message = "The name does not fit: ${local.id}."
  }
}

run "refuses_redis_version" {
  command = plan

  variables {
    redis_version = "2"
  }

  expect_failures = [var.redis_version]
}

run "refuses_size" {
  command = plan

  variables {
    size = "huge"
  }

  expect_failures = [var.size]
}

run "refuses_eviction" {
  command = plan

  variables {
    eviction = "guess"
  }

  expect_failures = [var.eviction]
}

run "refuses_backup_days" {
  command = plan

  variables {
    backup_days = 36
  }

  expect_failures = [var.backup_days]
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
