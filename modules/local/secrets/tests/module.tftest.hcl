provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  name        = "acme-local-secrets"
  path_prefix = "acme/local"
  kubeconfig  = "/var/lib/strata/acme-local/kubeconfig"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  assert {
    condition     = output.store == "kubernetes:strata-secrets" && output.path_prefix == "acme/local"
    error_message = "The store is another."
  }

  assert {
    condition     = alltrue([for n in strata_manifest.namespace : n.manifest.metadata.labels["pod-security.kubernetes.io/enforce"] == "restricted"])
    error_message = "A namespace lets pods do more than they need."
  }

  assert {
    condition     = alltrue([for p in strata_manifest.default_deny : length(p.manifest.spec.policyTypes) == 2])
    error_message = "Something may talk without a policy of its own."
  }

  assert {
    condition     = strata_manifest.trust.manifest.spec.trustBundle == strata_certificate_authority.this.certificate
    error_message = "Pods trust another authority."
  }
}

run "refuses_inputs" {
  command = plan

  variables {
    name        = "No name"
    path_prefix = "/acme"
    kubeconfig  = ""
  }

  expect_failures = [var.name, var.path_prefix, var.kubeconfig]
}
