provider "strata" {
  platform    = "acme"
  environment = "local"
}

variables {
  name       = "tools"
  zone_name  = "acme.localhost"
  kubeconfig = "/var/lib/strata/acme-local/kubeconfig"
}

run "whole_life" {
  command = apply

  assert {
    condition     = output.host == "tools.acme.localhost"
    error_message = "The host has another name."
  }
}

run "refuses_ttl" {
  command = plan

  variables {
    ttl = -1
  }

  expect_failures = [var.ttl]
}

run "refuses_inputs" {
  command = plan

  variables {
    name       = "no name"
    target     = "no target"
    zone_name  = "acme.example"
    kubeconfig = ""
  }

  expect_failures = [var.name, var.target, var.zone_name, var.kubeconfig]
}
