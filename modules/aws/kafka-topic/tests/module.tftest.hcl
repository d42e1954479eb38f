provider "aws" {
  region = "eu-west-1"
}

variables {
  name              = "acme-prod-fulfilment-shipments"
  cluster_arn       = "arn:aws:kafka:eu-west-1:111122223333:cluster/acme-prod-kafka"
  bootstrap_servers = "b-1.acme-prod-kafka.example.amazonaws.com:9096,b-2.acme-prod-kafka.example.amazonaws.com:9096"
  kms_key           = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path       = "acme/prod/fulfilment/shipments"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.topic == "acme-prod-fulfilment-shipments"
    error_message = "The topic has another name."
  }

  assert {
    condition     = output.port == 9096 && output.host == "b-1.acme-prod-kafka.example.amazonaws.com"
    error_message = "The first broker is another."
  }

  assert {
    condition     = startswith(output.password, "AmazonMSK_")
    error_message = "MSK takes only secrets whose names begin so."
  }

  assert {
    condition     = jsondecode(aws_cloudformation_stack.topic.template_body).Resources.Topic.Properties.PartitionCount == 6
    error_message = "The topic has another number of partitions."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = jsondecode(aws_cloudformation_stack.topic.template_body).Resources.Topic.DeletionPolicy == "Retain"
    error_message = "A protected topic may go."
  }
}

run "refuses_partitions" {
  command = plan

  variables {
    partitions = 0
  }

  expect_failures = [var.partitions]
}

run "refuses_replication" {
  command = plan

  variables {
    replication = 9
  }

  expect_failures = [var.replication]
}

run "refuses_retention" {
  command = plan

  variables {
    retention = -1
  }

  expect_failures = [var.retention]
}

run "refuses_inputs" {
  command = plan

  variables {
    cluster_arn       = "kafka"
    bootstrap_servers = "kafka"
    kms_key           = "a key"
  }

  expect_failures = [var.cluster_arn, var.bootstrap_servers, var.kms_key]
}
