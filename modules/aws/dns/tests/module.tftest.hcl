provider "aws" {
  region = "eu-west-1"
}

variables {
  zone = "acme.example"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.zone_name == "acme.example"
    error_message = "The zone has another name."
  }

  assert {
    condition     = aws_route53_zone.this.force_destroy
    error_message = "An unprotected zone cannot be destroyed while it has records."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = !aws_route53_zone.this.force_destroy
    error_message = "A protected zone may go with its records."
  }
}

run "refuses_zone" {
  command = plan

  variables {
    zone = "no zone"
  }

  expect_failures = [var.zone]
}
