provider "aws" {
  region = "eu-west-1"
}

variables {
  name   = "acme-prod"
  region = "eu-west-1"
  cidr   = "10.30.0.0/16"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = length(output.private_subnet_ids) == 3 && length(output.data_subnet_ids) == 3 && length(output.public_subnet_ids) == 3
    error_message = "Each zone has three subnets."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "Each zone has a NAT gateway."
  }

  assert {
    condition     = length(distinct([for s in concat(aws_subnet.public, aws_subnet.private, aws_subnet.data) : s.cidr_block])) == 9
    error_message = "Two subnets have one range."
  }

  assert {
    condition     = alltrue([for s in concat(aws_subnet.public, aws_subnet.private, aws_subnet.data) : !coalesce(s.map_public_ip_on_launch, false)])
    error_message = "Machines get public addresses."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow.retention_in_days == 365
    error_message = "Flow logs of a protected network are kept for a year."
  }
}

run "refuses_cidr" {
  command = plan

  variables {
    cidr = "10.0.0.0/8"
  }

  expect_failures = [var.cidr]
}

run "refuses_zones" {
  command = plan

  variables {
    zones = 7
  }

  expect_failures = [var.zones]
}

run "refuses_nat" {
  command = plan

  variables {
    nat = "some"
  }

  expect_failures = [var.nat]
}
