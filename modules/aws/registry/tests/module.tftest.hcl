provider "aws" {
  region = "eu-west-1"
}

variables {
  name         = "acme-prod-registry"
  repositories = ["storefront", "payments/checkout"]
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_tag_mutability == "IMMUTABLE"])
    error_message = "Tags can be moved."
  }

  assert {
    condition     = alltrue([for r in aws_ecr_repository.this : r.image_scanning_configuration[0].scan_on_push])
    error_message = "Images are not scanned."
  }

  assert {
    condition     = output.url != ""
    error_message = "There is no place to push to."
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

run "refuses_untagged_days" {
  command = plan

  variables {
    untagged_days = 0
  }

  expect_failures = [var.untagged_days]
}
