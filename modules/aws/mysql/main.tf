# A MySQL server on Amazon RDS with one database. RDS makes the password, keeps it
# in Secrets Manager and rotates it. Connections without TLS are refused, disks,
# backups, logs and insights are encrypted with the environment's key, and point-in-
# time recovery goes back as long as backups are kept.

locals {
  high_availability = coalesce(var.high_availability, var.protected)

  # An identifier has at most 63 characters, and two names must not become one.
  id = length(var.name) <= 50 ? var.name : "${trimsuffix(substr(var.name, 0, 41), "-")}-${substr(sha256(var.name), 0, 8)}"

  # Databases and users have letters, digits and underscores.
  database = substr(replace(local.id, "-", "_"), 0, 32)

  class = {
    small  = "db.t4g.small"
    medium = "db.m7g.large"
    large  = "db.r7g.xlarge"
    xlarge = "db.r7g.4xlarge"
  }[var.size]

  gigabytes = { for k, v in { storage = var.storage, max = var.max_storage } :
    k => v == null ? null : tonumber(regex("^[0-9]+", v)) * (endswith(v, "Ti") ? 1024 : 1)
  }

  # The hour of maintenance, which may run into the next day. Backups begin three
  # hours before it, so that the two never overlap.
  days   = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
  day    = lower(substr(var.maintenance_window, 0, 3))
  hour   = tonumber(substr(var.maintenance_window, 4, 2))
  minute = substr(var.maintenance_window, 7, 2)
  ends   = local.hour == 23 ? local.days[(index(local.days, local.day) + 1) % 7] : local.day
  window = format("%s:%02d:%s-%s:%02d:%s", local.day, local.hour, local.minute, local.ends, (local.hour + 1) % 24, local.minute)
  backup = format("%02d:%s-%02d:%s", (local.hour + 21) % 24, local.minute, (local.hour + 22) % 24, local.minute)

  engine   = "mysql"
  port     = 3306
  version  = var.mysql_version
  family   = "mysql${var.mysql_version}"
  username = "app"
  logs     = ["error", "slowquery"]

  settings = {
    "require_secure_transport" = "1"
    "character_set_server"     = "utf8mb4"
    "collation_server"         = "utf8mb4_0900_ai_ci"
    "local_infile"             = "0"
  }
}

resource "aws_db_subnet_group" "this" {
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

resource "aws_db_parameter_group" "this" {
  name        = "${local.id}-${replace(local.family, ".", "-")}"
  family      = local.family
  description = "Settings of ${local.id}"

  dynamic "parameter" {
    # The module's own come last and win.
    for_each = merge(var.settings, local.settings)

    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = "pending-reboot"
    }
  }

  lifecycle {
    # A new major version needs its group before the server is upgraded.
    create_before_destroy = true
  }

  tags = { Name = "${local.id}-${replace(local.family, ".", "-")}" }
}

resource "aws_iam_role" "monitoring" {
  name        = "${local.id}-monitoring"
  description = "Enhanced monitoring of ${local.id}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = { Name = "${local.id}-monitoring" }
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_db_instance" "this" {
  identifier     = local.id
  engine         = local.engine
  engine_version = local.version
  instance_class = local.class
  db_name        = local.database
  username       = local.username
  port           = local.port

  # RDS makes the password, keeps it in Secrets Manager and rotates it; it is never
  # in a state.
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.kms_key

  storage_type          = "gp3"
  allocated_storage     = local.gigabytes.storage
  max_allocated_storage = local.gigabytes.max
  storage_encrypted     = true
  kms_key_id            = var.kms_key

  multi_az               = local.high_availability
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  parameter_group_name   = aws_db_parameter_group.this.name
  publicly_accessible    = false

  backup_retention_period   = var.backup_days
  backup_window             = local.backup
  maintenance_window        = local.window
  copy_tags_to_snapshot     = true
  delete_automated_backups  = !var.protected
  deletion_protection       = var.protected
  skip_final_snapshot       = !var.protected
  final_snapshot_identifier = "${local.id}-final"

  allow_major_version_upgrade = true
  auto_minor_version_upgrade  = true
  # Where data is protected, what needs a restart waits for the window.
  apply_immediately = !var.protected

  iam_database_authentication_enabled = true
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.kms_key
  monitoring_interval                 = 60
  monitoring_role_arn                 = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports     = local.logs

  tags = { Name = local.id }

  depends_on = [aws_iam_role_policy_attachment.monitoring]
}
