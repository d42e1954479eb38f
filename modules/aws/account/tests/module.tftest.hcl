provider "aws" {
  region = "eu-west-1"
}

variables {
  platform    = "acme"
  environment = "prod"
  name        = "acme-prod"
  email       = "aws-prod@acme.example"
  parent      = "ou-ab12-cdefgh34"
  budget      = 5000
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.account_id != ""
    error_message = "The account has no id."
  }

  assert {
    condition     = length(aws_organizations_policy.guardrail) <= 4
    error_message = "Organizations allows five policies, one of which is FullAWSAccess."
  }
}

run "refuses_email" {
  command = plan

  variables {
    email = "nobody"
  }

  expect_failures = [var.email]
}

run "refuses_parent" {
  command = plan

  variables {
    parent = "here"
  }

  expect_failures = [var.parent]
}

run "refuses_budget" {
  command = plan

  variables {
    budget = 0
  }

  expect_failures = [var.budget]
}
