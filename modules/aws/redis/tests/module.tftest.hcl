provider "aws" {
  region = "eu-west-1"
}

variables {
  name                      = "acme-prod-storefront-cache"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef2"]
  allowed_security_group_id = "sg-0123456789abcdef0"
  kms_key                   = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path               = "acme/prod/storefront/cache"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.port == 6379
    error_message = "The port is another."
  }

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.at_rest_encryption_enabled
    error_message = "Something is not encrypted."
  }

  assert {
    condition     = !strcontains(output.password, "{{")
    error_message = "The password is no reference."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled
    error_message = "A protected server has no standby."
  }
}

run "refuses_redis_version" {
  command = plan

  variables {
    redis_version = "2"
  }

  expect_failures = [var.redis_version]
}

run "refuses_size" {
  command = plan

  variables {
    size = "huge"
  }

  expect_failures = [var.size]
}

run "refuses_eviction" {
  command = plan

  variables {
    eviction = "guess"
  }

  expect_failures = [var.eviction]
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
