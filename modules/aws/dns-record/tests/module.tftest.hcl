provider "aws" {
  region = "eu-west-1"
}

variables {
  name      = "tools"
  zone_id   = "Z0123456789ABCDEFGHIJ"
  zone_name = "acme.example"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  assert {
    condition     = output.host == "tools.acme.example"
    error_message = "The host has another name."
  }

  assert {
    condition     = aws_route53_record.this.records == toset(["gateway.acme.example"])
    error_message = "Without a target it is another name of the gateway."
  }
}

run "refuses_ttl" {
  command = plan

  variables {
    ttl = -1
  }

  expect_failures = [var.ttl]
}

run "refuses_name" {
  command = plan

  variables {
    name = "no name"
  }

  expect_failures = [var.name]
}

run "refuses_inputs" {
  command = plan

  variables {
    zone_id   = "acme.example"
    zone_name = "Acme.example."
  }

  expect_failures = [var.zone_id, var.zone_name]
}
