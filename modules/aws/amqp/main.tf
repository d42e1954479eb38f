# A RabbitMQ broker, or three in three zones, on Amazon MQ. Connections need TLS and
# a password, which Secrets Manager makes and which is in no state.

# Waives mq-cmk: Amazon MQ encrypts disks of RabbitMQ with a key of AWS's only.
# Waives mq-audit-log: RabbitMQ on Amazon MQ has general logs only.

locals {
  high_availability = coalesce(var.high_availability, var.protected)

  # A broker's name has at most 50 characters.
  id = length(var.name) <= 48 ? var.name : "${trimsuffix(substr(var.name, 0, 39), "-")}-${substr(sha256(var.name), 0, 8)}"

  port     = 5671
  username = "app"

  instance = {
    small  = "mq.m7g.medium"
    medium = "mq.m7g.large"
    large  = "mq.m7g.xlarge"
    xlarge = "mq.m7g.2xlarge"
  }[var.size]

  weekday = {
    Mon = "MONDAY", Tue = "TUESDAY", Wed = "WEDNESDAY", Thu = "THURSDAY", Fri = "FRIDAY", Sat = "SATURDAY", Sun = "SUNDAY"
  }[substr(var.maintenance_window, 0, 3)]

  secret_name = "${var.secret_path}/password"
}

resource "aws_security_group" "this" {
  name        = local.id
  description = "Who may connect to ${local.id}"
  vpc_id      = var.vpc_id

  tags = { Name = local.id }
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  security_group_id            = aws_security_group.this.id
  description                  = "AMQP over TLS from the cluster"
  referenced_security_group_id = var.allowed_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port

  tags = { Name = local.id }
}

# The provider's own resource wants the password as an argument and would keep it in
# the state. CloudFormation resolves it from Secrets Manager, which made it.
resource "aws_cloudformation_stack" "broker" {
  name = local.id

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = length(var.queues) == 0 ? "Broker ${local.id}" : substr("Broker ${local.id} with the queues ${join(", ", var.queues)}", 0, 1000)
    Resources = {
      Password = {
        Type           = "AWS::SecretsManager::Secret"
        DeletionPolicy = var.protected ? "Retain" : "Delete"
        Properties = {
          Name                 = local.secret_name
          Description          = "Password of ${local.username} on ${local.id}"
          KmsKeyId             = var.kms_key
          GenerateSecretString = { PasswordLength = 48, ExcludePunctuation = true }
        }
      }
      Broker = {
        Type                = "AWS::AmazonMQ::Broker"
        DependsOn           = "Password"
        DeletionPolicy      = var.protected ? "Retain" : "Delete"
        UpdateReplacePolicy = var.protected ? "Retain" : "Delete"
        Properties = {
          BrokerName              = local.id
          EngineType              = "RABBITMQ"
          EngineVersion           = "3.13"
          HostInstanceType        = local.instance
          DeploymentMode          = local.high_availability ? "CLUSTER_MULTI_AZ" : "SINGLE_INSTANCE"
          PubliclyAccessible      = false
          AutoMinorVersionUpgrade = true
          SubnetIds               = local.high_availability ? var.subnet_ids : [var.subnet_ids[0]]
          SecurityGroups          = [aws_security_group.this.id]
          # Amazon MQ encrypts RabbitMQ's disks with a key of AWS only.
          EncryptionOptions = { UseAwsOwnedKey = true }
          Logs              = { General = true }
          MaintenanceWindowStartTime = {
            DayOfWeek = local.weekday
            TimeOfDay = substr(var.maintenance_window, 4, 5)
            TimeZone  = "UTC"
          }
          Users = [{
            Username = local.username
            Password = { "Fn::Sub" = "{{resolve:secretsmanager:$${Password}}}" }
          }]
        }
      }
    }
    Outputs = {
      Endpoint = { Value = { "Fn::Select" = [0, { "Fn::GetAtt" = ["Broker", "AmqpEndpoints"] }] } }
    }
  })

  # Nothing replaces or deletes a protected broker by accident.
  policy_body = jsonencode({
    Statement = [
      { Effect = "Allow", Principal = "*", Action = "Update:*", Resource = "*" },
      { Effect = var.protected ? "Deny" : "Allow", Principal = "*", Action = ["Update:Replace", "Update:Delete"], Resource = "LogicalResourceId/Broker" },
    ]
  })

  tags = { Name = local.id }
}
