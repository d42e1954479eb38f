# A topic on the environment's MSK cluster and a user for the workload that asked
# for it. MSK makes both by CloudFormation; the user's password is made by Secrets
# Manager and is in no state.

# Waives kafka-acl: any user of the cluster may read and write any topic of the
#   environment. MSK has no call that writes ACLs for users that sign in by SCRAM;
#   environments are apart.

locals {
  # A stack's name has letters, digits and hyphens; a topic's has dots as well, which
  # Kafka would not tell from underscores in its metrics.
  topic    = var.name
  username = var.name

  # MSK takes only secrets whose names begin so.
  secret_name = "AmazonMSK_${replace(var.secret_path, "/", "_")}"

  # "host:port,host:port": whoever wants one address gets the first.
  first = split(":", split(",", var.bootstrap_servers)[0])

  settings = {
    "cleanup.policy" = var.compact ? "compact" : "delete"
    # Kafka counts in milliseconds, and -1 is for ever.
    "retention.ms" = var.retention == 0 ? -1 : var.retention * 3600000
  }
}

# The provider has neither topics nor users whose password is not in its state;
# CloudFormation has both, and Secrets Manager makes the password.
resource "aws_cloudformation_stack" "topic" {
  name = var.name

  template_body = jsonencode({
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Topic ${local.topic} and its user"
    Resources = {
      Topic = {
        Type                = "AWS::MSK::Topic"
        DeletionPolicy      = var.protected ? "Retain" : "Delete"
        UpdateReplacePolicy = var.protected ? "Retain" : "Delete"
        Properties = {
          ClusterArn        = var.cluster_arn
          TopicName         = local.topic
          PartitionCount    = var.partitions
          ReplicationFactor = var.replication
          Configs           = base64encode(join("\n", [for k, v in local.settings : "${k}=${v}"]))
        }
      }
      Password = {
        Type           = "AWS::SecretsManager::Secret"
        DeletionPolicy = var.protected ? "Retain" : "Delete"
        Properties = {
          Name        = local.secret_name
          Description = "User and password of the topic ${local.topic}"
          KmsKeyId    = var.kms_key
          GenerateSecretString = {
            SecretStringTemplate = jsonencode({ username = local.username })
            GenerateStringKey    = "password"
            PasswordLength       = 48
            ExcludePunctuation   = true
          }
        }
      }
      User = {
        Type = "AWS::MSK::BatchScramSecret"
        Properties = {
          ClusterArn    = var.cluster_arn
          SecretArnList = [{ Ref = "Password" }]
        }
      }
    }
  })

  # Nothing replaces or deletes a protected topic by accident.
  policy_body = jsonencode({
    Statement = [
      { Effect = "Allow", Principal = "*", Action = "Update:*", Resource = "*" },
      { Effect = var.protected ? "Deny" : "Allow", Principal = "*", Action = ["Update:Replace", "Update:Delete"], Resource = "LogicalResourceId/Topic" },
    ]
  })

  tags = { Name = var.name }
}
