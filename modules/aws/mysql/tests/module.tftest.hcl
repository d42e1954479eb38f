provider "aws" {
  region = "eu-west-1"
}

variables {
  name                      = "acme-prod-backoffice-db"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef2"]
  allowed_security_group_id = "sg-0123456789abcdef0"
  kms_key                   = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path               = "acme/prod/backoffice/db"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  variables {
    protected = false
  }

  assert {
    condition     = output.port == 3306
    error_message = "The port is another."
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && endswith(output.password, "#password")
    error_message = "The password is in the state."
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible
    error_message = "The server is open."
  }

  assert {
    condition     = contains([for p in aws_db_parameter_group.this.parameter : "${p.name}=${p.value}"], "require_secure_transport=1") || contains([for p in aws_db_parameter_group.this.parameter : "${p.name}=${p.value}"], "require_secure_transport=ON")
    error_message = "Connections without TLS are let in."
  }
}

run "protected" {
  command = plan

  variables {
    protected = true
  }

  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot
    error_message = "A protected server may go without a trace."
  }
}

run "refuses_mysql_version" {
  command = plan

  variables {
    mysql_version = "5"
  }

  expect_failures = [var.mysql_version]
}

run "refuses_size" {
  command = plan

  variables {
    size = "huge"
  }

  expect_failures = [var.size]
}

run "refuses_storage" {
  command = plan

  variables {
    storage = "20GB"
  }

  expect_failures = [var.storage]
}

run "refuses_backup_days" {
  command = plan

  variables {
    backup_days = 36
  }

  expect_failures = [var.backup_days]
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
