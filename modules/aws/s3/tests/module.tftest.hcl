provider "aws" {
  region = "eu-west-1"
}

variables {
  name        = "acme-prod-reports"
  kms_key     = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path = "acme/prod/shared/reports"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.bucket == "acme-prod-reports-${data.aws_caller_identity.current.account_id}"
    error_message = "The bucket has another name."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.this.restrict_public_buckets && aws_s3_bucket_public_access_block.this.block_public_policy
    error_message = "The bucket may become public."
  }

  assert {
    condition     = endswith(output.secret_key, "/secret_key")
    error_message = "The secret key is no reference."
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

run "refuses_noncurrent_days" {
  command = plan

  variables {
    noncurrent_days = 0
  }

  expect_failures = [var.noncurrent_days]
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
    kms_key = "a key"
  }

  expect_failures = [var.kms_key]
}
