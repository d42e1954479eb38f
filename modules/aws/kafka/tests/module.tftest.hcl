provider "aws" {
  region = "eu-west-1"
}

variables {
  name                      = "acme-prod-kafka"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef2"]
  allowed_security_group_id = "sg-0123456789abcdef0"
  kms_key                   = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = aws_msk_cluster.this.number_of_broker_nodes == 3
    error_message = "There is one broker in each zone."
  }

  assert {
    condition     = aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].client_broker == "TLS"
    error_message = "Connections without TLS are let in."
  }

  assert {
    condition     = !aws_msk_cluster.this.client_authentication[0].unauthenticated
    error_message = "Anybody may connect."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 365
    error_message = "Logs of a protected cluster are kept for a year."
  }
}

run "refuses_kafka_version" {
  command = plan

  variables {
    kafka_version = "2.8.1"
  }

  expect_failures = [var.kafka_version]
}

run "refuses_size" {
  command = plan

  variables {
    size = "huge"
  }

  expect_failures = [var.size]
}

run "refuses_subnet_ids" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_brokers_per_zone" {
  command = plan

  variables {
    brokers_per_zone = 0
  }

  expect_failures = [var.brokers_per_zone]
}

run "refuses_inputs" {
  command = plan

  variables {
    vpc_id                    = "10.0.0.0/16"
    allowed_security_group_id = "default"
    kms_key                   = "a key"
  }

  expect_failures = [var.vpc_id, var.allowed_security_group_id, var.kms_key]
}
