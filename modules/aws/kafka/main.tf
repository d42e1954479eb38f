# The Amazon MSK cluster that an environment's topics share: brokers in two or three
# zones, TLS only, signed in by SCRAM or IAM, disks and logs encrypted with the
# environment's key. Topics are made by the module kafka-topic, never by programs
# that write to them.

locals {
  # A cluster's name has at most 64 characters.
  id = length(var.name) <= 56 ? var.name : "${trimsuffix(substr(var.name, 0, 47), "-")}-${substr(sha256(var.name), 0, 8)}"

  # MSK spreads over two or three zones.
  subnets = slice(var.subnet_ids, 0, min(length(var.subnet_ids), 3))

  # Every message is on one broker of each zone, and a producer that asks for "all"
  # is answered while one zone is away.
  copies = length(local.subnets)

  instance = {
    small  = "kafka.t3.small"
    medium = "kafka.m7g.large"
    large  = "kafka.m7g.xlarge"
    xlarge = "kafka.m7g.4xlarge"
  }[var.size]

  gigabytes = tonumber(regex("^[0-9]+", var.storage)) * (endswith(var.storage, "Ti") ? 1024 : 1)

  ports = { scram = 9096, iam = 9098 }
}

resource "aws_security_group" "this" {
  name        = local.id
  description = "Who may connect to ${local.id}"
  vpc_id      = var.vpc_id

  tags = { Name = local.id }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = local.ports

  security_group_id            = aws_security_group.this.id
  description                  = "Kafka over TLS from the cluster, signed in by ${each.key}"
  referenced_security_group_id = var.allowed_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value

  tags = { Name = "${local.id}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "brokers" {
  security_group_id            = aws_security_group.this.id
  description                  = "Brokers among themselves"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "-1"

  tags = { Name = "${local.id}-brokers" }
}

resource "aws_vpc_security_group_egress_rule" "brokers" {
  security_group_id            = aws_security_group.this.id
  description                  = "Brokers among themselves"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "-1"

  tags = { Name = "${local.id}-brokers" }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/msk/${local.id}"
  retention_in_days = var.protected ? 365 : 30
  kms_key_id        = var.kms_key
  skip_destroy      = false

  tags = { Name = "/aws/msk/${local.id}" }
}

resource "aws_msk_configuration" "this" {
  name           = local.id
  description    = "Settings of ${local.id}"
  kafka_versions = [var.kafka_version]

  server_properties = join("\n", [for k, v in {
    "auto.create.topics.enable"      = false
    "default.replication.factor"     = local.copies
    "min.insync.replicas"            = max(1, local.copies - 1)
    "num.partitions"                 = 6
    "unclean.leader.election.enable" = false
  } : "${k}=${v}"])

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_msk_cluster" "this" {
  cluster_name           = local.id
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.brokers_per_zone * length(local.subnets)
  enhanced_monitoring    = "PER_TOPIC_PER_BROKER"

  broker_node_group_info {
    instance_type   = local.instance
    client_subnets  = local.subnets
    security_groups = [aws_security_group.this.id]

    storage_info {
      ebs_storage_info {
        volume_size = local.gigabytes
      }
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }

  client_authentication {
    unauthenticated = false

    sasl {
      scram = true
      iam   = true
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this.name
      }
    }
  }

  tags = { Name = local.id }
}
