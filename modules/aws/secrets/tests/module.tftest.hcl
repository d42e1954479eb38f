provider "aws" {
  region = "eu-west-1"
}

variables {
  name         = "acme-prod-secrets"
  path_prefix  = "acme/prod"
  cluster_name = "acme-prod-cluster"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.store == "aws-secrets-manager:eu-west-1"
    error_message = "The store is another."
  }

  assert {
    condition     = output.path_prefix == "acme/prod"
    error_message = "The path is another."
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key is not rotated."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.reader.policy, "secretsmanager:*")
    error_message = "The reader may do anything."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = aws_kms_key.this.deletion_window_in_days == 30
    error_message = "A protected key comes back for 30 days."
  }
}

run "refuses_path_prefix" {
  command = plan

  variables {
    path_prefix = "/acme/"
  }

  expect_failures = [var.path_prefix]
}

run "refuses_name" {
  command = plan

  variables {
    name = "-x"
  }

  expect_failures = [var.name]
}

run "refuses_inputs" {
  command = plan

  variables {
    cluster_name = "a cluster"
  }

  expect_failures = [var.cluster_name]
}
