provider "aws" {
  region = "eu-west-1"
}

variables {
  name                      = "acme-prod-orders"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef2"]
  allowed_security_group_id = "sg-0123456789abcdef0"
  kms_key                   = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path               = "acme/prod/shared/orders"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.port == 5671
    error_message = "The port is another."
  }

  assert {
    condition     = !jsondecode(aws_cloudformation_stack.broker.template_body).Resources.Broker.Properties.PubliclyAccessible
    error_message = "The broker is open."
  }

  assert {
    condition     = !strcontains(aws_cloudformation_stack.broker.template_body, "\"Password\":\"")
    error_message = "A password is in the state."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = jsondecode(aws_cloudformation_stack.broker.template_body).Resources.Broker.DeletionPolicy == "Retain"
    error_message = "A protected broker may go."
  }

  assert {
    condition     = jsondecode(aws_cloudformation_stack.broker.template_body).Resources.Broker.Properties.DeploymentMode == "CLUSTER_MULTI_AZ"
    error_message = "A protected broker is alone."
  }
}

run "refuses_size" {
  command = plan

  variables {
    size = "huge"
  }

  expect_failures = [var.size]
}

run "refuses_maintenance_window" {
  command = plan

  variables {
    maintenance_window = "Sun"
  }

  expect_failures = [var.maintenance_window]
}

run "refuses_queues" {
  command = plan

  variables {
    queues = ["with space"]
  }

  expect_failures = [var.queues]
}

run "refuses_inputs" {
  command = plan

  variables {
    vpc_id                    = "10.0.0.0/16"
    subnet_ids                = ["10.0.0.0/24"]
    allowed_security_group_id = "default"
    kms_key                   = "a key"
  }

  expect_failures = [var.vpc_id, var.subnet_ids, var.allowed_security_group_id, var.kms_key]
}
