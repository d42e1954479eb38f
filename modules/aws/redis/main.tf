# A Redis server, or a pair in two zones, on Amazon ElastiCache. Connections need
# TLS and a password, which Secrets Manager makes and which is in no state. The user
# may neither administrate the server nor run what blocks it.

locals {
  high_availability = coalesce(var.high_availability, var.protected)

  # A replication group's id has at most 40 characters.
  id = length(var.name) <= 38 ? var.name : "${trimsuffix(substr(var.name, 0, 29), "-")}-${substr(sha256(var.name), 0, 8)}"

  port     = 6379
  username = "app"

  node = {
    small  = "cache.t4g.small"
    medium = "cache.m7g.large"
    large  = "cache.r7g.xlarge"
    xlarge = "cache.r7g.4xlarge"
  }[var.size]

  # ElastiCache calls the last Redis that it offers 7.1; it has the commands of 7.2
  # that do not need modules.
  engine_version = { "7.0" = "7.0", "7.2" = "7.1" }[var.redis_version]

  policy = {
    none                  = "noeviction"
    least-recently-used   = "allkeys-lru"
    least-frequently-used = "allkeys-lfu"
    soonest-to-expire     = "volatile-ttl"
  }[var.eviction]

  secret_name = "${var.secret_path}/password"
}

resource "aws_elasticache_subnet_group" "this" {
  name        = local.id
  description = "Data subnets"
  subnet_ids  = var.subnet_ids

  tags = { Name = local.id }
}

resource "aws_security_group" "this" {
  name        = local.id
  description = "Who may connect to ${local.id}"
  vpc_id      = var.vpc_id

  tags = { Name = local.id }
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  security_group_id            = aws_security_group.this.id
  description                  = "From the cluster"
  referenced_security_group_id = var.allowed_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port

  tags = { Name = local.id }
}

resource "aws_elasticache_parameter_group" "this" {
  name        = local.id
  family      = "redis7"
  description = "Settings of ${local.id}"

  parameter {
    name  = "maxmemory-policy"
    value = local.policy
  }

  tags = { Name = local.id }
}

# Secrets Manager makes the password and CloudFormation hands it to ElastiCache:
# neither the template nor the state of this stack has it.
resource "aws_cloudformation_stack" "user" {
  name = local.id

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "User of ${local.id}"
    Resources = {
      Password = {
        Type           = "AWS::SecretsManager::Secret"
        DeletionPolicy = var.protected ? "Retain" : "Delete"
        Properties = {
          Name                 = local.secret_name
          Description          = "Password of ${local.username} in ${local.id}"
          KmsKeyId             = var.kms_key
          GenerateSecretString = { PasswordLength = 48, ExcludePunctuation = true }
        }
      }
      User = {
        Type      = "AWS::ElastiCache::User"
        DependsOn = "Password"
        Properties = {
          UserId       = local.id
          UserName     = local.username
          Engine       = "redis"
          AccessString = "on ~* &* +@all -@admin -@dangerous +info +keys"
          Passwords    = [{ "Fn::Sub" = "{{resolve:secretsmanager:$${Password}}}" }]
        }
      }
      # Every group needs a user called default; this one cannot sign in.
      Default = {
        Type = "AWS::ElastiCache::User"
        Properties = {
          UserId             = "${local.id}-d"
          UserName           = "default"
          Engine             = "redis"
          AccessString       = "off -@all"
          AuthenticationMode = { Type = "no-password-required" }
        }
      }
      Group = {
        Type = "AWS::ElastiCache::UserGroup"
        Properties = {
          UserGroupId = local.id
          Engine      = "redis"
          UserIds     = [{ Ref = "User" }, { Ref = "Default" }]
        }
      }
    }
    Outputs = { Group = { Value = { Ref = "Group" } } }
  })

  tags = { Name = local.id }
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = local.id
  description          = "Store ${local.id}"
  engine               = "redis"
  engine_version       = local.engine_version
  node_type            = local.node
  port                 = local.port
  parameter_group_name = aws_elasticache_parameter_group.this.name

  num_cache_clusters         = local.high_availability ? 2 : 1
  automatic_failover_enabled = local.high_availability
  multi_az_enabled           = local.high_availability

  subnet_group_name  = aws_elasticache_subnet_group.this.name
  security_group_ids = [aws_security_group.this.id]

  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key
  transit_encryption_enabled = true
  user_group_ids             = [aws_cloudformation_stack.user.outputs["Group"]]

  snapshot_retention_limit   = var.backup_days
  snapshot_window            = "01:00-02:00"
  maintenance_window         = "sun:03:00-sun:04:00"
  auto_minor_version_upgrade = true
  apply_immediately          = !var.protected
  final_snapshot_identifier  = var.protected ? "${local.id}-final" : null

  tags = { Name = local.id }
}
