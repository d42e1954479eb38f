provider "aws" {
  region = "eu-west-1"
}

variables {
  name   = "acme-prod-state"
  region = "eu-west-1"
  bucket = "acme-prod-state"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.bucket == "acme-prod-state"
    error_message = "The bucket has another name."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "States have no versions."
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key is not rotated."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "A protected bucket may go with what is in it."
  }
}

run "refuses_bucket" {
  command = plan

  variables {
    bucket = "Upper"
  }

  expect_failures = [var.bucket]
}

run "refuses_region" {
  command = plan

  variables {
    region = "Ireland"
  }

  expect_failures = [var.region]
}
